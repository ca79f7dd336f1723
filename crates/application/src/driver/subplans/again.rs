//! `plan retry --only-failed`: failed children get all their attempts anew, at every depth.
//!
//! A child that was given up because of them is at the end of its road, so another one takes its
//! place. Whatever has succeeded stays. Each step is a commit of its own: after a crash the same
//! command does the rest.

use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, Plan, State, Verb, target};
use agents_domain::reads::PlanView;
use agents_domain::subplan::GivenUp;

use super::ready::is_settled;
use super::refused;
use crate::driver::recovery::Found;
use crate::driver::{DriveError, PhaseDriver};
use crate::lock_service::LockGuard;
use crate::subplan_service::{Family, was_interrupted};

impl PhaseDriver {
    /// `plan retry --only-failed`: orders another attempt of a plan in which the failed children run
    /// again, with those that were given up because of them, and drives it.
    pub async fn retry_failed(&self, plan: PlanId) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            if plan.state() == State::Applied {
                return Ok(plan);
            }
            self.drive_failed_again(plan, hold).await
        };
        self.under_hold(plan, "plan retry --only-failed", Found::CarriedOn, work).await
    }

    /// The same for a plan that is held.
    pub(in crate::driver) async fn drive_failed_again(
        &self,
        plan: Plan,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        self.may_begin(&plan).await?;
        if plan.state() != State::Processing {
            let family = self.may_try_children_again(&plan).await?;
            self.try_children_again(&plan, &family).await?;
        }
        if plan.state() == State::Errored {
            self.parts.lifecycle.retry(plan.id).await?;
        }
        let plan = self.parts.lifecycle.load(plan.id).await?;
        self.drive_to_executed(plan, hold, false).await
    }

    /// Refuses where no child is to be tried again, with what leads on from there.
    pub(in crate::driver) async fn may_try_children_again(&self, plan: &Plan) -> Result<Family, DriveError> {
        let family = self.family(plan.id).await?;
        let all_succeeded = family.children().all(|view| view.record.state() == State::Applied);
        let may_be = match (plan.phase(), plan.state()) {
            (Phase::Execute, State::Errored) => true,
            // Whoever ordered this may have died before it began; or it waits for a person.
            (Phase::Execute, State::Queued) => family.children().any(has_begun),
            _ => false,
        };
        if may_be && !all_succeeded {
            return Ok(family);
        }
        let reason = "it has no failed subplans".to_owned();
        Err(refused(plan, Verb::Retry, reason, format!("agents plan {} {}", way_on(plan), plan.id)))
    }

    async fn try_children_again(&self, plan: &Plan, family: &Family) -> Result<(), DriveError> {
        self.replace_given_up(plan, family).await?;
        for view in family.members().iter().filter(|view| has_to_do(view, family)) {
            let hold = self.for_child(self.parts.stop.clone()).hold(view.record.id, "plan retry").await?;
            let outcome = self.try_child_again(view.record.id, family).await;
            self.let_go(hold).await;
            outcome?;
        }
        Ok(())
    }

    /// Under its lock, and as it is now: somebody may have been faster.
    async fn try_child_again(&self, child: PlanId, family: &Family) -> Result<(), DriveError> {
        let plan = self.parts.lifecycle.load(child).await?;
        self.replace_given_up(&plan, family).await?;
        if plan.state() == State::Errored && plan.phase() != Phase::Apply && !was_interrupted(&plan) {
            self.parts.lifecycle.retry(child).await?;
        }
        Ok(())
    }

    /// Children in place of those that were given up because of others, where that may be.
    async fn replace_given_up(&self, parent: &Plan, family: &Family) -> Result<(), DriveError> {
        let given_up: Vec<PlanView> =
            family.of(parent.id).filter(|view| is_missing(view, parent.id, family)).cloned().collect();
        if given_up.is_empty() || target(Verb::Spawn, parent.stage).is_none() {
            return Ok(());
        }
        let successors = self.parts.subplans.successors(&given_up).await?;
        let replaces = successors.iter().map(|(old, child)| (child.id, *old)).collect();
        let children = successors.into_iter().map(|(_, child)| child).collect();
        self.parts.lifecycle.spawn(parent.id, children, &replaces).await?;
        Ok(())
    }
}

/// The command that a plan without failed children goes on by.
fn way_on(plan: &Plan) -> &'static str {
    match (plan.phase(), plan.state()) {
        (_, State::Errored | State::Constrained) => "retry",
        (Phase::Strategize, State::Queued | State::Complete) | (Phase::Execute, State::Queued) => "execute",
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => "apply",
        _ => "why",
    }
}

fn has_begun(view: &PlanView) -> bool {
    view.record.attempt > 0 || view.record.state().is_terminal()
}

/// Whether it has failed, or has children that were given up because of others.
fn has_to_do(view: &PlanView, family: &Family) -> bool {
    let id = view.record.id;
    let failed = is_settled(view) && view.record.state() == State::Errored;
    failed || family.of(id).any(|child| is_missing(child, id, family))
}

/// Whether it was given up because of others, and not, in the end, because a person gave one up: that
/// stays so, with what depends on it.
pub(super) fn is_missing(view: &PlanView, parent: PlanId, family: &Family) -> bool {
    let Some(GivenUp::Skipped { by } | GivenUp::FailFast { by }) = view.record.given_up() else {
        return false;
    };
    let named = |view: &&PlanView| view.record.subplan.as_ref().is_some_and(|one| one.name == *by);
    match family.of(parent).find(named) {
        Some(cause) if cause.record.state() == State::Cancelled && cause.record.id != view.record.id => {
            is_missing(cause, parent, family)
        }
        _ => true,
    }
}
