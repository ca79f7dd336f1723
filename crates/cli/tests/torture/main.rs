//! The torture program: many real processes of the binary over real repositories, with a nemesis that
//! kills, freezes, interrupts, moves the clock, fills the disk, removes directories, and spoils the
//! network and the server; and a checker
//! that proves T1 to T6 and T8 (`docs/reliability.md`).
//!
//! ```text
//! cargo test -p agents --all-features --test torture                      a bounded slice, as CI runs it
//! cargo test -p agents --all-features --test torture -- --seconds 600 --seed 7 --processes 12
//! cargo test -p agents --all-features --test torture -- --only t8         every crash point
//! cargo test -p agents --all-features --test torture -- --only trees      plans with subplans alone
//! cargo test -p agents --all-features --test torture -- --sabotage fence  must report violations
//! cargo test -p agents --all-features --test torture -- --on postgres --seconds 600
//! cargo test -p agents --all-features --test torture -- --only machines --seconds 600
//! ```
//!
//! The slice, and whatever is on PostgreSQL, needs a server: `./scripts/postgres run cargo test …`.
//!
//! The exit code is not zero if anything was violated; the seed and the kept directory are printed.

#[cfg(target_os = "linux")]
mod linux;

use std::process::ExitCode;

#[expect(clippy::print_stdout, reason = "a test run says what it came to")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        // What test runners ask first; cargo itself never does.
        println!("torture: test");
        return ExitCode::SUCCESS;
    }
    run(&arguments)
}

#[cfg(target_os = "linux")]
use linux::run;

#[cfg(not(target_os = "linux"))]
#[expect(clippy::print_stdout, reason = "never silently")]
fn run(_: &[String]) -> ExitCode {
    println!("torture: NOT RUN: it needs Linux");
    ExitCode::SUCCESS
}
