//! The guard: the process between driver and command that leaves nothing behind.
//!
//! # Why a process of its own
//!
//! A driver can be killed with a signal that it cannot handle, and its command must not outlive
//! it: the next holder of the plan's lock may start at once. The kernel has three means. A
//! process group is left by whoever calls `setsid`, and nobody signals it once the driver is
//! dead. The parent-death signal reaches one generation only, and fires when the *thread* that
//! spawned ends, so a pool thread must never spawn. What is left: a small process that outlives
//! the driver by a moment, sees its death as the end of a socket (the *life-line*), and to which
//! as *child subreaper* every descendant falls back whose own parent has ended, however it
//! daemonised. It holds nothing else and does nothing else. No `unsafe` is needed for it.
//!
//! # Timeline
//!
//! ```text
//! driver                      guard                                command
//!   spawn agents __exec ──────▶ (stdin: life-line; stdout, stderr: the driver's pipes)
//!   run {argv, dir, env} ─────▶ setsid, subreaper
//!                               spawn ─────────────────────────────▶ own group, stdin /dev/null
//!   ◀─────────── started {pid}
//!                               wait for: orders, the line's end, dead children, the grace
//!   term ─────────────────────▶ TERM + CONT to the group and to all who fell back to us
//!                               … the grace passes: KILL
//!   kill, or the line ends ───▶ KILL to the group and to all who fell back; again for those
//!                               who fall back thereupon, until no child is left
//!                               reap ◀───────────────────────────── exit
//!   ◀──── child_ended {status}
//!                               others left: TERM, the grace, KILL, as above
//!                               no child is left (ECHILD)
//!   ◀─────────────────── gone   exit
//! ```
//!
//! # What it guarantees
//!
//! - `gone` is sent, and the guard exits with 0, only when the kernel says that it has no child;
//!   as a process without living parent falls back to us *before* its parent can be reaped, that
//!   means that no descendant is alive at all.
//! - No number is signalled that could belong to somebody else by now. Numbers are reused only
//!   after reaping, and reaping is done on the same thread as signalling: so our direct children,
//!   and the command's group until the command is reaped, are safe targets, and the only ones.
//!   Deeper descendants get their turn as they fall back to us, a generation at a time.
//! - Both TERM orders and the leftovers of a command that has ended share one grace.
//!
//! # What it does not
//!
//! - SIGKILL to the guard itself leaves the tree without one; the driver then sees the line end
//!   early and ends what carries the run's marker (`leftovers`). Signals that a terminal sends to
//!   its foreground group do not reach it, as it has a session of its own; it handles none.
//! - Without subreapers (macOS) the guarantee is for the command's process group only.
//! - An orphan in another pid namespace is killed with that namespace's first process.
//! - It does not look at the driver's health: a driver that is stopped, not dead, holds the line.

mod keeper;
mod tree;

use std::io::{self, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, setsid, waitid};

use super::protocol::{self, Order, Report};
use keeper::{Event, Keeper};
use tree::Tree;

/// The hidden command under which a binary must call [`run_guard`], before anything else.
pub const GUARD_COMMAND: &str = "__exec";

/// The whole life of a guard process. Its standard input must be the driver's life-line.
///
/// Exits with 0 when no process of the command is left (or none was started), with 1 when it
/// could not do its work, for example because a person called it.
pub fn run_guard() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // To the log of the run, or to the person; there is nobody else to tell.
            let _ = writeln!(io::stderr(), "agents {GUARD_COMMAND}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let mut line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut orders = BufReader::new(line.try_clone()?);
    let Some(Order::Run(job)) = protocol::receive(&mut orders)? else {
        return Err(io::Error::other("no job: this command is for agents itself"));
    };
    setsid()?;
    become_subreaper()?;
    let tree = match Tree::plant(&job) {
        Ok(tree) => tree,
        Err(refusal) => return protocol::send(&mut line, &Report::Refused(refusal)),
    };
    // Whether the driver is still there to read it is the business of the orders' thread.
    let _ = protocol::send(&mut line, &Report::Started { pid: tree.leader() });
    let (events, reaped) = watch(orders);
    Keeper::new(line, tree, job.grace).run(&events, &reaped);
    Ok(())
}

#[cfg(target_os = "linux")]
fn become_subreaper() -> io::Result<()> {
    // Any number but zero means yes.
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

#[cfg(not(target_os = "linux"))]
fn become_subreaper() -> io::Result<()> {
    Ok(())
}

/// Starts the two threads that wait; they end with the process.
fn watch(orders: BufReader<UnixStream>) -> (Receiver<Event>, Sender<()>) {
    let (sender, events) = channel();
    let (reaped, done) = channel();
    let children = sender.clone();
    thread::spawn(move || watch_orders(orders, &sender));
    thread::spawn(move || watch_children(&children, &done));
    (events, reaped)
}

fn watch_orders(mut line: BufReader<UnixStream>, events: &Sender<Event>) {
    while let Ok(Some(order)) = protocol::receive(&mut line) {
        let _ = events.send(Event::Order(order));
    }
    let _ = events.send(Event::LineEnded);
}

/// Sees dead children, but leaves reaping to the thread that signals; waits for it to be done.
fn watch_children(events: &Sender<Event>, done: &Receiver<()>) {
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
            Ok(_) => {
                let _ = events.send(Event::Zombie);
                let _ = done.recv();
            }
            Err(Errno::INTR) => {}
            Err(_) => break,
        }
    }
    let _ = events.send(Event::Childless);
}
