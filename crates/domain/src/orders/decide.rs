//! What a worker does next with a plan that it holds and that is ordered: a pure decision, taken anew
//! after each step.

use crate::id::OwnerId;
use crate::lock::HeldLock;
use crate::plan::{Change, Event, InterruptCause, Phase, PlanRecord, State};
use crate::time::Timestamp;

use super::{Again, WorkOrder};

/// So many drivers may die over a plan before its order ends: what kills one kills the next.
pub const DEATHS: u32 = 5;

/// What the log of a plan tells about its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Whether it has been tried again, as ordered.
    pub begun: bool,
    /// How many drivers have died over it since a phase was last completed.
    pub deaths: u32,
}

impl Past {
    /// What the log says after that version.
    pub fn of(events: &[Event], since: u64) -> Self {
        let mut past = Self::default();
        for event in events.iter().filter(|event| event.seq > since) {
            match event.change {
                Change::Retried { .. } | Change::PhaseStarted { .. } | Change::Adopted { .. } => {
                    past.begun = true;
                }
                Change::Interrupted { cause: InterruptCause::OwnerDied, .. } => past.deaths += 1,
                Change::PhaseCompleted { .. } => past.deaths = 0,
                _ => {}
            }
        }
        past
    }
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// It is tried again, like this.
    Retry(Again),
    /// Strategize and execute; `whole_way`: whatever the level.
    Execute {
        /// Whether it goes through both.
        whole_way: bool,
    },
    /// It lands.
    Apply {
        /// Whether nothing may be landed.
        allow_empty: bool,
    },
    /// It waits: for its time, or for a person.
    Wait,
    /// The order has come to its end.
    Over(Over),
}

/// How an order ends that is not ended by its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// The plan is as far as it should be.
    Reached,
    /// It failed; whoever ordered it looks at it.
    Failed {
        /// The code of its failure.
        code: String,
    },
    /// Drivers die over it.
    Deadly,
}

impl Over {
    /// What is stored as the outcome.
    pub fn outcome(&self) -> String {
        match self {
            Self::Reached => "reached".to_owned(),
            Self::Failed { code } => format!("failed: {code}"),
            Self::Deadly => format!("given up: {DEATHS} processes died over it"),
        }
    }
}

/// What to do next with a plan that is held, and of which no dead driver has left anything.
pub fn next_move(order: &WorkOrder, plan: &PlanRecord, past: Past, now: Timestamp) -> Move {
    let wanted = &order.wanted;
    match plan.state() {
        State::Applied | State::Cancelled => Move::Over(Over::Reached),
        State::Errored | State::Constrained => after_failure(order, plan, past),
        _ if is_reached(plan, wanted.goal) => Move::Over(Over::Reached),
        State::Queued if must_wait(plan, now) => Move::Wait,
        State::Queued if wanted.again == Some(Again::OnlyFailed) && !past.begun => {
            Move::Retry(Again::OnlyFailed)
        }
        _ if plan.phase() == Phase::Apply || is_executed(plan) => {
            Move::Apply { allow_empty: wanted.allow_empty }
        }
        _ => Move::Execute { whole_way: wanted.goal > Phase::Strategize },
    }
}

/// A failure ends the order, unless it is about that failure. An interruption is none of the plan's;
/// but who took it out of its driver's hands wants to look at it.
fn after_failure(order: &WorkOrder, plan: &PlanRecord, past: Past) -> Move {
    if let Some(again) = order.wanted.again.filter(|_| !past.begun) {
        return Move::Retry(again);
    }
    let code = plan.failure.as_ref().map_or("unknown", |failure| failure.code.as_str());
    match InterruptCause::parse(code).filter(|_| plan.state() == State::Errored) {
        Some(InterruptCause::Asked) | None => Move::Over(Over::Failed { code: code.to_owned() }),
        Some(_) if past.deaths >= DEATHS => Move::Over(Over::Deadly),
        Some(_) => Move::Retry(Again::Anew),
    }
}

/// Whether the plan is already as far as its order says, or has failed: nobody need take it up but
/// to end the order.
pub fn is_met(order: &WorkOrder, plan: &PlanRecord, past: Past, now: Timestamp) -> bool {
    let processing = plan.state() == State::Processing;
    !order.is_open() || (!processing && matches!(next_move(order, plan, past, now), Move::Over(_)))
}

fn is_executed(plan: &PlanRecord) -> bool {
    (plan.phase(), plan.state()) == (Phase::Execute, State::Complete)
}

fn is_reached(plan: &PlanRecord, goal: Phase) -> bool {
    plan.phase() > goal || (plan.phase() == goal && plan.state() == State::Complete)
}

/// Whether it waits by its own wish, for its time or for a person's answer.
fn must_wait(plan: &PlanRecord, now: Timestamp) -> bool {
    plan.parked
        .as_ref()
        .is_some_and(|parked| parked.input.is_some() || parked.until.is_some_and(|until| now < until))
}

/// Whether a worker may take up the order of a plan now: it is its turn, the plan waits for nothing,
/// and nobody alive has the plan in hand. `dead` are owners that are beyond doubt no more.
///
/// `stirred`: of a plan that [`waits_below`], whether it need not wait any longer: nothing below it asks
/// a person, or something there has changed since it went to wait.
pub fn is_due(
    order: &WorkOrder,
    plan: &PlanRecord,
    lock: Option<&HeldLock>,
    stirred: bool,
    (now, dead): (Timestamp, &[OwnerId]),
) -> bool {
    let ready = order.is_open() && order.claim.is_none() && order.not_before.is_none_or(|at| at <= now);
    let held = lock.is_some_and(|held| !held.stale && !dead.contains(&held.owner));
    let waits = plan.state() == State::Queued && must_wait(plan, now);
    ready && !held && !waits && (stirred || !waits_below(plan))
}

/// Whether it waits for what is below it: it says neither until when, nor for which answer.
pub fn waits_below(plan: &PlanRecord) -> bool {
    let parked = plan.parked.as_ref().filter(|_| plan.state() == State::Queued);
    parked.is_some_and(|parked| parked.until.is_none() && parked.input.is_none())
}
