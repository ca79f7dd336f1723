//! Subplans: what depends on what, and what may run next.
//!
//! Pure values. A [`Graph`] has no cycle by construction; a [`Scheduler`] walks it from what is
//! known of the children to what is to be done, one [`Step`] after the other:
//!
//! ```text
//! waiting ── all it depends on merged ──► ready ── a slot is free ──► running ─┬─► merging ─► merged
//!    │                                      ▲                                  ├─► conflicted
//!    │                                      └──────── attempts left ───────────┤
//!    └── what it depends on failed ──► cancelled ◄── fail_fast ── stopping ◄───┴─► failed
//! ```
//!
//! The holder of the parent's lock is the only one who walks. Locks, time and what a child does are
//! elsewhere.

mod graph;
mod names;
mod scheduler;
mod settings;

pub use graph::{Graph, GraphProblem, Item, NodeId};
pub use scheduler::{Cause, Found, Scheduler, Status, Step, Totals};
pub use settings::{InvalidSettings, MergePolicy, Mode, Settings};
