//! Parents and their children.

mod again;
mod failing;
mod merging;
mod modes;
mod stopping;
mod tree;
