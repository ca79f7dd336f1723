//! The escort of a git that speaks with a remote: it ends as git does, and git ends with who started it.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use agents_domain::workspace::{Landing, WorkspaceError};
use agents_infrastructure::git::{ESCORT_COMMAND, GitWorkspace};

use crate::fixture::{fifo, script};
use crate::remote::{Shared, machine};

/// A binary that is an escort if it is told to be.
pub(crate) const ESCORT: &str = env!("CARGO_BIN_EXE_agents-process-probe");

/// Longer than an escort waits for anything.
const LONG: Duration = Duration::from_secs(20);

fn escorted(program: &str) -> Child {
    let mut command = Command::new(ESCORT);
    command.args([ESCORT_COMMAND, "sh", "-c", program]).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
}

#[test]
fn an_escort_ends_as_its_program_does() {
    let ended = |program: &str| {
        let mut child = escorted(program);
        let line = child.stdin.take();
        let output = child.wait_with_output().expect("it ran");
        drop(line);
        output
    };
    let told = ended("echo out; echo err >&2; exit 3");
    assert_eq!((told.status.code(), &*told.stdout, &*told.stderr), (Some(3), &b"out\n"[..], &b"err\n"[..]));
    assert_eq!(ended("kill -9 $$").status.signal(), Some(9));
    assert_eq!(ended("kill -13 $$").status.code(), Some(128 + 13), "a signal that it does not die of");
}

/// The line is cut by the end of the process that holds it, whatever ends that.
#[test]
fn what_is_escorted_ends_when_its_line_is_cut_and_so_does_all_that_it_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let never = fifo(&dir.path().join("never"));
    // It hears TERM; its child does not, and holds on to its output.
    let program = format!("(trap '' TERM; echo began; read x < {0}; read x < {0}) & wait", never.display());
    let mut child = escorted(&program);
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it says so");
    assert_eq!(line, "began\n");
    drop(child.stdin.take());
    let (sender, silent) = channel();
    std::thread::spawn(move || sender.send(out.read_to_end(&mut Vec::new()).is_ok()));
    assert_eq!(silent.recv_timeout(LONG), Ok(true), "nobody is left who could write");
    let status = child.wait().expect("it ended");
    assert_eq!(status.signal(), Some(15), "asked before it is killed: {status}");
}

#[tokio::test]
async fn a_landing_whose_git_is_escorted_lands() {
    let shared = Shared::new();
    let state = shared.fixture.base().join("state");
    let git = shared.fixture.git().with_escort(ESCORT);
    let workspace = GitWorkspace::new(git, &state).on(machine("one"), &state);
    let intent = shared.ready(&workspace).await;
    assert_eq!(shared.land(&workspace, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
}

#[tokio::test]
async fn a_git_that_is_gone_before_a_landing_looks_at_the_remote_is_named() {
    for escort in [None, Some(ESCORT)] {
        let shared = Shared::new();
        let gone = script(&shared.fixture.base().join("gone-git"), "#!/bin/sh\nexec git \"$@\"\n");
        // So that git need not be asked which ssh it uses.
        let git = shared.fixture.git().with_program(&gone).with_env("GIT_SSH_COMMAND", "ssh");
        let git = escort.map_or(git.clone(), |escort| git.with_escort(escort));
        let state = shared.fixture.base().join("state");
        let workspace = GitWorkspace::new(git, &state).on(machine("one"), &state);
        let intent = shared.ready(&workspace).await;
        fs::remove_file(&gone).expect("it was there");
        let landed = shared.land(&workspace, &intent).await;
        let Err(WorkspaceError::GitUnusable { reason }) = &landed else { panic!("{landed:?}") };
        assert!(reason.contains("gone-git` was not found; git 2.38 or newer"), "{reason}");
        assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed), "once there is a git");
    }
}
