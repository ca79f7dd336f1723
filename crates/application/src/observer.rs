//! What a person may want to see while a plan is driven.

use agents_domain::lock::{HeldLock, Standing};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Change, Plan};
use agents_domain::reads::PlanView;
use agents_domain::subplan::Totals;
use agents_domain::time::Timestamp;

/// Told what goes on. Must not block; what it does with it is its own affair.
pub trait Observer: Send + Sync {
    /// A transition is durable.
    fn transition(&self, _plan: &Plan, _change: &Change) {}
    /// A lock is waited for: who holds it, who comes first, which place in line. Told at first, and
    /// again whenever holder or place change.
    fn waiting(&self, _standing: &Standing) {}
    /// The holder of a lock was asked for something, and is waited for.
    fn asked(&self, _held: &HeldLock) {}
    /// A plan that is waited for is driven by nobody. Told once each time that it comes to that.
    fn undriven(&self, _plan: &PlanView) {}
    /// All places for commands are taken, and one is waited for. Told once for each wait.
    fn crowded(&self, _census: &PlacesCensus) {}
    /// A queued plan waits until then for its next attempt, by its action's own policy.
    fn pausing(&self, _plan: &Plan, _until: Timestamp) {}
    /// How the children of a plan stand that are run: at first, and again whenever one has ended.
    fn subplans(&self, _plan: &Plan, _totals: &Totals) {}
    /// Something a person should know that stops nothing.
    fn warning(&self, _text: &str) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
