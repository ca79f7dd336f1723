//! Waiting no longer than one means to: for a command that speaks with a remote, and for a file lock
//! behind which one does.
//!
//! A command that is late is asked to end, with its whole process group (ssh, helpers, and with a remote
//! on this machine the hooks there), and killed if it does not. What it was to do may have been done: its
//! callers treat it as one that failed, and ask the remote.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus, Output};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use agents_domain::workspace::WorkspaceError;
use rustix::process::{Pid, Signal, kill_process_group};

use super::failure::{io, unsuitable};

/// How long git is given to put away its lock files, and then the system to end it.
const GRACE: Duration = Duration::from_secs(2);

/// Waits for a child that leads its own process group.
pub(super) fn wait(child: Child, limit: Duration) -> io::Result<Output> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (sender, answer) = channel();
    thread::spawn(move || drop(sender.send(child.wait_with_output())));
    let mut said = match answer.recv_timeout(limit) {
        Ok(output) => return output,
        Err(_) => end(group, &answer)?,
    };
    said.stderr.extend(late(limit).bytes());
    Ok(said)
}

/// What is said of a command that was ended.
fn late(limit: Duration) -> String {
    format!("\nit did not end within {}, and was ended\n", shown(limit))
}

/// Ends what is late. Something of it that has left the group may still hold its output; that is not
/// waited for.
fn end(group: Option<Pid>, answer: &Receiver<io::Result<Output>>) -> io::Result<Output> {
    send(group, Signal::TERM);
    let heard = answer.recv_timeout(GRACE);
    // Also if git has ended by itself: what it has started may hear nothing.
    send(group, Signal::KILL);
    heard.or_else(|_| answer.recv_timeout(GRACE)).unwrap_or_else(|_| {
        let status = ExitStatus::from_raw(Signal::KILL.as_raw());
        Ok(Output { status, stdout: Vec::new(), stderr: Vec::new() })
    })
}

/// A group that has ended meanwhile is fine.
fn send(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group
        && let Err(error) = kill_process_group(group, signal)
    {
        tracing::debug!(%error, "the group of a late git");
    }
}

/// Waits for the lock of that file, which is made if it is not there; dropping it releases the lock.
/// `None`: it was not free within that time.
pub(super) fn hold(path: &Path, limit: Duration) -> Result<Option<File>, WorkspaceError> {
    let file = File::options().create(true).append(true).open(path).map_err(io(path))?;
    if file.try_lock().is_ok() {
        return Ok(Some(file));
    }
    let (sender, locked) = channel();
    // If it comes too late nobody takes it, and it is dropped there.
    thread::spawn(move || drop(sender.send(lock(&file).map(|()| file))));
    match locked.recv_timeout(limit) {
        Ok(locked) => locked.map(Some).map_err(|error| unsuitable(path, error)),
        Err(_) => Ok(None),
    }
}

/// A signal may interrupt the wait; it goes on.
fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// `10 min`, `90 s`, `500 ms`.
pub(super) fn shown(limit: Duration) -> String {
    match (limit.as_millis(), limit.as_secs()) {
        (_, seconds) if seconds >= 60 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        (millis, seconds) if millis % 1000 == 0 => format!("{seconds} s"),
        (millis, _) => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn sh(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    }

    #[test]
    fn one_in_time_says_what_it_says() {
        let output = wait(sh("echo out; exit 3"), Duration::from_mins(1)).expect("it ran");
        assert_eq!((output.stdout, output.status.code()), (b"out\n".to_vec(), Some(3)));
    }

    #[test]
    fn one_that_is_late_is_ended_with_all_that_it_started_and_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("never");
        assert!(Command::new("mkfifo").arg(&file).status().expect("it runs").success());
        // Its child ignores TERM, and holds on to its output.
        let script =
            format!("(trap '' TERM; read x < {0}; read x < {0}) & echo began >&2; wait", file.display());
        let output = wait(sh(&script), Duration::from_millis(50)).expect("it was ended");
        assert!(!output.status.success());
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(said, "began\n\nit did not end within 50 ms, and was ended\n");
    }

    #[test]
    fn a_lock_that_is_not_free_in_time_is_not_waited_for_and_one_that_comes_late_is_given_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("lock");
        let held = hold(&path, Duration::ZERO).expect("looked").expect("it is free");
        assert!(hold(&path, Duration::from_millis(20)).expect("looked").is_none());
        drop(held);
        assert!(hold(&path, Duration::from_mins(1)).expect("looked").is_some());
    }

    #[test]
    fn lengths_are_told_in_round_units() {
        let lengths = [Duration::from_mins(10), Duration::from_secs(90), Duration::from_millis(500)];
        assert_eq!(lengths.map(shown), ["10 min", "90 s", "500 ms"]);
    }
}
