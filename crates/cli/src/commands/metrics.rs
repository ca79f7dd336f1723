//! `agents metrics`: how the store stands, in the words of Prometheus. Changes nothing.
//!
//! A process that works for long serves the same, and what it has counted of itself ([`serve`]). A
//! store that is out of reach is a number there: whoever watches wants to hear of it, and of the rest.

use std::net::SocketAddr;
use std::sync::Arc;

use agents_infrastructure::endpoint::{Endpoint, Served};
use serde_json::json;
use tokio::runtime::Builder;

use crate::app::App;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report, families_text, families_view, of_process, of_store};

/// Measures, and shows it.
pub fn metrics(app: &App) -> Result<Report, Failure> {
    let families = of_store(Some(&app.block_on(app.surveyor().survey())?));
    let data = json!({ "metrics": families_view(&families) });
    Ok(Report { body: Body::Text(families_text(&families)), ..Report::of(data) })
}

/// Serves it at `/metrics`, until the endpoint is dropped.
pub fn serve(app: &App, address: SocketAddr) -> Result<Endpoint, Failure> {
    let (surveyor, locks) = (app.surveyor(), app.locks().clone());
    let page = move || {
        // A runtime of its own: that of the command may be busy, or waiting.
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let survey = runtime.block_on(surveyor.survey());
        if let Err(error) = &survey {
            tracing::warn!(%error, "the store could not be measured");
        }
        let families = [of_store(survey.ok().as_ref()), of_process(&locks.counters().read())];
        Ok(families_text(&families.concat()))
    };
    let content_type = "text/plain; version=0.0.4";
    let served = Served { path: "/metrics", content_type, page: Arc::new(page) };
    Endpoint::open(address, served).map_err(|error| {
        let message = format!("metrics cannot be served at {address}: {error}");
        Failure::new(Exit::Usage, "address_unusable", message)
    })
}
