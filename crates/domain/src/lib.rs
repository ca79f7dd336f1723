//! What is true: plans and their transitions, locks and their fences, and the ports.
//!
//! This crate is pure. It never reads time, randomness, the environment or a disk, and depends
//! on nothing but `async-trait` and `thiserror` (and `mockall` behind the feature `mock`).
//!
//! Three invariants live here:
//!
//! 1. Phase and state of a plan change only through one total function, live and on replay.
//! 2. Writing a plan takes a [`lock::Fence`]; a fencing token is made only from storage.
//! 3. Whether a lock is granted is decided by [`lock::LockRecord`] and nothing else.

pub mod action;
pub mod catalogue;
pub mod feed;
pub mod files;
pub mod housekeeping;
pub mod id;
pub mod lock;
pub mod measures;
pub mod name;
pub mod oid;
pub mod orders;
pub mod places;
pub mod plan;
pub mod reads;
pub mod request;
pub mod runner;
pub mod subplan;
pub mod time;
pub mod why;
pub mod workers;
pub mod workspace;
