//! Steps of a hostile world: broken files, odd repositories, a caller's strange environment, and
//! crowds.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

use cucumber::gherkin::Step;
use cucumber::{given, then, when};

use crate::job::Outcome;
use crate::repository::git_in;
use crate::world::{AGENTS, World, split};

/// Where the header of a SQLite file keeps `PRAGMA user_version`.
const USER_VERSION: u64 = 60;

#[given(expr = "the file {string}")]
fn file(world: &mut World, name: String, step: &Step) {
    let text = world.said(step.docstring().expect("a text").trim_start_matches('\n'));
    std::fs::write(world.root().join(name), text).expect("written");
}

#[given(expr = "a file {string} of {int} MB")]
fn big_file(world: &mut World, name: String, megabytes: u64) {
    let file = std::fs::File::create(world.root().join(name)).expect("made");
    file.set_len(megabytes * 1_000_000).expect("its length is set");
}

#[given(expr = "a directory {string}")]
fn directory(world: &mut World, name: String) {
    std::fs::create_dir_all(world.root().join(name)).expect("made");
}

#[given(expr = "a directory {string} where git is told {string}")]
#[given(expr = "in the directory {string} git is told {string}")]
fn git_directory(world: &mut World, name: String, line: String) {
    let path = world.root().join(name);
    std::fs::create_dir_all(&path).expect("made");
    let line = world.said(&line);
    let words = split(&line);
    let ada = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"];
    git_in(&path, &ada.into_iter().chain(words.iter().map(String::as_str)).collect::<Vec<_>>());
}

#[given(expr = "a link {string} to {string}")]
fn link(world: &mut World, name: String, target: String) {
    std::os::unix::fs::symlink(world.root().join(target), world.root().join(name)).expect("linked");
}

#[given(expr = "{string} has been moved to {string}")]
#[when(expr = "{string} is moved to {string}")]
fn moved(world: &mut World, from: String, to: String) {
    std::fs::rename(world.root().join(from), world.root().join(to)).expect("moved");
}

#[when(expr = "the file {string} is gone")]
fn gone(world: &mut World, name: String) {
    std::fs::remove_file(world.root().join(name)).expect("removed");
}

#[given(expr = "a git that says {string}")]
fn strange_git(world: &mut World, words: String) {
    let path = world.root().join("bin/git");
    std::fs::write(&path, format!("#!/bin/sh\necho '{words}'\n")).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// As it is found by the next command: nobody has the file open.
#[given(expr = "the database is {word}")]
fn database(world: &mut World, how: String) {
    let path = world.database();
    for suffix in ["-wal", "-shm"] {
        let log = path.with_file_name(format!("agents.db{suffix}"));
        std::fs::remove_file(log).or_else(absent_is_fine).expect("removed");
    }
    match how.as_str() {
        "garbage" => std::fs::write(&path, "not a database at all\n".repeat(400)).expect("written"),
        "empty" => std::fs::write(&path, "").expect("written"),
        "cut" => open(world).set_len(6000).expect("cut"),
        "newer" => {
            let mut file = open(world);
            file.seek(SeekFrom::Start(USER_VERSION)).expect("there");
            file.write_all(&99_u32.to_be_bytes()).expect("written");
        }
        "deleted" => std::fs::remove_file(&path).expect("removed"),
        "folded" => {
            std::fs::remove_file(&path).expect("removed");
            std::fs::create_dir(&path).expect("a directory in its place");
        }
        other => panic!("no way to be {other}"),
    }
}

fn open(world: &World) -> std::fs::File {
    std::fs::File::options().read(true).write(true).open(world.database()).expect("there")
}

fn absent_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[then("the database is as it was")]
fn untouched(world: &mut World) {
    let mut bytes = Vec::new();
    open(world).read_to_end(&mut bytes).expect("read");
    assert!(bytes.starts_with(b"not a database at all\n"), "somebody wrote to it");
    assert_eq!(bytes.len(), 22 * 400);
}

/// Always a process of its own: only there the environment is the caller's alone.
#[when(expr = "I run {string} with {word} set to {string}")]
fn run_with(world: &mut World, line: String, name: String, value: String) {
    let value = world.said(&value);
    let mut command = process(world, &line);
    world.last = outcome(&command.env(name, value).output().expect("the binary starts"));
}

#[when(expr = "I run {string} and nobody reads what it prints")]
fn unread(world: &mut World, line: String) {
    let mut command = process(world, &line);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    world.last = outcome(&child.wait_with_output().expect("it ends"));
}

#[when(expr = "{int} processes run {string} at once")]
fn crowd(world: &mut World, count: usize, line: String) {
    let start = |_| {
        let mut command = process(world, &line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let crowd: Vec<_> = (0..count).map(start).collect();
    let ends = crowd.into_iter().map(|child| outcome(&child.wait_with_output().expect("it ends")));
    world.crowd = ends.collect();
}

#[then(expr = "{int} of them end(s) with exit code {int}")]
fn of_the_crowd(world: &mut World, count: usize, code: u8) {
    let found = world.crowd.iter().filter(|outcome| outcome.exit == code).count();
    assert_eq!(found, count, "{:?}", world.crowd);
}

#[then("none of them mentions a locked database")]
fn no_busy(world: &mut World) {
    assert!(world.crowd.iter().all(|outcome| !outcome.err.contains("database is locked")));
}

fn process(world: &World, line: &str) -> Command {
    let mut command = Command::new(AGENTS);
    command.args(split(&world.said(line))).current_dir(world.root()).stdin(Stdio::null());
    command.env_clear().envs(world.environment());
    command
}

fn outcome(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let exit = output.status.code().and_then(|code| u8::try_from(code).ok());
    Outcome { exit: exit.expect("it ended by itself"), out: text(&output.stdout), err: text(&output.stderr) }
}

#[then(expr = "there are {int} plan(s)")]
async fn plans(world: &mut World, count: u64) {
    assert_eq!(world.ask("plan list --all").await["total"], count);
}

#[then("the database is sound and nothing is locked")]
async fn sound(world: &mut World) {
    assert_eq!(world.ask("db check").await["problems"], serde_json::json!([]));
    assert_eq!(world.ask("lock list").await["locks"], serde_json::json!([]));
}

/// Those who came too late were refused, or found it done.
#[then("the command ran once")]
fn ran_once(world: &mut World) {
    let ran = std::fs::read_to_string(world.root().join("ran")).expect("it ran");
    assert_eq!(ran, "ran\n");
    assert!(world.crowd.iter().all(|outcome| [0, 4].contains(&outcome.exit)), "{:?}", world.crowd);
}
