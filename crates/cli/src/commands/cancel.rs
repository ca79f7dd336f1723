//! `agents plan cancel`: gives a plan up, with all that are below it, and says what became of those.

use std::collections::BTreeSet;

use agents_application::subplan_service::Family;
use agents_domain::id::PlanId;
use agents_domain::plan::{PlanRecord, State};
use agents_domain::reads::PlanView;
use serde_json::{Value, json};

use crate::app::App;
use crate::args::plan::ReasonedArgs;
use crate::commands::{drive, resolve};
use crate::failure::Failure;
use crate::render::Report;

/// Gives up, whoever drives it.
pub(super) fn cancel(app: &App, args: &ReasonedArgs, keep_landed: bool) -> Result<Report, Failure> {
    let plan = resolve::plan(app, &args.plan)?;
    let reason = args.reason.as_ref().map(|words| words.as_str().to_owned());
    let before = family(app, plan)?;
    let mut report =
        drive::drive(app, |driver| async move { driver.cancel(plan, reason, keep_landed).await })?;
    let below = Below::of(&before, &family(app, plan)?);
    report.data["below"] = below.view();
    Ok(below.sentence().into_iter().fold(report, Report::message))
}

fn family(app: &App, plan: PlanId) -> Result<Family, Failure> {
    Ok(app.block_on(app.subplans().family(plan))?)
}

/// What became of the plans below one that was given up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Below {
    /// Their work had become part of their parents' before.
    finished: usize,
    /// Given up with it.
    stopped: usize,
    /// Of those, how many have left work behind, which is kept.
    kept: usize,
}

impl Below {
    fn of(before: &Family, after: &Family) -> Self {
        let cancelled = |view: &&PlanView| view.record.state() == State::Cancelled;
        let earlier: BTreeSet<PlanId> =
            before.members().iter().filter(cancelled).map(|view| view.record.id).collect();
        let stopped: Vec<&PlanView> = after
            .members()
            .iter()
            .filter(|view| cancelled(view) && !earlier.contains(&view.record.id))
            .collect();
        let applied = |view: &&PlanView| view.record.state() == State::Applied;
        Self {
            finished: after.members().iter().filter(applied).count(),
            stopped: stopped.len(),
            kept: stopped.iter().filter(|view| has_work(&view.record)).count(),
        }
    }

    fn view(&self) -> Value {
        json!({ "finished": self.finished, "stopped": self.stopped, "kept": self.kept })
    }

    /// Nothing, if there is nobody.
    fn sentence(&self) -> Option<String> {
        let Self { finished, stopped, kept } = self;
        let all = finished + stopped;
        (all > 0).then(|| {
            format!(
                "of its subplans {finished} had finished, {stopped} stopped; work of {kept} of these is kept"
            )
        })
    }
}

fn has_work(plan: &PlanRecord) -> bool {
    plan.projects.iter().any(|project| project.snapshot.is_some() || project.tip.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_is_below_nothing_is_said() {
        assert_eq!(Below::default().sentence(), None);
        let below = Below { finished: 1, stopped: 2, kept: 1 };
        let expected = "of its subplans 1 had finished, 2 stopped; work of 1 of these is kept";
        assert_eq!(below.sentence().as_deref(), Some(expected));
    }
}
