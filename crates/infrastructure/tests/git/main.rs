//! The git adapter against real repositories, in temporary directories, without a network but loopback.

mod checkout;
mod escort;
mod fixture;
mod http;
mod inspect;
mod land;
mod leftovers;
mod merge;
mod over_http;
mod program;
mod registering;
mod remote;
mod remote_landing;
mod remote_trouble;
mod results;
mod snapshot;
mod worktree;
