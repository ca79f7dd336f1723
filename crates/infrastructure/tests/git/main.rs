//! The git adapter against real repositories, in temporary directories, without network.

mod fixture;
mod inspect;
mod program;
mod snapshot;
mod worktree;
