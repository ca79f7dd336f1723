//! What commands print, and see.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use agents_domain::runner::{Ended, PhaseRunner as _, RunError};
use agents_infrastructure::process::{copy_log, log_files};

use crate::room::{PROBE, Room, never, run, runner_with};

#[tokio::test]
async fn bytes_that_are_no_text_survive() {
    let room = Room::new();
    run(room.mute(r"printf 'a\377\000b\r\n\303'")).await.expect("it runs");
    let log = room.log();
    assert_eq!(
        &log[24..],
        b" out| a\xff\0b\r\n".iter().chain(&log[..24]).chain(b" out| \xc3").copied().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_commands_of_an_attempt_share_a_log() {
    let room = Room::new();
    run(room.mute("printf setup")).await.expect("it runs");
    run(room.mute("printf main >&2")).await.expect("it runs");
    let log = String::from_utf8(room.log()).expect("text");
    let lines: Vec<&str> = log.lines().map(|line| &line[25..]).collect();
    assert_eq!(lines, ["out| setup", "err| main"]);
}

#[tokio::test]
async fn secrets_show_neither_in_log_nor_tail_nor_to_the_observer() {
    let room = Room::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer = Arc::clone(&seen);
    let runner = runner_with(Path::new(PROBE), &[("API_KEY", "hunter2hunter2")])
        .with_echo(Arc::new(move |chunk| observer.lock().expect("no panic").extend_from_slice(chunk)));
    let mut script = room.mute("echo key=$API_KEY; printf hunter2; printf 'hunter2\\n'; echo $API_KEY >&2");
    script.context.env_from = vec!["API_KEY".into()];
    let report = runner.run(script, never()).await.expect("it runs");
    let seen = String::from_utf8(seen.lock().expect("no panic").clone()).expect("text");
    let log = String::from_utf8(room.log()).expect("text");
    for text in [&report.tail, &seen, &log] {
        assert_eq!(text.matches("[redacted API_KEY]").count(), 3, "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn the_environment_is_scrubbed_and_marked() {
    let room = Room::new();
    let caller =
        [("GIT_DIR", "/r"), ("AGENTS_DATABASE_URL", "sqlite"), ("DATABASE_URL", "theirs"), ("MINE", "1")];
    let runner = runner_with(Path::new(PROBE), &caller);
    let mut script = room.mute("env; tr '\\0' '\\n' < /proc/$PPID/environ");
    script.context.env.push(("AGENTS_RUN_MARKER".into(), "forged".into()));
    let marker = format!("AGENTS_RUN_MARKER={}/3", script.plan);
    let report = runner.run(script, never()).await.expect("it runs");
    assert_eq!(report.ended, Ended::Exited(0));
    let log = String::from_utf8(room.log()).expect("text");
    let lines: Vec<&str> = log.lines().map(|line| &line[30..]).collect();
    let has = |name: &str| lines.iter().filter(|line| line.starts_with(&format!("{name}="))).count();
    // Once the command's, once its guard's.
    assert_eq!((has("GIT_DIR"), has("AGENTS_DATABASE_URL"), has("DATABASE_URL"), has("MINE")), (0, 0, 2, 2));
    assert_eq!(has("ROOM"), 1);
    assert!(lines.contains(&marker.as_str()) && has("AGENTS_RUN_MARKER") == 1);

    let mut wanting = room.mute("true");
    wanting.context.env_from = vec!["NO_SUCH_VARIABLE".into()];
    let error = runner.run(wanting, never()).await.expect_err("not set");
    assert_eq!(error, RunError::MissingVariable { name: "NO_SUCH_VARIABLE".into() });
}

#[tokio::test]
async fn a_command_has_no_input_and_no_life_line() {
    let room = Room::new();
    let report = run(room.mute("readlink /proc/self/fd/0; ls -l /proc/$$/fd")).await.expect("it runs");
    assert!(report.tail.starts_with("/dev/null\n"), "{}", report.tail);
    assert!(!report.tail.contains("socket:"), "{}", report.tail);
}

/// 80 MiB, and 16 MiB without any line end. See the module `process::log` for the figures.
#[test]
fn output_without_bounds_takes_bounded_memory_and_disk() {
    let room = Room::new();
    let log = room.path("log/driven.log");
    let script = "yes 01234567890123456789012345678901234567890123456789012345678901234567890123456789 |
        head -c 83886080; head -c 16777216 /dev/zero; echo; echo last";
    let out =
        Command::new(PROBE).arg("drive").arg(&log).args(["sh", "-c", script]).output().expect("the probe");
    let out = String::from_utf8(out.stdout).expect("text");
    let peak: u64 = out.split_whitespace().rev().nth(1).and_then(|n| n.parse().ok()).expect("a figure");
    assert!(out.starts_with("Ok(Exited(0))") && peak <= 32 << 10, "{out}");

    let size = |path: &Path| std::fs::metadata(path).expect("there").len();
    let sizes: Vec<u64> = log_files(&log).expect("a directory").iter().map(|path| size(path)).collect();
    assert!(sizes.iter().sum::<u64>() <= 64 << 20 && sizes[0] > 31 << 20, "{sizes:?}");
    assert!(sizes[1..].iter().sum::<u64>() > 23 << 20, "{sizes:?}");

    let mut text = Vec::new();
    copy_log(&log, &mut text).expect("a log");
    let gap = text.windows(8).position(|window| window == b"[agents]").expect("a gap");
    assert_eq!(text[gap - 1], b'\n');
    let last = &text[text.len() - 500..];
    assert!(String::from_utf8_lossy(last).contains("out| last\n"));
}
