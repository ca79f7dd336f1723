//! How commands end, or do not start.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use agents_domain::runner::{Ended, PhaseRunner as _, RunError, StopCause};
use rstest::rstest;

use crate::room::{PROBE, Room, ended, never, run, runner, runner_with};

#[rstest]
#[case::success("exit 0", Ended::Exited(0))]
#[case::failure("exit 7", Ended::Exited(7))]
#[case::signal("kill -KILL $$", Ended::Signalled(9))]
#[tokio::test]
async fn a_command_ends_by_itself(#[case] script: &str, #[case] expected: Ended) {
    let room = Room::new();
    let report = run(room.mute(&format!("echo a; echo b >&2; {script}"))).await.expect("it runs");
    assert_eq!(report.ended, expected);
    let mut lines: Vec<&str> = report.tail.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["a", "b"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let room = Room::new();
    for program in ["no-such-program-anywhere", "./nor-here"] {
        let error = run(room.argv(&[program])).await.expect_err("not there");
        assert_eq!(error, RunError::NotFound { program: program.to_owned() });
    }
}

#[tokio::test]
async fn what_cannot_be_executed_says_why() {
    let room = Room::new();
    room.file("plain", "echo no", 0o644);
    room.file("orphan", "#!/no/such/interpreter\n", 0o755);
    let cases = [
        ("./plain", "Permission denied (os error 13)"),
        ("./orphan", "the interpreter that it names was not found"),
        ("true\0", "nul byte found in provided data"),
    ];
    for (name, expected) in cases {
        let error = run(room.argv(&[name])).await.expect_err("not executable");
        assert_eq!(error, RunError::NotExecutable { program: name.to_owned(), reason: expected.to_owned() });
    }
}

#[tokio::test]
async fn a_program_named_relatively_is_the_worktrees() {
    let room = Room::new();
    room.file("here", "#!/bin/sh\nexit 4\n", 0o755);
    assert_eq!(ended(room.argv(&["./here"]), never()).await, Ended::Exited(4));
}

#[tokio::test]
async fn a_run_that_cannot_be_prepared_leaves_no_process() {
    let room = Room::new();
    let mut lost = room.mute("true");
    lost.directory = room.path("nowhere");
    let error = run(lost).await.expect_err("no directory");
    assert!(error.to_string().contains("there is no directory"), "{error}");

    let mut blind = room.mute("true");
    blind.log = room.file("file", "", 0o600).join("log");
    let error = run(blind).await.expect_err("no log");
    assert!(matches!(error, RunError::Failed { .. }), "{error}");

    let template = |reason: &str| RunError::Template { purpose: "execute".into(), reason: reason.into() };
    assert_eq!(run(room.argv(&["{{"])).await, Err(template("broken")));
    assert_eq!(run(room.argv(&[])).await, Err(template("it is empty")));
}

#[rstest]
#[case::missing("/no/such/binary", "its guard did not start")]
#[case::refusing("/bin/false", "its guard ended early (exit status: 1); 0 processes were killed")]
#[case::idle("/bin/true", "")]
#[tokio::test]
async fn a_binary_that_is_no_guard_is_told(#[case] binary: &str, #[case] expected: &str) {
    let room = Room::new();
    let error =
        runner_with(Path::new(binary), &[]).run(room.mute("true"), never()).await.expect_err("no guard");
    assert!(matches!(&error, RunError::Failed { reason } if reason.contains(expected)), "{error}");
}

#[test]
fn a_guard_called_by_a_person_refuses() {
    let by_hand = Command::new(PROBE).arg("__exec").stdin(Stdio::null()).output().expect("the probe");
    assert_eq!(by_hand.status.code(), Some(1));

    let (ours, theirs) = UnixStream::pair().expect("a socket");
    drop(ours);
    let without_job =
        Command::new(PROBE).arg("__exec").stdin(OwnedFd::from(theirs)).output().expect("the probe");
    assert_eq!(without_job.status.code(), Some(1));
    let told = String::from_utf8(without_job.stderr).expect("text");
    assert!(told.contains("this command is for agents itself"), "{told}");
}

#[rstest]
#[case::cancelled(StopCause::Cancelled)]
#[case::shutdown(StopCause::Shutdown)]
#[tokio::test]
async fn a_polite_stop_lets_the_command_finish(#[case] cause: StopCause) {
    let room = Room::new();
    let (stop, ear) = room.when("ready", cause);
    let script =
        room.script("trap 'echo bye; exit 3' TERM; echo ready >&3; while :; do sleep 1000 & wait; done");
    let report = runner().run(script, stop).await.expect("it runs");
    assert_eq!(report.ended, Ended::Stopped(cause));
    assert!(report.tail.contains("bye"), "{}", report.tail);
    ear.recv().expect("an ear").silence();
}

#[rstest]
#[case::lease_lost(StopCause::LeaseLost)]
#[case::escalated(StopCause::Escalated)]
#[tokio::test]
async fn an_urgent_stop_gives_no_grace(#[case] cause: StopCause) {
    let room = Room::new();
    let (stop, ear) = room.when("ready", cause);
    let script = room.script("trap '' TERM; echo ready >&3; sleep 1000");
    assert_eq!(ended(script, stop).await, Ended::Stopped(cause));
    ear.recv().expect("an ear").silence();
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed_after_the_grace() {
    let room = Room::new();
    let (stop, ear) = room.when("ready", StopCause::Cancelled);
    let mut script = room.script("trap '' TERM; echo ready >&3; sleep 1000 & sleep 1000");
    script.grace = Duration::from_millis(60);
    assert_eq!(ended(script, stop).await, Ended::Stopped(StopCause::Cancelled));
    ear.recv().expect("an ear").silence();
}

#[tokio::test]
async fn a_command_that_is_stopped_hears_term_all_the_same() {
    let room = Room::new();
    let (stop, ear) = room.when("ready", StopCause::Cancelled);
    let script = room.script("echo ready >&3; kill -STOP $$; sleep 1000");
    assert_eq!(ended(script, stop).await, Ended::Stopped(StopCause::Cancelled));
    ear.recv().expect("an ear").silence();
}

#[tokio::test]
async fn a_command_whose_time_is_up_is_stopped() {
    let room = Room::new();
    let mut script = room.mute("exec sleep 1000");
    script.timeout = Some(Duration::from_millis(20));
    assert_eq!(ended(script, never()).await, Ended::TimedOut);
}

#[tokio::test]
async fn a_lease_lost_during_the_grace_of_a_timeout_ends_it_at_once() {
    let room = Room::new();
    let (stop, ear) = room.when("term", StopCause::LeaseLost);
    let mut script = room.script("trap 'echo term >&3' TERM; while :; do sleep 1000 & wait; done");
    script.timeout = Some(Duration::from_secs(1));
    // The first cause counts.
    assert_eq!(ended(script, stop).await, Ended::TimedOut);
    ear.recv().expect("an ear").silence();
}

#[tokio::test]
async fn a_command_that_ended_in_time_has_ended_in_time() {
    let room = Room::new();
    let (stop, ear) = room.when("term", StopCause::LeaseLost);
    // Its leftover hears TERM when the command itself has ended, and holds out for the grace.
    let mut script = room.script(
        "sh -c 'trap \"echo term >&3\" TERM; echo > hears; while :; do sleep 1000 & wait; done' & read x < hears",
    );
    script.timeout = Some(Duration::from_hours(1));
    assert_eq!(ended(script, stop).await, Ended::Exited(0));
    ear.recv().expect("an ear").silence();
}

#[tokio::test]
async fn a_pipe_in_a_strangers_hand_does_not_hold_the_run() {
    let room = Room::new();
    let mut ear = room.ear();
    let hears = room.path("hears");
    let stranger = tokio::task::spawn_blocking(move || {
        let pid = ear.line();
        let pipe = std::fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/fd/1")).expect("a pipe");
        std::fs::write(hears, "go\n").expect("a FIFO");
        pipe
    });
    let report = run(room.script("echo $$ >&3; read x < hears; echo done")).await.expect("it runs");
    assert_eq!((report.ended, report.tail.as_str()), (Ended::Exited(0), "done\n"));

    // The first word wakes the thread that still reads; it closes, and the pipe breaks.
    let mut pipe = stranger.await.expect("no panic");
    while pipe.write_all(b"late\n").is_ok() {}
    let log = String::from_utf8(room.log()).expect("text");
    assert!(!log.contains("late"), "{log}");
}

#[test]
fn where_the_kernel_keeps_no_status_the_run_fails_and_does_not_hang() {
    // Whoever starts the driver with SIGCHLD ignored hands that on to guard and command.
    let room = Room::new();
    let out = Command::new("env")
        .args(["--ignore-signal=CHLD", PROBE, "drive"])
        .arg(room.path("log"))
        .arg("true")
        .output()
        .expect("env");
    let out = String::from_utf8(out.stdout).expect("text");
    assert!(out.starts_with("Err(Failed"), "{out}");
}
