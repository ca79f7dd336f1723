//! Skeleton.

pub mod clock;
pub mod ids;
pub mod process;
