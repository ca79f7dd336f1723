//! What the sentences of the features do, by topic.

mod bad_input;
mod drivers;
mod git;
mod locks;
mod output;
mod plans;
mod running;
mod setup;
