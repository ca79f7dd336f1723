//! What a person may want to see while a plan is driven.

use agents_domain::lock::{HeldLock, Standing};
use agents_domain::plan::{Change, Plan};

/// Told what goes on. Must not block; what it does with it is its own affair.
pub trait Observer: Send + Sync {
    /// A transition is durable.
    fn transition(&self, _plan: &Plan, _change: &Change) {}
    /// A lock is waited for: who holds it, who comes first, which place in line. Told at first, and
    /// again whenever holder or place change.
    fn waiting(&self, _standing: &Standing) {}
    /// The holder of a lock was asked for something, and is waited for.
    fn asked(&self, _held: &HeldLock) {}
    /// Something a person should know that stops nothing.
    fn warning(&self, _text: &str) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {}
