//! `agents plan tree`: a plan with all that are below it; with `--watch` until it rests.
//!
//! To watch locks nothing, writes nothing, and asks nothing of the driver: it reads again when the
//! store says that something has changed.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use agents_application::Observer;
use agents_application::observer::Unobserved;
use agents_domain::id::PlanId;

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::resolve;
use crate::failure::Failure;
use crate::render::{Body, Changing, Report, Screen, Seen, Tree, tree_report};

/// The tree as it is now.
pub(super) fn tree(app: &App, plan: &PlanRef) -> Result<Report, Failure> {
    let head = resolve::view(app, resolve::plan(app, plan)?)?;
    let below = app.block_on(app.store.reads().family(head.record.id))?;
    Ok(tree_report(Tree { head: &head, below: &below }, &|holder| app.liveness(holder)))
}

/// The tree as it goes on.
pub fn watch(app: App, plan: &PlanRef) -> Result<Report, Failure> {
    let plan = resolve::plan(&app, plan)?;
    let data = serde_json::json!({ "plan_id": plan.as_str() });
    Ok(Report { body: Body::Changing(Box::new(Watching { app, plan })), ..Report::of(data) })
}

struct Watching {
    app: App,
    plan: PlanId,
}

impl Changing for Watching {
    fn run(&mut self, show: &mut dyn FnMut(&Seen) -> io::Result<()>) -> io::Result<()> {
        let (app, mut known, mut written) = (&self.app, BTreeMap::new(), Ok(()));
        // Where it is drawn, a line of progress would be drawn over.
        let drawn = self.screen().is_some();
        let observer: &dyn Observer = if drawn { &Unobserved } else { &*app.watch };
        let followed = app.block_on(app.vigil().follow(self.plan, observer, |head, below| {
            let seen = Tree { head, below }.seen(&mut known, &|holder| app.liveness(holder));
            written = show(&seen);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }));
        app.base.progress.finish();
        followed.map_err(io::Error::other)?;
        written
    }

    fn screen(&self) -> Option<Screen> {
        let env = &self.app.base.env;
        let (width, height) = (env.streams.width?, env.streams.height?);
        (env.streams.output_is_terminal && !env.dumb).then_some(Screen { width, height })
    }
}
