//! What is to be done about a plan whose driver may be gone: decided from facts, by one pure
//! function.
//!
//! | state | lock | landing | command | attempt | action |
//! |---|---|---|---|---|---|
//! | not processing | | | | | nothing |
//! | processing | another's, valid | | | | leave it alone |
//! | processing | free, stale, of a dead process | | | | take it, and decide again |
//! | processing | ours | open | | | finish the landing |
//! | processing | ours | none | ran in strategize or execute | here | save what it left, interrupt |
//! | processing | ours | none | ran in strategize or execute | on another machine | interrupt; its work is pending there |
//! | processing | ours | none | none ran in execute, only children | | adopt it, for whoever drives it on |
//! | processing | ours | none | none ran, or apply | | interrupt: there is nothing to save |
//!
//! Whoever acts on it has taken the lock first and decides again under it; each act is a
//! conditional write. Whoever has not come to drive the plan on (`agents recover`, a revert) does not
//! adopt it: nothing starts a plan that nobody ordered.

use agents_domain::lock::{Holder, Liveness};
use agents_domain::plan::{Phase, PlanRecord, State};
use agents_domain::reads::PlanView;

/// Who holds the plan's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Whoever decides.
    Ours,
    /// Nobody.
    Nobody,
    /// Somebody, whose lease has run out.
    Stale,
    /// Somebody, whose lease stands.
    Standing(Liveness),
}

/// Where an attempt's directories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Here,
    /// On the machine of that name.
    Elsewhere(String),
}

/// What is known of a plan at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its phase.
    pub phase: Phase,
    /// Its state.
    pub state: State,
    /// Who holds its lock.
    pub hold: Hold,
    /// Whether a landing was decided and is not known to have happened.
    pub landing_is_open: bool,
    /// Whether a command of the plan's own runs in the attempt.
    pub commanded: bool,
    /// Where the attempt's directories are.
    pub place: Place,
    /// Whether whoever decides drives the plan on.
    pub drives: bool,
}

/// What becomes of what a dead driver left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saving {
    /// It left no work.
    Nothing,
    /// It is put into snapshots.
    Snapshots,
    /// It stays where it is, on the machine of that name; nobody else touches it.
    Pending(String),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: the plan is not under way.
    Nothing,
    /// Nothing: whoever drives it may well be alive.
    LeaveAlone,
    /// Take the lock, and decide again.
    Take,
    /// Carry the landing out: its decision was durable.
    FinishLanding,
    /// Carry the attempt on: only children ran in it.
    Adopt,
    /// Record that the phase was cut short.
    Interrupt(Saving),
}

impl Facts {
    /// As a reader sees a plan that may be anybody's.
    pub fn seen(view: &PlanView, liveness: impl FnOnce(&Holder) -> Liveness, here: &Holder) -> Self {
        let hold = match &view.lock {
            None => Hold::Nobody,
            Some(lock) if lock.stale => Hold::Stale,
            Some(lock) => Hold::Standing(liveness(&lock.holder)),
        };
        Self::of(&view.record, hold, here, false)
    }

    /// As whoever holds the plan's lock knows it; `here`: a process on this machine; `drives`: it has
    /// come to drive the plan on.
    pub fn held(plan: &PlanRecord, here: &Holder, drives: bool) -> Self {
        Self::of(plan, Hold::Ours, here, drives)
    }

    fn of(plan: &PlanRecord, hold: Hold, here: &Holder, drives: bool) -> Self {
        let attempt = plan.last_attempt.as_ref();
        Self {
            phase: plan.phase(),
            state: plan.state(),
            hold,
            landing_is_open: plan.landing_is_open(),
            commanded: attempt.is_some_and(|attempt| attempt.commanded),
            place: attempt.map_or(Place::Here, |attempt| place(&attempt.driver, here)),
            drives,
        }
    }
}

/// A machine is known by its name alone. Containers share a boot, and not their directories; and what
/// a machine left under another name is found by its directories (`save_pending` of the driver).
fn place(driver: &Holder, here: &Holder) -> Place {
    if driver.host == here.host { Place::Here } else { Place::Elsewhere(driver.host.clone()) }
}

/// Decides.
pub fn decide(facts: &Facts) -> Action {
    match (facts.state, facts.hold) {
        (State::Processing, Hold::Ours) if facts.landing_is_open => Action::FinishLanding,
        (State::Processing, Hold::Ours)
            if facts.drives && facts.phase == Phase::Execute && !facts.commanded =>
        {
            Action::Adopt
        }
        (State::Processing, Hold::Ours) => Action::Interrupt(saving(facts)),
        (State::Processing, Hold::Standing(Liveness::Alive | Liveness::Unknown)) => Action::LeaveAlone,
        (State::Processing, Hold::Nobody | Hold::Stale | Hold::Standing(Liveness::Dead)) => Action::Take,
        _ => Action::Nothing,
    }
}

fn saving(facts: &Facts) -> Saving {
    match (&facts.place, facts.phase) {
        _ if !facts.commanded => Saving::Nothing,
        // Only throwaway directories are made there.
        (_, Phase::Apply) => Saving::Nothing,
        (Place::Here, _) => Saving::Snapshots,
        (Place::Elsewhere(host), _) => Saving::Pending(host.clone()),
    }
}

#[cfg(test)]
#[path = "recovery/tests.rs"]
mod tests;
