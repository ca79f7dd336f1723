//! `agents metrics`: how the store stands, in the words of Prometheus. Changes nothing.

use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::render::{Body, Report, families_text, families_view, of_store};

/// Measures, and shows it.
pub fn metrics(app: &App) -> Result<Report, Failure> {
    let families = of_store(&app.block_on(app.surveyor().survey())?);
    let data = json!({ "metrics": families_view(&families) });
    Ok(Report { body: Body::Text(families_text(&families)), ..Report::of(data) })
}
