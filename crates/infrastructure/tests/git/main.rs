//! The git adapter against real repositories, in temporary directories, without network.

mod checkout;
mod fixture;
mod inspect;
mod land;
mod leftovers;
mod merge;
mod program;
mod registering;
mod remote;
mod results;
mod snapshot;
mod worktree;
