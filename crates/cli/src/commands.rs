//! One file for each command: from parsed arguments to a report.

pub mod action;
pub mod db;
pub mod demo;
pub mod diagnostics;
pub mod events;
pub mod follow;
pub mod init;
pub mod lock;
pub mod metrics;
pub mod plan;
pub mod project;
pub mod prune;
pub mod recover;
pub mod run;
pub mod tree;
pub mod worker;

mod cancel;
mod detach;
mod drive;
mod graph;
mod resolve;
mod results;
mod spawn;
mod wait;
mod why;
