//! The escort: a small process between this program and a git that speaks with a remote, so that such a git
//! ends with whoever started it.
//!
//! ```text
//! agents                            agents __escort                    git push …
//!   life-line ─────────────────────▶ stdin          ──spawn──▶          its own group, stdin /dev/null
//!   stdout, stderr ◀────────────────────────────────────────────────────── writes
//!   killed, or cuts the line ──────▶ TERM to the group … the grace passes, or git ends: KILL to the group
//!   ◀───────────────────────────────  ends as git has ended
//! ```
//!
//! A remote may be silent, and a hook there may wait for ever. Whoever waits for git ends it in time
//! (`deadline`); one that is killed with a signal that it cannot handle ends nothing, and its push might land
//! hours later, when others have long looked and decided. It would do no harm (a push is a compare-and-swap), but
//! nobody would expect it, and it would hold what it holds here.
//!
//! Unlike the guard of commands (`process`) it leaves alone what git itself leaves behind on purpose when it ends: a
//! connection that ssh shares, a daemon that keeps passwords. So it is no subreaper: what ends with git is git's
//! process group. The number of that group belongs to it for as long as git is not reaped, which is done last.
//!
//! What was sent to a server before is under way; what becomes of it is asked of the remote, as ever.

use std::ffi::{OsStr, OsString};
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, kill_process_group, waitid};

use super::deadline::GRACE;

/// The hidden command under which a binary must call [`run_escort`], with what follows it, before anything else.
pub const ESCORT_COMMAND: &str = "__escort";

/// How an escort ends whose program was not found …
const NOT_FOUND: u8 = 127;
/// … or could not be started for another reason; it says which.
const NOT_STARTED: u8 = 126;

/// The whole life of an escort: runs that program with these arguments, and ends as it does. Its standard input
/// must be a pipe to which only its master can write; the end of it ends the program.
pub fn run_escort(line: &[OsString]) -> ExitCode {
    let [program, arguments @ ..] = line else { return ExitCode::FAILURE };
    match serve(program, arguments) {
        Ok(status) => like(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}{error}", says());
            ExitCode::from(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED })
        }
    }
}

/// What makes of a command one that is escorted, and the line that holds it.
pub(super) fn escorted(escort: &Path, command: &Command) -> io::Result<(Command, PipeWriter)> {
    let (theirs, line) = io::pipe()?;
    let mut outer = Command::new(escort);
    outer.arg(ESCORT_COMMAND).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(key, value),
            None => outer.env_remove(key),
        };
    }
    outer.current_dir("/").process_group(0).stdin(theirs);
    Ok((outer, line))
}

/// Why the program of an escort did not start, if that is what its escort says.
pub(super) fn unstarted(output: &Output) -> Option<io::Error> {
    let code = output.status.code().and_then(|code| u8::try_from(code).ok())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.strip_prefix(&says())?.trim_end().to_owned();
    match code {
        NOT_FOUND => Some(io::ErrorKind::NotFound.into()),
        NOT_STARTED => Some(io::Error::other(reason)),
        _ => None,
    }
}

fn says() -> String {
    format!("agents {ESCORT_COMMAND}: ")
}

/// What an escort waits for.
enum Event {
    /// The line has ended: its master is gone, or wants git ended.
    Cut,
    /// Git has ended, and is not reaped.
    Ended,
}

fn serve(program: &OsStr, arguments: &[OsString]) -> io::Result<ExitStatus> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let (sender, events) = channel();
    let ended = sender.clone();
    thread::spawn(move || hear(&sender));
    thread::spawn(move || watch(group, &ended));
    if let Ok(Event::Cut) = events.recv() {
        send(group, Signal::TERM);
        // Or it would not hear it, if it was stopped.
        send(group, Signal::CONT);
        let _ = events.recv_timeout(GRACE);
        // Also if git has ended by itself: what it has started may hear nothing.
        send(group, Signal::KILL);
    }
    child.wait()
}

/// Nothing is ever said on the line.
fn hear(events: &Sender<Event>) {
    let mut nothing = [0; 64];
    loop {
        match io::stdin().read(&mut nothing) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    let _ = events.send(Event::Cut);
}

fn watch(git: Pid, events: &Sender<Event>) {
    let unreaped = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(git), unreaped).is_err_and(|error| error == Errno::INTR) {}
    let _ = events.send(Event::Ended);
}

/// A group that has ended meanwhile is fine.
fn send(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

/// Ends as git has: by the same signal, or with its code.
fn like(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        let _ = kill_process(getpid(), signal);
    }
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
