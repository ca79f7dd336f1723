//! Skeleton.

pub mod git;
