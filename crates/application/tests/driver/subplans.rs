//! Parents and their children.

mod adopting;
mod again;
mod failing;
mod making;
mod merging;
mod modes;
mod nested;
mod stopping;
mod tree;
mod waiting;
