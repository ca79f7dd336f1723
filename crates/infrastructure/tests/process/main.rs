//! The process runner with real processes.
//!
//! No test sleeps. Scripts say through a FIFO that they are ready, and hold it open: its end is
//! the proof that every process of the tree is dead.

#![cfg(target_os = "linux")]

mod endings;
mod output;
mod places;
mod room;
mod trees;
