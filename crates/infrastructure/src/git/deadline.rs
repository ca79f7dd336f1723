//! Waiting no longer than one means to: for a command that speaks with a remote, and for a file lock
//! behind which one does.
//!
//! A command that is late is asked to end, with its whole process group (ssh, helpers, and with a remote
//! on this machine the hooks there), and killed if it does not. What it was to do may have been done: its
//! callers treat it as one that failed, and ask the remote. One with an escort is ended by that (`escort`).
//!
//! It is over when its process has ended, not when its output has: what it leaves running (a connection that
//! ssh shares, a daemon that keeps passwords) has the other end of the pipes too, for as long as it lives.
//! All that git itself said is in them by then.

use std::fs::File;
use std::io::{self, ErrorKind, PipeWriter, Read};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use agents_domain::workspace::WorkspaceError;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::failure::{io, unsuitable};

/// How long git is given to put away its lock files, and then the system to end it.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// How long one who listens to a pipe on which nothing comes does so before looking whether git has ended.
const LISTEN: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Waits for a child that leads its own process group. `line`: by which its escort is told to end it, if the
/// child is one.
pub(super) fn wait(mut child: Child, limit: Duration, line: Option<PipeWriter>) -> io::Result<Output> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (out, err, over) = (child.stdout.take(), child.stderr.take(), AtomicBool::new(false));
    let (sender, answer) = channel();
    thread::spawn(move || drop(sender.send(child.wait())));
    let (status, stdout, stderr) = thread::scope(|scope| {
        let (out, err) = (scope.spawn(|| heard(out, &over)), scope.spawn(|| heard(err, &over)));
        let status = answer.recv_timeout(limit).map_err(|_| end(group, line, &answer));
        over.store(true, Ordering::SeqCst);
        (status, out.join(), err.join())
    });
    let broken = |_| io::Error::other("who listened to git has panicked");
    let (stdout, mut stderr) = (stdout.map_err(broken)??, stderr.map_err(broken)??);
    let status = status.or_else(|ended| {
        stderr.extend(late(limit).bytes());
        Ok::<_, io::Error>(ended)
    })?;
    Ok(Output { status: status?, stdout, stderr })
}

/// What Linux lets a pipe of a user without privileges hold (`pipe-max-size`, 1 MiB).
const MOST_IN_A_PIPE: usize = 1 << 20;

/// What comes from that pipe, to its end or until all has been read of what was in it when git ended. What
/// git left behind may write on for ever: no more than a pipe can hold is read then.
fn heard(pipe: Option<impl Read + AsFd>, over: &AtomicBool) -> io::Result<Vec<u8>> {
    let (mut all, mut buffer, mut after) = (Vec::new(), [0; 8192], 0);
    let Some(mut pipe) = pipe else { return Ok(all) };
    loop {
        // In this order: what git wrote last must be found by the look that follows.
        let over = over.load(Ordering::SeqCst);
        let patience = if over { Timespec::default() } else { LISTEN };
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&patience)) {
            Ok(0) if over => return Ok(all),
            Ok(_) if over && after >= MOST_IN_A_PIPE => return Ok(all),
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            ready => ready?,
        };
        match pipe.read(&mut buffer)? {
            0 => return Ok(all),
            count => {
                after += if over { count } else { 0 };
                all.extend(&buffer[..count]);
            }
        }
    }
}

/// How what is said of a command that was ended begins.
pub(super) const LATE: &str = "it did not end within";

/// What is said of a command that was ended.
fn late(limit: Duration) -> String {
    format!("\n{LATE} {}, and was ended\n", shown(limit))
}

/// Ends what is late, and says how it ended.
fn end(
    group: Option<Pid>,
    line: Option<PipeWriter>,
    answer: &Receiver<io::Result<ExitStatus>>,
) -> io::Result<ExitStatus> {
    let heard = if let Some(line) = line {
        // An escort gives git that grace by itself.
        drop(line);
        answer.recv_timeout(GRACE * 2)
    } else {
        send(group, Signal::TERM);
        answer.recv_timeout(GRACE)
    };
    // Also if git has ended by itself: what it has started may hear nothing.
    send(group, Signal::KILL);
    let heard = heard.or_else(|_| answer.recv_timeout(GRACE));
    heard.unwrap_or_else(|_| Ok(ExitStatus::from_raw(Signal::KILL.as_raw())))
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
    fn what_is_left_behind_and_writes_on_is_not_listened_to_for_ever() {
        let output = wait(sh("yes & exit 0"), Duration::from_mins(1), None).expect("it ran");
        assert!(output.status.success() && output.stdout.len() <= 1 << 22, "{}", output.stdout.len());
    }

    #[test]
    fn one_in_time_says_what_it_says() {
        let output = wait(sh("echo out; exit 3"), Duration::from_mins(1), None).expect("it ran");
        assert_eq!((output.stdout, output.status.code()), (b"out\n".to_vec(), Some(3)));
    }

    #[test]
    fn what_it_leaves_running_is_not_waited_for_and_all_that_it_said_is_heard() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("never");
        assert!(Command::new("mkfifo").arg(&file).status().expect("it runs").success());
        let script =
            format!("(read x < {0}) & head -c 200000 /dev/zero; echo told >&2; exit 3", file.display());
        let child = sh(&script);
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        let output = wait(child, Duration::from_secs(20), None).expect("it ran");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 200_000));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "told\n", "in time");
        kill_process_group(group, Signal::KILL).expect("it is left alone");
    }

    #[test]
    fn one_that_is_late_is_ended_with_all_that_it_started_and_says_so() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("never");
        assert!(Command::new("mkfifo").arg(&file).status().expect("it runs").success());
        // Its child ignores TERM, and holds on to its output.
        let script =
            format!("(trap '' TERM; read x < {0}; read x < {0}) & echo began >&2; wait", file.display());
        let output = wait(sh(&script), Duration::from_millis(50), None).expect("it was ended");
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
