//! Parents and their children.

mod adopting;
mod again;
mod answers;
mod asked;
mod failing;
mod half_done;
mod making;
mod merging;
mod missing;
mod modes;
mod nested;
mod sharing;
mod stopping;
mod tree;
mod trouble;
mod waiting;
