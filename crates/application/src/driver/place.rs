//! A place for each command: waited for in the open, and given up as soon as nothing runs.
//!
//! ```text
//! attempt:     wait for a place ─ start ─ open worktrees ─ setup ─ command ─ give it up ─ snapshot
//! validation:  (project locks held) wait for a place ─ run ─ give it up
//! ```
//!
//! An attempt waits before it starts: until then nothing is sealed, and a driver that is stopped,
//! or dies, while it waits leaves a plan that is queued. Whoever has a place waits for nobody, so
//! waiting for one ends, also under locks.

use std::time::Duration;

use agents_domain::places::{Occupant, Place, PlacesCensus, PlacesError};
use agents_domain::plan::{Phase, Plan};
use agents_domain::runner::{Ended, Invocation, RunError, RunReport, StopCause};

use super::{DriveError, PhaseDriver, Under};
use crate::lock_service::{LockGuard, Wait};

/// Why a command has no place.
pub(super) enum NoPlace {
    /// It is not to run any more.
    Stopped(StopCause),
    /// All are taken, by these, and nobody is to wait any longer.
    Full(Box<PlacesCensus>),
    /// The places cannot be used.
    Broken(PlacesError),
}

/// Why a command that needed a place of its own did not run.
pub(super) enum NotRun {
    /// All places are taken.
    Full(Box<PlacesCensus>),
    /// Anything else.
    Failed(RunError),
}

impl NoPlace {
    /// For a plan whose attempt has not started.
    fn before(self, plan: &Plan) -> DriveError {
        let id = plan.id;
        match self {
            Self::Stopped(cause) => DriveError::Stopped { plan: id, cause },
            Self::Full(census) => DriveError::NoPlace { plan: id, phase: plan.phase(), census },
            Self::Broken(error) => DriveError::Places(error),
        }
    }
}

impl PhaseDriver {
    /// A place for the next attempt of a queued plan.
    pub(super) async fn place_for_attempt(
        &self,
        plan: &Plan,
        hold: &LockGuard,
    ) -> Result<Box<dyn Place>, DriveError> {
        let occupant = self.occupant(plan, plan.attempt.saturating_add(1), plan.phase().as_str());
        let place = self.place(&occupant, hold.into(), self.parts.wait_for_places).await;
        place.map_err(|none| none.before(plan))
    }

    /// Runs a command in a place of its own.
    pub(super) async fn run_in_place(
        &self,
        plan: &Plan,
        invocation: Invocation,
        under: Under<'_>,
        wait: Wait,
    ) -> Result<RunReport, NotRun> {
        let occupant = self.occupant(plan, invocation.attempt, &invocation.purpose);
        let _place = match self.place(&occupant, under, wait).await {
            Ok(place) => place,
            Err(NoPlace::Stopped(cause)) => {
                return Ok(RunReport { ended: Ended::Stopped(cause), tail: String::new() });
            }
            Err(NoPlace::Full(census)) => return Err(NotRun::Full(census)),
            Err(NoPlace::Broken(error)) => {
                return Err(NotRun::Failed(RunError::Failed { reason: error.to_string() }));
            }
        };
        Box::pin(self.run_stoppable(invocation, under)).await.map_err(NotRun::Failed)
    }

    fn occupant(&self, plan: &Plan, attempt: u32, purpose: &str) -> Occupant {
        Occupant {
            by: self.lifecycle().locks().myself(purpose),
            plan: plan.id,
            attempt,
            purpose: purpose.to_owned(),
            since: self.parts.clock.now(),
        }
    }

    async fn place(
        &self,
        occupant: &Occupant,
        under: Under<'_>,
        wait: Wait,
    ) -> Result<Box<dyn Place>, NoPlace> {
        tokio::select! {
            // Who is asked to end takes nothing more, even if it is free.
            biased;
            cause = self.stop_signal(under) => Err(NoPlace::Stopped(cause)),
            place = self.wait_for_place(occupant, wait) => place,
        }
    }

    async fn wait_for_place(&self, occupant: &Occupant, wait: Wait) -> Result<Box<dyn Place>, NoPlace> {
        let began = self.parts.clock.boottime();
        let mut shown = false;
        loop {
            let taken = self.parts.places.take(occupant).await.map_err(NoPlace::Broken)?;
            if let Some(place) = taken {
                return Ok(place);
            }
            let census = self.parts.places.census().await.map_err(NoPlace::Broken)?;
            if is_over(wait, self.parts.clock.boottime().since(began)) {
                return Err(NoPlace::Full(Box::new(census)));
            }
            if !shown {
                self.lifecycle().observer().crowded(&census);
                shown = true;
            }
            self.lifecycle().locks().pause().await;
        }
    }

    /// The pause before another attempt, by the action's own policy: with the hold, without a place.
    pub(super) async fn back_off(
        &self,
        plan: &Plan,
        pause: Duration,
        hold: &LockGuard,
    ) -> Result<(), DriveError> {
        let clock = &self.parts.clock;
        let until = clock.boottime().plus(pause);
        if !pause.is_zero() {
            self.lifecycle().observer().pausing(plan, clock.now().plus(pause));
        }
        let over = async {
            loop {
                // In short steps: the runtime's timers stand still while the machine sleeps.
                match until.since(clock.boottime()) {
                    Duration::ZERO => return,
                    left => tokio::time::sleep(left.min(STEP)).await,
                }
            }
        };
        tokio::select! {
            biased;
            cause = self.stop_signal(hold.into()) => Err(DriveError::Stopped { plan: plan.id, cause }),
            () = over => Ok(()),
        }
    }
}

/// The longest step of a pause.
const STEP: Duration = Duration::from_secs(1);

fn is_over(wait: Wait, waited: Duration) -> bool {
    match wait {
        Wait::No => true,
        Wait::AtMost(limit) => waited >= limit,
        Wait::Forever => false,
    }
}

/// Why a plan is queued again whose landing found no place for a command.
pub(super) fn no_place_cause(phase: Phase) -> String {
    format!("no place was free for a command of {phase}")
}
