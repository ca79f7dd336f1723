//! What the sentences of the features do, by topic.

#![expect(clippy::needless_pass_by_value, reason = "cucumber hands arguments over by value")]

mod bad_input;
mod drivers;
mod earlier;
mod events;
mod git;
mod locks;
mod moving;
mod output;
mod plans;
mod power;
mod remotes;
mod running;
mod server;
mod setup;
mod subplans;
mod trees;
mod workers;
