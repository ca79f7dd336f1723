//! Skeleton.

pub mod memory;
