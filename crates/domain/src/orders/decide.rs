//! What a worker does next with a plan that it holds and that is ordered: a pure decision, taken anew
//! after each step.

use std::time::Duration;

use crate::lock::HeldLock;
use crate::plan::{Change, Event, InterruptCause, Phase, PlanRecord, State};
use crate::time::Timestamp;

use super::{Again, Claim, WorkOrder};

/// So many drivers may die over a plan before its order ends: what kills one kills the next.
pub const DEATHS: u32 = 5;

/// So often what passes by itself is tried again: by the pauses of a worker, about a night.
pub const TRIES: u32 = 150;

/// No order rests for longer.
pub const LONGEST_REST: Duration = Duration::from_mins(10);

/// Failures that pass by themselves: the remote of a project cannot be used just now, or did not answer. What it
/// refuses for good (`remote_refused`) is none of them: it would be refused all night.
const PASSING: [&str; 2] = ["remote", "landing_unknown"];

/// What is known of the past of a plan that is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Past {
    /// Whether it has been tried again, as ordered.
    pub begun: bool,
    /// How many drivers have died over it since a phase was last completed.
    pub deaths: u32,
    /// Whether it has been moved in this turn.
    pub moved: bool,
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
    /// It was interrupted, or what failed may have passed, and it is queued again: nobody's fault, so no
    /// new attempts are given to a child.
    Resume,
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
    /// It waits: for its time, for a person, or for what was in its way to pass.
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
/// but who took it out of its driver's hands wants to look at it. Nor is what passes by itself: the
/// order rests before the next turn tries again.
fn after_failure(order: &WorkOrder, plan: &PlanRecord, past: Past) -> Move {
    if let Some(again) = order.wanted.again.filter(|_| !past.begun) {
        return Move::Retry(again);
    }
    let code = plan.failure.as_ref().map_or("unknown", |failure| failure.code.as_str());
    if passes(plan) && order.troubles < TRIES {
        return if past.moved { Move::Wait } else { Move::Resume };
    }
    match InterruptCause::parse(code).filter(|_| plan.state() == State::Errored) {
        Some(InterruptCause::Asked) | None => Move::Over(Over::Failed { code: code.to_owned() }),
        Some(_) if past.deaths >= DEATHS => Move::Over(Over::Deadly),
        Some(_) => Move::Resume,
    }
}

