//! Whether a person's command on a child, or on its parent, has anything to go on with.

use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, Plan, State, Verb};
use agents_domain::reads::PlanView;

use super::again::is_missing;
use super::refused;
use crate::driver::{DriveError, PhaseDriver};
use crate::lifecycle::LifecycleError;
use crate::subplan_service::{Family, Unready, was_interrupted};

/// What failed children are, to their parent.
pub(super) const FAILED: &str = "subplans_failed";

impl PhaseDriver {
    /// Refuses to run a child before its time: its worktree would lack what it builds on.
    pub(in crate::driver) async fn may_begin(&self, child: &Plan) -> Result<(), DriveError> {
        let Some(parent) = child.parent() else { return Ok(()) };
        if child.state() == State::Complete || child.state().is_terminal() {
            return Ok(());
        }
        let above = self.parts.lifecycle.load(parent).await?;
        let definition = self.parts.lifecycle.definition(parent).await?;
        let family = self.family(parent).await?;
        let reason = match family.unready(&above, definition.action.subplan_settings().mode, child) {
            None => return Ok(()),
            Some(Unready::ParentIdle) => format!("plan {parent}, of which it is a part, has not come to it"),
            Some(Unready::DependsOn { sibling }) => {
                format!("it begins with the work of `{sibling}`, which is not merged")
            }
        };
        Err(refused(child, Verb::Start, reason, format!("agents plan why {parent}")))
    }

    /// Refuses to try a parent again that could only fail again: all its children have settled, and
    /// some of them have failed.
    pub(in crate::driver) async fn may_go_on(&self, parent: &Plan) -> Result<(), DriveError> {
        let failed_only = parent.phase() == Phase::Execute
            && parent.failure.as_ref().is_some_and(|failure| failure.code == FAILED);
        if !failed_only {
            return Ok(());
        }
        let family = self.family(parent.id).await?;
        let is_lost =
            |view: &PlanView| view.record.state() == State::Errored || is_missing(view, parent.id, &family);
        if family.children().any(|view| !is_settled(view)) || !family.children().any(is_lost) {
            return Ok(());
        }
        let reason = "all its subplans have settled, and some have failed".to_owned();
        let remedy = format!("agents plan retry {} --only-failed", parent.id);
        Err(refused(parent, Verb::Retry, reason, remedy))
    }

    pub(super) async fn family(&self, of: PlanId) -> Result<Family, DriveError> {
        Ok(self.parts.subplans.family(of).await.map_err(LifecycleError::from)?)
    }
}

/// Whether nothing more comes of a child unless its failure is tried again.
pub(super) fn is_settled(view: &PlanView) -> bool {
    let record = &view.record;
    let failed = record.state() == State::Errored && record.phase() != Phase::Apply;
    record.state().is_terminal() || (failed && !was_interrupted(record))
}
