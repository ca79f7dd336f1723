//! Skeleton.

pub mod arguments;
pub mod suggest;