/// Whether a plan has failed by something that passes by itself.
pub fn passes(plan: &PlanRecord) -> bool {
    let code = plan.failure.as_ref().map(|failure| failure.code.as_str());
    plan.state() == State::Errored && code.is_some_and(|code| PASSING.contains(&code))
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
/// and nobody alive has the plan in hand. What a plan waits for goes by the clock of whoever claims, who
/// drives it by the same; how long an order rests, by that of the store, which says that it is `now`.
///
/// `stirred`: of a plan that [`waits_below`], whether it need not wait any longer: nothing below it asks
/// a person, or something there has changed since it went to wait.
pub fn is_due(
    order: &WorkOrder,
    plan: &PlanRecord,
    lock: Option<&HeldLock>,
    stirred: bool,
    (claim, now): (&Claim, Timestamp),
) -> bool {
    let ready = order.is_open() && order.claim.is_none() && !order.rests(now);
    let held = lock.is_some_and(|held| !held.stale && !claim.dead.contains(&held.owner));
    let waits = plan.state() == State::Queued && must_wait(plan, claim.now);
    ready && !held && !waits && (stirred || !waits_below(plan))
}

/// Whether it waits for what is below it: it says neither until when, nor for which answer.
pub fn waits_below(plan: &PlanRecord) -> bool {
    let parked = plan.parked.as_ref().filter(|_| plan.state() == State::Queued);
    parked.is_some_and(|parked| parked.until.is_none() && parked.input.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Automation;
    use crate::id::{EventId, PlanId};
    use crate::name::Name;
    use crate::orders::NewOrder;
    use crate::plan::{Failure, Origin, Plan, Stage};
    use crate::request::Asker;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn plan(phase: Phase, state: State, code: Option<&str>) -> PlanRecord {
        let id = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID");
        let action = Name::parse("fix").expect("a name");
        let origin =
            Origin { name: None, action, automation: Automation::Review, projects: vec![], subplan: None };
        let mut record = Plan::create(id, &origin, NOW).into_record();
        record.stage = Stage::new(phase, state).expect("exists");
        record.failure = code.map(|code| Failure {
            code: code.to_owned(),
            message: String::new(),
            hint: None,
            retryable: true,
        });
        record
    }

    fn order(goal: Phase, again: Option<Again>) -> WorkOrder {
        let by = Asker { host: "box".into(), pid: 1, user: "ada".into() };
        let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID");
        WorkOrder::placed(NewOrder { plan, goal, allow_empty: false, again, version: 3, by, at: NOW }, 1)
    }

    fn event(seq: u64, change: Change) -> Event {
        let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID");
        let id = EventId::parse(&format!("{seq:026}")).expect("a ULID");
        Event { id, plan, seq, at: NOW, owner: None, token: None, change }
    }

    fn died() -> Change {
        Change::Interrupted { cause: InterruptCause::OwnerDied, work: vec![] }
    }

    #[test]
    fn an_order_goes_as_far_as_its_goal_and_no_farther() {
        let far = |goal, phase, state| {
            next_move(&order(goal, None), &plan(phase, state, None), Past::default(), NOW)
        };
        let execute = |whole_way| Move::Execute { whole_way };
        let apply = Move::Apply { allow_empty: false };
        let reached = Move::Over(Over::Reached);
        for (goal, phase, state, expected) in [
            (Phase::Strategize, Phase::Strategize, State::Queued, execute(false)),
            (Phase::Strategize, Phase::Strategize, State::Complete, reached.clone()),
            (Phase::Execute, Phase::Strategize, State::Queued, execute(true)),
            (Phase::Execute, Phase::Strategize, State::Complete, execute(true)),
            (Phase::Execute, Phase::Execute, State::Processing, execute(true)),
            (Phase::Execute, Phase::Execute, State::Complete, reached.clone()),
            (Phase::Execute, Phase::Apply, State::Queued, reached.clone()),
            (Phase::Apply, Phase::Execute, State::Queued, execute(true)),
            (Phase::Apply, Phase::Execute, State::Complete, apply.clone()),
            (Phase::Apply, Phase::Apply, State::Queued, apply),
            (Phase::Apply, Phase::Apply, State::Applied, reached.clone()),
            (Phase::Apply, Phase::Execute, State::Cancelled, reached),
        ] {
            assert_eq!(far(goal, phase, state), expected, "{goal}: {phase}/{state}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_once_a_turn_for_a_night() {
        let (fresh, moved) = (Past::default(), Past { moved: true, ..Past::default() });
        let tired = WorkOrder { troubles: TRIES, ..order(Phase::Apply, None) };
        for code in PASSING {
            let errored = plan(Phase::Apply, State::Errored, Some(code));
            let next = |order: &WorkOrder, past| next_move(order, &errored, past, NOW);
            assert_eq!(next(&order(Phase::Apply, None), fresh), Move::Resume);
            assert_eq!(next(&order(Phase::Apply, None), moved), Move::Wait);
            let again = order(Phase::Apply, Some(Again::Anew));
            assert_eq!(next(&again, fresh), Move::Retry(Again::Anew), "what was ordered comes first");
            assert_eq!(next(&tired, fresh), Move::Over(Over::Failed { code: code.to_owned() }));
            assert!(passes(&errored) && !is_met(&again, &errored, fresh, NOW));
        }
        for code in ["git", "remote_refused"] {
            assert!(!passes(&plan(Phase::Apply, State::Errored, Some(code))), "{code}");
        }
        assert!(!passes(&plan(Phase::Apply, State::Queued, Some("remote"))));
    }

    #[test]
    fn a_failure_ends_an_order_and_an_interruption_does_not() {
        let errored = |code| plan(Phase::Execute, State::Errored, Some(code));
        let next = |again, code, past| next_move(&order(Phase::Execute, again), &errored(code), past, NOW);
        let (fresh, begun) = (Past::default(), Past { begun: true, ..Past::default() });
        let failed = |code: &str| Move::Over(Over::Failed { code: code.to_owned() });
        assert_eq!(next(None, "exit_code", fresh), failed("exit_code"));
        assert_eq!(next(Some(Again::Continue), "exit_code", fresh), Move::Retry(Again::Continue));
        assert_eq!(next(Some(Again::Continue), "exit_code", begun), failed("exit_code"), "once");
        for code in ["owner_died", "lease_lost", "shutdown"] {
            assert_eq!(next(None, code, fresh), Move::Resume, "{code}");
        }
        assert_eq!(next(None, "asked", fresh), failed("asked"), "somebody wants to look at it");
        let deadly = Past { begun: true, deaths: DEATHS, moved: false };
        assert_eq!(next(None, "owner_died", deadly), Move::Over(Over::Deadly));
    }

    #[test]
    fn the_log_tells_what_came_of_an_order_since_it_was_given() {
        let completed =
            Change::PhaseCompleted { tips: std::collections::BTreeMap::new(), strategy: None, work: vec![] };
        let log = [event(3, Change::retried()), event(4, died()), event(5, died())];
        assert_eq!(Past::of(&log, 3), Past { deaths: 2, ..Past::default() });
        assert_eq!(Past::of(&log, 2), Past { begun: true, deaths: 2, moved: false });
        let on = [event(4, died()), event(5, completed), event(6, died())];
        assert_eq!(Past::of(&on, 3), Past { deaths: 1, ..Past::default() }, "it got somewhere in between");
    }
}
