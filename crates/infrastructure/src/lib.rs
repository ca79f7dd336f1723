//! How: the stores, the locks, processes, git, the clock and ids.

pub mod action_file;
pub mod clock;
pub mod endpoint;
pub mod files;
pub mod git;
pub mod ids;
mod kin;
pub mod memory;
pub mod places;
mod plain;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
pub mod scripted;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod store;
pub mod template;
