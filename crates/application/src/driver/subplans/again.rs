//! `plan retry --only-failed`: failed children get all their attempts anew, at every depth.
//!
//! A child that was given up because of them is at the end of its road, so another one takes its
//! place. Whatever has succeeded stays. Each step is a commit of its own: after a crash the same
//! command does the rest.

use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, Plan, State, Verb};
use agents_domain::reads::PlanView;
use agents_domain::subplan::GivenUp;

use super::ready::is_settled;
use super::refused;
use crate::driver::recovery::Found;
use crate::driver::{DriveError, PhaseDriver};
use crate::lock_service::LockGuard;
use crate::subplan_service::Family;

impl PhaseDriver {
    /// `plan retry --only-failed`: orders another attempt of a plan in which the failed children run
    /// again, with those that were given up because of them, and drives it.
    pub async fn retry_failed(&self, plan: PlanId) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            if plan.state() == State::Applied {
                return Ok(plan);
            }
            self.may_begin(&plan).await?;
            if plan.state() != State::Processing {
                self.try_children_again(&plan).await?;
                self.parts.lifecycle.retry(plan.id).await?;
            }
            let plan = self.parts.lifecycle.load(plan.id).await?;
            self.drive_to_executed(plan, hold, false).await
        };
        self.under_hold(plan, "plan retry --only-failed", Found::CarriedOn, work).await
    }

    async fn try_children_again(&self, plan: &Plan) -> Result<(), DriveError> {
        let family = self.family(plan.id).await?;
        let all_succeeded = family.children().all(|view| view.record.state() == State::Applied);
        if (plan.phase(), plan.state()) != (Phase::Execute, State::Errored) || all_succeeded {
            let reason = "it has no failed subplans".to_owned();
            return Err(refused(plan, Verb::Retry, reason, format!("agents plan retry {}", plan.id)));
        }
        self.replace_given_up(plan.id, &family).await?;
        let failed = |view: &&PlanView| is_settled(view) && view.record.state() == State::Errored;
        for view in family.members().iter().filter(failed) {
            let id = view.record.id;
            let hold = self.for_child(self.parts.stop.clone()).hold(id, "plan retry").await?;
            let again = async {
                self.replace_given_up(id, &family).await?;
                self.parts.lifecycle.retry(id).await?;
                Ok(())
            };
            let outcome: Result<(), DriveError> = again.await;
            self.let_go(hold).await;
            outcome?;
        }
        Ok(())
    }

    /// Children in place of those that were given up because another one failed.
    async fn replace_given_up(&self, parent: PlanId, family: &Family) -> Result<(), DriveError> {
        let given_up: Vec<PlanView> =
            family.of(parent).filter(|view| is_to_be_replaced(view, parent, family)).cloned().collect();
        if given_up.is_empty() {
            return Ok(());
        }
        let successors = self.parts.subplans.successors(&given_up).await?;
        let replaces = successors.iter().map(|(old, child)| (child.id, *old)).collect();
        let children = successors.into_iter().map(|(_, child)| child).collect();
        self.parts.lifecycle.spawn(parent, children, &replaces).await?;
        Ok(())
    }
}

/// What a person gave up stays given up, and so does what depends on it.
fn is_to_be_replaced(view: &PlanView, parent: PlanId, family: &Family) -> bool {
    let Some(GivenUp::Skipped { by } | GivenUp::FailFast { by }) = view.record.given_up() else {
        return false;
    };
    let cause =
        family.of(parent).find(|view| view.record.subplan.as_ref().is_some_and(|one| one.name == *by));
    cause.is_some_and(|view| view.record.state() != State::Cancelled)
}
