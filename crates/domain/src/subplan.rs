//! Subplans: what depends on what, and what may run next.
//!
//! Pure values. A [`Graph`] has no cycle by construction; a [`Scheduler`] walks it from what is
//! known of the children to what is to be done, one [`Step`] after the other:
//!
//! ```text
//! waiting ── all it depends on merged ──► ready ── a slot is free ──► running ─┬─► merging ─┬─► merged
//!    │                                      ▲                                  │            └─► conflicted
//!    │                                      └──────── attempts left ───────────┼─► parked
//!    └── what it depends on failed ──► cancelled ◄── fail_fast ── stopping ◄───┴─► failed
//! ```
//!
//! The holder of the parent's lock is the only one who walks. Locks, time and what a child does are
//! elsewhere.

mod graph;
mod item;
mod kin;
mod names;
mod scheduler;
mod settings;
mod status;

pub use graph::{Graph, GraphProblem, Item, NodeId};
pub use item::SubplanItem;
pub use kin::{GivenUp, MAX_CHILDREN, MAX_DEPTH, Subplan, Tally, has_come_to_children, waits_for};
pub use scheduler::Scheduler;
pub use settings::{InvalidSettings, MergePolicy, Mode, Settings};
pub use status::{Cause, Found, Status, Step, Totals};
