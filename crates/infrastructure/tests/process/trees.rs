//! What is left of a tree of processes: nothing, whoever dies first.

use std::process::{Command, Stdio};
use std::time::Duration;

use agents_domain::runner::{Children as _, Ended, PhaseRunner as _, RunError, StopCause, Urgency};
use agents_infrastructure::process::leftovers;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use crate::room::{PROBE, Room, ended, never, run, runner};

/// Five processes: the command, one in its group, one in a session of its own, and a daemon that
/// has parted from all of them by a double fork and has a child. All but the command ignore TERM.
const FAMILY: &str = "
    (trap '' TERM; echo member >&3; exec sleep 1000) &
    setsid sh -c 'trap \"\" TERM; echo session >&3; exec sleep 1000' &
    (setsid sh -c 'trap \"\" TERM; (echo daemon >&3; sleep 1000) & wait' &)
    ";

fn hear_the_family(ear: &mut crate::room::Ear) {
    let mut lines = [ear.line(), ear.line(), ear.line()];
    lines.sort_unstable();
    assert_eq!(lines, ["daemon", "member", "session"]);
}

#[tokio::test]
async fn a_lost_lease_ends_the_whole_family_at_once() {
    let room = Room::new();
    let mut ear = room.ear();
    let heard = tokio::task::spawn_blocking(move || {
        hear_the_family(&mut ear);
        ear
    });
    let (sender, ready) = tokio::sync::oneshot::channel();
    let stop = Box::pin(async move {
        let _ = sender.send(heard.await.expect("no panic"));
        StopCause::LeaseLost
    });
    let script = room.script(&format!("{FAMILY} wait"));
    assert_eq!(ended(script, stop).await, Ended::Stopped(StopCause::LeaseLost));
    ready.await.expect("an ear").silence();
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_before_the_run_returns() {
    let room = Room::new();
    let mut ear = room.ear();
    let answer = room.path("hears");
    let heard = std::thread::spawn(move || {
        hear_the_family(&mut ear);
        std::fs::write(answer, "go\n").expect("a FIFO");
        ear
    });
    let mut script = room.script(&format!("{FAMILY} read x < hears; exit 5"));
    script.grace = Duration::from_millis(60);
    assert_eq!(ended(script, never()).await, Ended::Exited(5));
    heard.join().expect("no panic").silence();
}

#[test]
fn a_killed_driver_takes_the_whole_family_with_it() {
    let room = Room::new();
    let mut ear = room.ear();
    let log = room.path("log/driven.log");
    // More than the pipe and the driver can have in hand: when it is printed, some is logged.
    let print = "yes printed | head -c 300000";
    let script = format!("exec 3>{}; {print}; {FAMILY} wait", room.path("says").display());
    let mut driver = Command::new(PROBE)
        .arg("drive")
        .arg(&log)
        .args(["sh", "-c", &script])
        .stdout(Stdio::null())
        .spawn()
        .expect("the probe");
    hear_the_family(&mut ear);
    driver.kill().expect("our child");
    driver.wait().expect("our child");
    ear.silence();

    // Its log is whole all the same.
    let mut text = Vec::new();
    agents_infrastructure::process::copy_log(&log, &mut text).expect("a log");
    assert_eq!(&text[23..38], b"Z out| printed\n");
}

#[tokio::test]
async fn a_dropped_run_ends_the_whole_family_at_once() {
    let room = Room::new();
    let runner = runner();
    let mut ear = room.ear();
    let heard = tokio::task::spawn_blocking(move || {
        hear_the_family(&mut ear);
        ear
    });
    let script = room.script(&format!("{FAMILY} wait"));
    let ear = tokio::select! {
        ended = runner.run(script, never()) => panic!("it ended by itself: {ended:?}"),
        ear = heard => ear.expect("no panic"),
    };
    assert!(runner.wait_until_idle(Duration::from_mins(1)));
    ear.silence();
    assert!(runner.wait_until_idle(Duration::ZERO));
}

#[tokio::test]
async fn once_an_attempt_is_cleared_nothing_of_it_is_alive() {
    let room = Room::new();
    let runner = runner();
    let mut ear = room.ear();
    let heard = tokio::task::spawn_blocking(move || {
        hear_the_family(&mut ear);
        ear
    });
    let script = room.script(&format!("{FAMILY} wait"));
    let (plan, attempt) = (script.plan, script.attempt);
    let ear = tokio::select! {
        ended = runner.run(script, never()) => panic!("it ended by itself: {ended:?}"),
        ear = heard => ear.expect("no panic"),
    };
    runner.clear(plan, attempt).await;
    assert!(runner.wait_until_idle(Duration::ZERO));
    ear.silence();
}

#[tokio::test]
async fn an_attempt_of_which_another_process_left_something_is_cleared() {
    let room = Room::new();
    let mut ear = room.ear();
    let (plan, attempt) = (room.mute("true").plan, 3);
    let mut child = Command::new("sh")
        .args(["-c", "exec 3>says; echo deaf >&3; exec sleep 1000"])
        .current_dir(room.path("."))
        .env("AGENTS_RUN_MARKER", format!("{plan}/{attempt}"))
        .spawn()
        .expect("a shell");
    ear.hear("deaf");
    let reaped = std::thread::spawn(move || child.wait().expect("our child"));
    runner().clear(plan, attempt).await;
    ear.silence();
    assert!(!reaped.join().expect("no panic").success());
}

#[tokio::test]
async fn a_killed_guard_is_stood_in_for() {
    let room = Room::new();
    let mut ear = room.ear();
    let heard = std::thread::spawn(move || {
        let guard: i32 = ear.line().parse().expect("a number");
        hear_the_family(&mut ear);
        kill_process(Pid::from_raw(guard).expect("a number"), Signal::KILL).expect("the guard");
        ear
    });
    let error = run(room.script(&format!("echo $PPID >&3; {FAMILY} wait"))).await.expect_err("no guard");
    assert!(
        matches!(&error, RunError::Failed { reason } if reason.contains("ended early (signal: 9 (SIGKILL))")),
        "{error}"
    );
    heard.join().expect("no panic").silence();
}

#[test]
fn leftovers_are_found_by_their_marker_and_ended() {
    let room = Room::new();
    let mut ear = room.ear();
    let marker = format!("test/{}", std::process::id());
    let script = "exec 3>says; (trap '' TERM; echo deaf >&3; exec sleep 1000) & exec tail -f /dev/null 3>&-";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .current_dir(room.path("."))
        .env("AGENTS_RUN_MARKER", &marker)
        .spawn()
        .expect("a shell");
    ear.hear("deaf");
    assert_eq!(leftovers::find("test/0"), []);

    let grace = Duration::from_millis(50);
    let keep = ["tail".to_owned(), "sh".to_owned()];
    let ended = leftovers::end(&marker, &keep, grace);
    assert_eq!(ended.iter().map(|left| left.name.as_str()).collect::<Vec<_>>(), ["sleep"]);
    ear.silence();

    let kept = leftovers::find(&marker);
    assert_eq!(kept.iter().map(|left| left.pid).collect::<Vec<_>>(), [child.id()]);
    assert_eq!(leftovers::end(&marker, &[], crate::room::FOREVER), kept);
    child.wait().expect("our child");
    assert_eq!(leftovers::end(&marker, &[], grace), []);
}

/// The next holder meets a guard that hangs, below it a process that cannot be told by its environment.
#[tokio::test]
async fn whoever_takes_over_ends_what_hangs_below_a_stopped_guard() {
    let room = Room::new();
    let mut ear = room.ear();
    let invocation = room.script("echo $PPID >&3; exec env -i /bin/sh -c 'echo wiped >&3; sleep 1000; :'");
    let (plan, attempt) = (invocation.plan, invocation.attempt);
    let heard = tokio::task::spawn_blocking(move || {
        let guard: i32 = ear.line().parse().expect("a number");
        ear.hear("wiped");
        kill_process(Pid::from_raw(guard).expect("a number"), Signal::STOP).expect("the guard");
        ear
    });
    let (sender, ready) = tokio::sync::oneshot::channel();
    let taking_over = tokio::spawn(async move {
        let ear = heard.await.expect("no panic");
        runner().clear(plan, attempt).await;
        assert_eq!(leftovers::find(&format!("{plan}/{attempt}")), []);
        let _ = sender.send(ear);
    });
    let stopped = run(invocation).await;
    assert!(matches!(stopped, Err(RunError::Failed { .. })), "its guard is gone: {stopped:?}");
    taking_over.await.expect("no panic");
    ready.await.expect("an ear").silence();
}

/// Each of them is gone, forked and in a session of its own, before anybody who saw it can end it.
#[tokio::test]
async fn processes_that_flee_by_forking_on_and_on_are_caught() {
    let room = Room::new();
    room.file("flee", "#!/bin/sh\ntrap '' TERM\nsetsid \"$0\" &\n", 0o755);
    let mut ear = room.ear();
    let answer = room.path("hears");
    let heard = std::thread::spawn(move || {
        ear.hear("fleeing");
        std::fs::write(answer, "go\n").expect("a FIFO");
        ear
    });
    let mut script =
        room.script("for n in 1 2 3 4 5; do ./flee; done; echo fleeing >&3; read x < hears; exit 3");
    script.grace = Duration::from_millis(60);
    assert_eq!(ended(script, never()).await, Ended::Exited(3));
    heard.join().expect("no panic").silence();
}

/// A driver died after it had started a guard, and before that planted anything.
#[test]
fn a_guard_that_has_planted_nothing_yet_never_will() {
    let marker = format!("test/guard-{}", std::process::id());
    let (_line, guards) = std::os::unix::net::UnixStream::pair().expect("a socket");
    let mut guard = Command::new(PROBE)
        .arg(agents_infrastructure::process::GUARD_COMMAND)
        .env("AGENTS_GUARD_MARKER", &marker)
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(guards)))
        .spawn()
        .expect("a guard");
    assert_eq!(leftovers::find(&marker).iter().map(|left| left.pid).collect::<Vec<_>>(), [guard.id()]);
    leftovers::end(&marker, &[], Duration::ZERO);
    assert!(!guard.wait().expect("our child").success());
    assert_eq!(leftovers::find(&marker), []);
}

/// The heartbeat thread has no runtime, and does not wait for anybody.
#[rstest]
#[case::that_runs("")]
#[case::that_is_stopped("kill -STOP $PPID;")]
#[tokio::test]
async fn a_heartbeat_thread_ends_the_whole_family_whatever_its_guard(#[case] guard: &str) {
    let room = Room::new();
    let mut ear = room.ear();
    let runner = runner();
    let invocation = room.script(&format!("{FAMILY} {guard} echo ready >&3; wait"));
    let (plan, children) = (invocation.plan, runner.clone());
    let heard = std::thread::spawn(move || {
        let mut lines = [ear.line(), ear.line(), ear.line(), ear.line()];
        lines.sort_unstable();
        assert_eq!(lines, ["daemon", "member", "ready", "session"]);
        children.end(plan, Urgency::Term);
        children.end(plan, Urgency::Kill);
        ear
    });
    let _ = runner.run(invocation, never()).await;
    heard.join().expect("no panic").silence();
}
