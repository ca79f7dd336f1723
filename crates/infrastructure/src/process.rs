//! Processes: running a command under a guard, its log, and who is alive.
//!
//! ```text
//! driver (agents)                 guard (agents __exec)            the command
//!   ProcessRunner ── life-line ──▶ own session, subreaper ──spawn──▶ own process group
//!        ▲  ▲ ◀──── reports ─────── reaps everything                   │      │
//!        │  └─────────────────────── stdout ◀──────────────────────────┘      │
//!        └────────────────────────── stderr ◀─────────────────────────────────┘
//! ```
//!
//! [`ProcessRunner`] is the adapter of the port [`agents_domain::runner::PhaseRunner`];
//! [`run_guard`] is the body of the hidden command that stands between driver and command, and
//! says why; [`read_log`] puts a log's files together; [`SystemProcesses`] proves death;
//! [`leftovers`] finds what got away from a guard that was itself killed.
//!
//! Must not: use `unsafe`; use the parent-death signal (it fires when the *thread* that spawned
//! ends, and so forbids spawning from a pool; nothing here depends on the spawning thread);
//! print to the terminal; keep more than a few chunks of output in memory.

mod environment;
mod guard;
mod identity;
pub mod leftovers;
mod log;
mod output;
mod protocol;
mod redact;
mod runner;
mod session;
mod stat;

pub use guard::{GUARD_COMMAND, run_guard};
pub use identity::SystemProcesses;
pub use log::{LogFollower, LogReader, copy_log, log_files, read_log};
pub use output::Echo;
pub use runner::{ProcessRunner, RUN_MARKER, Render};
