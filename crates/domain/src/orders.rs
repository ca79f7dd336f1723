//! Orders for workers: somebody wants a plan moved so far, and does not stay to do it.
//!
//! An order is how workers find work, and nothing more. What makes a transition safe is the lock of
//! the plan, as ever: whoever takes an order up holds the plan before it decides anything, and reads
//! both again. So a claim may be soft. It spreads the workers; two that have the same claim harm
//! nobody, because one of them finds the plan held.
//!
//! ```text
//! place ─► open ─ claim ─► in hand ─┬─ the plan is as far as it should be, or failed ─► ended
//!            ▲                      └─ it waits, or its worker stops or dies ─┐
//!            └────────────────────────── put back, at the end of the line ◄───┘
//! ```
//!
//! An order ends with its plan: cancelled, applied or sent back to its start, in the same
//! transaction, whoever did it.

mod decide;
mod place;
mod port;

use crate::action::Automation;
use crate::id::{OwnerId, PlanId};
use crate::plan::{Phase, PlanRecord};
use crate::request::{Asker, Closed};
use crate::time::Timestamp;

pub use decide::{
    DEATHS, LONGEST_REST, Move, Over, Past, TRIES, is_due, is_met, next_move, passes, waits_below,
};
pub use place::{Wish, place};
#[cfg(feature = "mock")]
pub use port::MockOrders;
pub use port::{Claim, Orders, PutBack};

/// What comes first, of an order to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Again {
    /// An attempt that begins anew.
    Anew,
    /// One that begins with what was left unfinished.
    Continue,
    /// One in which failed subplans have new attempts.
    OnlyFailed,
}

impl Again {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Anew, Self::Continue, Self::OnlyFailed];

    /// The word used in rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anew => "anew",
            Self::Continue => "continue",
            Self::OnlyFailed => "only_failed",
        }
    }

    /// The one of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|again| again.as_str() == word)
    }
}

/// What is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// The plan.
    pub plan: PlanId,
    /// The phase through which it shall go.
    pub goal: Phase,
    /// Whether a plan that changed nothing counts as applied.
    pub allow_empty: bool,
    /// Whether it is tried again first, and how.
    pub again: Option<Again>,
    /// The version of the plan that was seen: what its log says after that came of the order.
    pub version: u64,
    /// Who orders it.
    pub by: Asker,
    /// When, wall time.
    pub at: Timestamp,
}

/// Who has taken an order up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The worker, by the owner of its locks.
    pub worker: OwnerId,
    /// Since when: see [`Claim::since`].
    pub since: Timestamp,
}

/// An order as it is stored: at most one for each plan, open or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkOrder {
    /// What is ordered, with whatever was added since; by whom first.
    pub wanted: NewOrder,
    /// Grows whenever something is added, or somebody else wants it, too: an end that was decided before
    /// is void.
    pub revision: u32,
    /// Since when it stands in line.
    pub ready_at: Timestamp,
    /// Not taken up before then, by the store's clock ([`WorkOrder::rests`]).
    pub not_before: Option<Timestamp>,
    /// How often in a row it was put back because of trouble that is not the plan's.
    pub troubles: u32,
    /// What that was, the last time.
    pub trouble: Option<String>,
    /// Who has it in hand.
    pub claim: Option<Claimed>,
    /// How it ended; `None`: it is open.
    pub closed: Option<Closed>,
}

impl WorkOrder {
    /// An order that has just been placed.
    pub fn placed(wanted: NewOrder, revision: u32) -> Self {
        Self {
            revision,
            ready_at: wanted.at,
            not_before: None,
            troubles: 0,
            trouble: None,
            claim: None,
            closed: None,
            wanted,
        }
    }

    /// Whether it has not ended.
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// What is stored once another order for the same plan has come: ordering twice is ordering
    /// once, and whatever goes further is added. It keeps its place in the line, and who ordered it
    /// first; what kept it waiting is forgotten, because somebody wants it now.
    #[must_use]
    pub fn with(self, more: NewOrder) -> Self {
        if !self.is_open() {
            return Self::placed(more, self.revision.saturating_add(1));
        }
        let before = self.wanted.clone();
        let (again, version) = match more.again {
            Some(_) => (more.again, more.version),
            None => (before.again, before.version),
        };
        let goal = before.goal.max(more.goal);
        let allow_empty = before.allow_empty || more.allow_empty;
        let wanted = NewOrder { goal, allow_empty, again, version, ..before.clone() };
        let same = wanted == before && more.by == before.by;
        let revision = if same { self.revision } else { self.revision.saturating_add(1) };
        Self { wanted, revision, not_before: None, troubles: 0, trouble: None, ..self }
    }
}

impl WorkOrder {
    /// What is stored once it is given back, at `now` by the store's clock; `None`: that claim is over.
    #[must_use]
    pub fn put_back(self, back: &PutBack, now: Timestamp) -> Option<Self> {
        let claimed = self.claim == Some(back.claim);
        let troubles = if back.trouble.is_some() { self.troubles.saturating_add(1) } else { 0 };
        claimed.then(|| Self {
            ready_at: back.at,
            not_before: back.rest.map(|rest| now.plus(rest.min(LONGEST_REST))),
            troubles,
            trouble: back.trouble.clone(),
            claim: None,
            ..self
        })
    }

    /// Whether it rests, at `now` by the store's clock. A rest that is longer than any is meant to be
    /// ([`LONGEST_REST`]) was begun before that clock was set back, and is over.
    pub fn rests(&self, now: Timestamp) -> bool {
        self.not_before.is_some_and(|until| now < until && until <= now.plus(LONGEST_REST))
    }
}

/// How far `plan execute` goes: a plan at the level `manual` stops after its first phase.
pub(crate) fn goal_of_execute(plan: &PlanRecord) -> Phase {
    let at_first = plan.phase() == Phase::Strategize && plan.state() != crate::plan::State::Complete;
    if at_first && plan.automation == Automation::Manual { Phase::Strategize } else { Phase::Execute }
}

/// The word for what becomes of an order when its plan is written like this: it ends with its plan.
/// The durable stores have a trigger that says the same.
pub fn ends_with(before: &PlanRecord, after: &PlanRecord) -> Option<&'static str> {
    use crate::plan::State;
    match after.state() {
        State::Applied => Some("applied"),
        State::Cancelled => Some("cancelled"),
        _ if after.reversion_count > before.reversion_count => Some("reverted"),
        _ => None,
    }
}
