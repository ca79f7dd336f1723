//! How: the stores, the locks, processes, git, the clock and ids.

pub mod sqlite;
pub mod store;
