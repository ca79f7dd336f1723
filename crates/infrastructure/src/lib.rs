//! How: the stores, the locks, processes, git, the clock and ids.

pub mod action_file;
pub mod files;
pub mod memory;
pub mod template;
