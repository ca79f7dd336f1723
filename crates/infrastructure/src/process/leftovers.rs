//! Processes that outlived their driver or their guard: found by the marker in their environment.
//!
//! A guard leaves nobody behind, unless it is itself killed, or stopped. Whoever then takes over the
//! plan looks here before it starts a command of its own. Linux only (`/proc/<pid>/environ`);
//! elsewhere nothing is found. The marker is the attempt's: several commands run at once for one
//! attempt share it, and are ended together.
//!
//! Found is who carries the marker, who descends from a guard that carries the attempt's name (with
//! whatever environment), and a guard that has no child: a driver may have died just before its guard
//! planted the command, and a guard that is gone plants nothing any more. Not found is a process
//! that has wiped its environment *and* whose guard is dead, or that belongs to another user.
//!
//! A number is signalled through a descriptor of the process (pidfd), opened before its start time is
//! read once more, so that nobody is hit who has the number by reuse.

#![expect(
    clippy::disallowed_methods,
    reason = "short waits for processes to end, in which nothing else can be heard"
)]

use std::thread;
use std::time::{Duration, Instant};

#[cfg(target_os = "linux")]
use super::stat;

/// A process found by its marker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leftover {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel keeps it: 15 bytes at most.
    pub name: String,
    /// When it started, in the kernel's ticks since boot: it tells it from a later one with its
    /// number.
    pub started: u64,
}

/// Between two looks while waiting for processes to end.
const PAUSE: Duration = Duration::from_millis(10);
/// How long KILL is given to take effect; only a process stuck in the kernel takes that long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes, this one excepted, that are left of the run with this marker
/// ([`RUN_MARKER`](super::RUN_MARKER)`=<plan>/<attempt>`).
pub fn find(marker: &str) -> Vec<Leftover> {
    platform::find(marker)
}

/// Ends the processes with this marker, except those whose name `keep` lists: TERM, after the
/// grace KILL. Blocks until they are gone, a few seconds beyond the grace at most; returns those
/// that were signalled.
pub fn end(marker: &str, keep: &[String], grace: Duration) -> Vec<Leftover> {
    let mut ended = Vec::new();
    let deadline = Instant::now() + grace;
    while Instant::now() < deadline {
        let new = round(marker, keep, false, &mut ended);
        if new.is_empty() {
            return ended;
        }
        thread::sleep(PAUSE);
    }
    kill_until_gone(marker, keep, &mut ended);
    ended
}

/// KILL, at once, to all processes with this marker. Blocks until they are gone, a few seconds at
/// most; returns those that were signalled.
pub(super) fn kill(marker: &str) -> Vec<Leftover> {
    let mut ended = Vec::new();
    kill_until_gone(marker, &[], &mut ended);
    ended
}

/// KILL, once, to all processes with this marker that are there now. Does not wait.
pub(super) fn strike(marker: &str) {
    round(marker, &[], true, &mut Vec::new());
}

fn kill_until_gone(marker: &str, keep: &[String], ended: &mut Vec<Leftover>) {
    let deadline = Instant::now() + PATIENCE;
    while !round(marker, keep, true, ended).is_empty() && Instant::now() < deadline {
        thread::sleep(PAUSE);
    }
}

/// Signals who is there, TERM only once each; returns who was there.
fn round(marker: &str, keep: &[String], kill: bool, ended: &mut Vec<Leftover>) -> Vec<Leftover> {
    let found: Vec<_> = find(marker).into_iter().filter(|left| !keep.contains(&left.name)).collect();
    for left in &found {
        let known = ended.contains(left);
        if kill || !known {
            platform::signal(left, kill);
        }
        if !known {
            ended.push(left.clone());
        }
    }
    found
}

#[cfg(target_os = "linux")]
mod platform {
    //! Markers read and processes signalled through `/proc` and pidfds.

    use std::collections::HashSet;
    use std::fs;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::{Leftover, stat};
    use crate::process::RUN_MARKER;
    use crate::process::session::GUARD_MARKER;

    pub(super) fn find(marker: &str) -> Vec<Leftover> {
        let me = i32::try_from(std::process::id()).unwrap_or(-1);
        let all: Vec<_> = stat::all().filter(|stat| !stat.is_dead() && stat.pid != me).collect();
        let (ours, guards) = (format!("{RUN_MARKER}={marker}"), format!("{GUARD_MARKER}={marker}"));
        let (mut found, mut keepers) = (HashSet::new(), HashSet::new());
        for stat in &all {
            let environment = fs::read(format!("/proc/{}/environ", stat.pid)).unwrap_or_default();
            let carries = |wanted: &str| environment.split(|byte| *byte == 0).any(|v| v == wanted.as_bytes());
            if carries(&ours) {
                found.insert(stat.pid);
            } else if carries(&guards) {
                keepers.insert(stat.pid);
            }
        }
        // Whoever wiped its environment has still fallen back to the guard, or hangs below it.
        let mut below = keepers.clone();
        let mut known = 0;
        while known < below.len() {
            known = below.len();
            let next: Vec<_> = all.iter().filter(|stat| below.contains(&stat.parent)).collect();
            below.extend(next.iter().map(|stat| stat.pid));
        }
        let busy = |guard: &i32| all.iter().any(|stat| stat.parent == *guard);
        found.extend(below.difference(&keepers));
        found.extend(keepers.iter().filter(|guard| !busy(guard)));
        all.into_iter().filter(|stat| found.contains(&stat.pid)).filter_map(leftover).collect()
    }

    fn leftover(stat: stat::Stat) -> Option<Leftover> {
        Some(Leftover { pid: stat.pid.try_into().ok()?, name: stat.name, started: stat.started })
    }

    pub(super) fn signal(left: &Leftover, kill: bool) {
        let Some(pid) = left.pid.try_into().ok().and_then(Pid::from_raw) else { return };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if stat::of(left.pid).is_some_and(|now| now.started == left.started) {
            let _ = pidfd_send_signal(&process, if kill { Signal::KILL } else { Signal::TERM });
            let _ = pidfd_send_signal(&process, Signal::CONT);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod platform {
    //! Environments of other processes are not to be seen.

    use super::Leftover;

    pub(super) fn find(_marker: &str) -> Vec<Leftover> {
        Vec::new()
    }

    pub(super) fn signal(_left: &Leftover, _kill: bool) {}
}
