//! One child, from the moment its scheduler wants it to run until it has come to something.
//!
//! It is claimed by its lock. If another process has it, its outcome is waited for and used: a child
//! that failed there has failed, one that died there is tried again.

use std::future::Future;
use std::pin::Pin;

use agents_domain::id::PlanId;
use agents_domain::plan::{Parked, Phase, Plan, State};
use agents_domain::subplan::NodeId;
use agents_domain::time::Timestamp;

use crate::driver::recovery::Found;
use crate::driver::{DriveError, DriverParts, PhaseDriver};
use crate::lock_service::{LockGuard, Wait};
use crate::stop::StopHub;
use crate::subplan_service::was_interrupted;

/// A child that is run.
pub(super) type Run = Pin<Box<dyn Future<Output = (NodeId, Result<Plan, DriveError>)> + Send>>;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Errand {
    pub(super) node: NodeId,
    pub(super) child: PlanId,
    /// How many attempts have failed: one more, and it has failed elsewhere meanwhile.
    pub(super) failures: u32,
}

impl PhaseDriver {
    /// A driver for one child: what is asked of `hub` is asked of it alone.
    pub(super) fn for_child(&self, hub: StopHub) -> Self {
        Self::new(DriverParts { stop: hub, wait_for_plan: Wait::Forever, ..self.parts.clone() })
    }

    /// Runs a child on a driver of its own. Its type is known, so that children may have children.
    pub(super) fn run_child(self, errand: Errand) -> Run {
        Box::pin(async move { (errand.node, self.child_to_executed(errand).await) })
    }

    async fn child_to_executed(&self, errand: Errand) -> Result<Plan, DriveError> {
        loop {
            let hold = self.hold(errand.child, "subplan").await?;
            let outcome = Box::pin(self.drive_child(errand, &hold)).await;
            let plan = self.end(errand.child, hold, outcome).await?;
            match pause(&plan) {
                Some((waits, until)) => self.sit_out(&plan, waits, until).await?,
                None => return Ok(plan),
            }
        }
    }

    async fn drive_child(&self, errand: Errand, hold: &LockGuard) -> Result<Plan, DriveError> {
        let mut plan = self.recovered(errand.child, hold, Found::CarriedOn).await?;
        self.heed_earlier(&plan).await?;
        if plan.state() == State::Errored && plan.phase() != Phase::Apply {
            let failures = plan.subplan.as_ref().map_or(0, |subplan| subplan.failures);
            if failures > errand.failures && !was_interrupted(&plan) {
                return Ok(plan);
            }
            plan = self.parts.lifecycle.retry_from(plan.id, [].into(), false).await?;
        }
        let rests = plan.state().is_terminal() || plan.phase() == Phase::Apply;
        if rests || asks(&plan) || pause(&plan).is_some_and(|(_, until)| self.parts.clock.now() < until) {
            return Ok(plan);
        }
        if (plan.phase(), plan.state()) == (Phase::Execute, State::Complete) {
            return Ok(plan);
        }
        self.drive_to_executed(plan, hold, true).await
    }

    /// Waits, holding nothing, until a child may be tried again that asked for a pause.
    async fn sit_out(&self, plan: &Plan, waits: &Parked, until: Timestamp) -> Result<(), DriveError> {
        tracing::info!(plan = %plan.id, cause = %waits.cause, "a subplan pauses");
        self.lifecycle().observer().pausing(plan, until);
        while self.parts.clock.now() < until {
            tokio::select! {
                biased;
                cause = self.parts.stop.stopped() => return Err(DriveError::Stopped { plan: plan.id, cause }),
                () = self.lifecycle().locks().pause() => {}
            }
        }
        Ok(())
    }
}

/// Whether a question of it is not answered.
fn asks(plan: &Plan) -> bool {
    plan.parked.as_ref().is_some_and(|parked| parked.input.is_some())
}

/// Whether nothing but a person leads on: it asks, or a child of its own does.
pub(super) fn waits_for_a_person(plan: &Plan) -> bool {
    plan.state() == State::Queued && plan.parked.as_ref().is_some_and(|parked| parked.until.is_none())
}

/// Until when it waits by its own wish, if it does.
fn pause(plan: &Plan) -> Option<(&Parked, Timestamp)> {
    let parked = plan.parked.as_ref().filter(|_| plan.state() == State::Queued)?;
    Some((parked, parked.until.filter(|_| parked.input.is_none())?))
}
