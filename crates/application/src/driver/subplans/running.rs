//! One child, from the moment its scheduler wants it to run until it has come to something.
//!
//! It is claimed by its lock. If another process has it, its outcome is waited for and used: a child
//! that failed there has failed, one that died there is tried again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agents_domain::id::PlanId;
use agents_domain::plan::{Parked, Phase, Plan, State};
use agents_domain::subplan::NodeId;
use agents_domain::time::Timestamp;

use crate::driver::recovery::Found;
use crate::driver::{DriveError, DriverParts, PhaseDriver, is_at};
use crate::lock_service::{LockGuard, Wait};
use crate::stop::StopHub;
use crate::subplan_service::{is_torn, was_interrupted};

/// So many short pauses lie between two looks at a child that sits out a pause of its own.
const LOOKS: u32 = 10;

/// A child that is run.
pub(super) type Run = Pin<Box<dyn Future<Output = (NodeId, Result<Ran, DriveError>)> + Send>>;

/// What a child has come to.
pub(super) struct Ran {
    pub(super) plan: Plan,
    /// Its lock, if it has done its work and its scheduler waits: whoever merges it need not ask for it again.
    pub(super) hold: Option<LockGuard>,
}

/// Whether the scheduler of a child waits for whatever comes: then it merges it, or lets go of it, at once.
/// While it does something else, which may take long, nobody would hear what is asked of a child that is held.
/// One of those that come to their end is handed over each time.
#[derive(Debug, Clone, Default)]
pub(super) struct Ear(Arc<AtomicBool>);

impl Ear {
    pub(super) fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub(super) fn shut(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub(super) struct Errand {
    pub(super) node: NodeId,
    pub(super) child: PlanId,
    /// How many attempts have failed: one more, and it has failed elsewhere meanwhile.
    pub(super) failures: u32,
    pub(super) ear: Ear,
}

impl PhaseDriver {
    /// A driver for one child: what is asked of `hub` is asked of it alone.
    pub(super) fn for_child(&self, hub: StopHub) -> Self {
        // A full house, or a lock of one of its own, ends no family, whatever the flags say.
        // A worker does not sit on a child that another one may have room for.
        let wait_for_places = if self.shared.is_some() { Wait::No } else { Wait::Forever };
        let wait_for_plan = Wait::Forever;
        let parts = DriverParts { stop: hub, wait_for_plan, wait_for_places, ..self.parts.clone() };
        Self { shared: self.shared.clone(), ..Self::new(parts) }
    }

    /// The lock of a child, taken after that of its parent; what is asked of the parent meanwhile, or
    /// its loss, ends the wait.
    pub(super) async fn hold_below(
        &self,
        child: PlanId,
        operation: &str,
        parent: &LockGuard,
    ) -> Result<LockGuard, DriveError> {
        tokio::select! {
            biased;
            cause = self.stop_signal(parent.into()) => Err(DriveError::Stopped { plan: child, cause }),
            held = self.lifecycle().hold(child, operation, Wait::Forever) => Ok(held?),
        }
    }

    /// Runs a child on a driver of its own. Its type is known, so that children may have children.
    pub(super) fn run_child(self, errand: Errand) -> Run {
        Box::pin(async move { (errand.node, self.child_to_executed(errand).await) })
    }

    async fn child_to_executed(&self, errand: Errand) -> Result<Ran, DriveError> {
        let mut rested = None;
        loop {
            let hold = self.hold(errand.child, "subplan").await?;
            let outcome = Box::pin(self.drive_child(&errand, rested, &hold)).await;
            let outcome = match outcome {
                Ok(plan) if is_at(&plan, Phase::Execute, State::Complete) && errand.ear.shut() => {
                    return Ok(Ran { plan, hold: Some(hold) });
                }
                outcome => self.end(errand.child, hold, outcome).await,
            };
            let plan = match outcome {
                Err(DriveError::NoPlace { .. }) if self.shared.is_some() => {
                    self.offer(errand.child).await?;
                    continue;
                }
                outcome => outcome?,
            };
            match pause(&plan) {
                Some((waits, until)) => {
                    self.sit_out(&plan, waits, until).await?;
                    rested = Some(plan.version);
                }
                None => return Ok(Ran { plan, hold: None }),
            }
        }
    }

    /// `rested`: the version of the child whose pause is over.
    async fn drive_child(
        &self,
        errand: &Errand,
        rested: Option<u64>,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
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
        let waits = |(_, until)| rested != Some(plan.version) && self.parts.clock.now() < until;
        if rests || asks(&plan) || pause(&plan).is_some_and(waits) {
            return Ok(plan);
        }
        if (plan.phase(), plan.state()) == (Phase::Execute, State::Complete) {
            return Ok(plan);
        }
        self.drive_to_executed(plan, hold, true).await
    }

    /// Waits, holding nothing, until a child may be tried again that asked for a pause: by the time of
    /// day, and no longer than the pause was meant to be, should the time of day jump.
    async fn sit_out(&self, plan: &Plan, waits: &Parked, until: Timestamp) -> Result<(), DriveError> {
        tracing::info!(plan = %plan.id, cause = %waits.cause, "a subplan pauses");
        self.lifecycle().observer().pausing(plan, until);
        let (began, length) = (self.parts.clock.boottime(), until.since(plan.updated_at));
        let mut looks = 0_u32;
        while self.parts.clock.now() < until && self.parts.clock.boottime().since(began) < length {
            looks += 1;
            if looks.is_multiple_of(LOOKS)
                && self.parts.lifecycle.load(plan.id).await?.version != plan.version
            {
                // Somebody has moved it on.
                break;
            }
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

/// Whether nothing but a person leads on: it asks, or a child of its own does, or the work of its
/// children does not go together.
pub(super) fn needs_a_person(plan: &Plan) -> bool {
    let asks = plan.state() == State::Queued && plan.parked.as_ref().is_some_and(|it| it.until.is_none());
    asks || is_torn(plan)
}

/// Until when it waits by its own wish, if it does.
fn pause(plan: &Plan) -> Option<(&Parked, Timestamp)> {
    let parked = plan.parked.as_ref().filter(|_| plan.state() == State::Queued)?;
    Some((parked, parked.until.filter(|_| parked.input.is_none())?))
}
