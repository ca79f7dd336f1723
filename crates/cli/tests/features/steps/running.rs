//! Steps that run `agents`, to its end or beside the test, and say how it ended.

use cucumber::{given, then, when};
use rustix::process::Signal;

use crate::world::World;

#[when(expr = "I run {string}")]
#[given(expr = "I have run {string}")]
async fn run(world: &mut World, line: String) {
    world.run(&line).await;
    if let Ok(document) = serde_json::from_str::<serde_json::Value>(&world.last.out)
        && let Some(plan) = document["data"]["plan_id"].as_str()
    {
        world.words.insert("PLAN".to_owned(), plan.to_owned());
    }
}

#[when(expr = "{word} starts {string}")]
fn start(world: &mut World, who: String, line: String) {
    let job = world.start(&line);
    world.jobs.insert(who, job);
}

#[when(expr = "{word} reaches {string}")]
async fn reach(world: &mut World, who: String, pause: String) {
    let pauses = world.pauses.clone();
    if who == "somebody" {
        let reached = tokio::task::spawn_blocking(move || pauses.reached(&pause, None));
        return reached.await.expect("somebody gets there");
    }
    let mut job = world.jobs.remove(&who).expect("it was started");
    let back = tokio::task::spawn_blocking(move || {
        pauses.reached(&pause, Some(&mut job));
        job
    });
    world.jobs.insert(who, back.await.expect("it gets there"));
}

#[when(expr = "{string} goes on")]
async fn go_on(world: &mut World, pause: String) {
    let pauses = world.pauses.clone();
    tokio::task::spawn_blocking(move || pauses.tell(&pause, "go\n")).await.expect("somebody waits there");
}

#[when(expr = "{string} is abandoned")]
async fn abandon(world: &mut World, pause: String) {
    let pauses = world.pauses.clone();
    let told = tokio::task::spawn_blocking(move || pauses.tell(&pause, "no\n"));
    told.await.expect("somebody waits there");
}

#[given(expr = "somebody listens to {string}")]
fn listen(world: &mut World, pipe: String) {
    let listener = world.pauses.listen(&pipe);
    world.listeners.insert(pipe, listener);
}

#[then(expr = "{string} falls silent")]
async fn silent(world: &mut World, pipe: String) {
    let listener = world.listeners.remove(&pipe).expect("somebody listens");
    let heard = tokio::task::spawn_blocking(move || listener.recv_timeout(crate::pauses::WATCHDOG));
    heard.await.expect("waited").expect("everybody who can write to it has gone");
}

#[when(expr = "{string} goes on after {word} has ended")]
async fn go_on_after(world: &mut World, pause: String, who: String) {
    let mut job = world.jobs.remove(&who).expect("it was started");
    let pauses = world.pauses.clone();
    let back = tokio::task::spawn_blocking(move || {
        job.wait();
        pauses.tell(&pause, "go\n");
        job
    });
    world.jobs.insert(who, back.await.expect("it ends"));
}

#[when(expr = "{word} gets {word}")]
fn send(world: &mut World, who: String, signal: String) {
    let signal = match signal.as_str() {
        "SIGTERM" => Signal::TERM,
        "SIGINT" => Signal::INT,
        "SIGKILL" => Signal::KILL,
        "SIGSTOP" => Signal::STOP,
        "SIGCONT" => Signal::CONT,
        other => panic!("no signal {other}"),
    };
    world.job(&who).signal(signal);
}

#[then(expr = "{word} ends with exit code {int}")]
async fn ends(world: &mut World, who: String, code: u8) {
    let mut job = world.jobs.remove(&who).expect("it was started");
    world.last = tokio::task::spawn_blocking(move || job.wait()).await.expect("it ends");
    assert_eq!(world.last.exit, code, "{:?}", world.last);
}

#[when(expr = "{word} is gone")]
async fn gone(world: &mut World, who: String) {
    let mut job = world.jobs.remove(&who).expect("it was started");
    world.last = tokio::task::spawn_blocking(move || job.wait()).await.expect("it ends");
}

#[then(expr = "{word} says {string} while it runs")]
async fn says(world: &mut World, who: String, text: String) {
    let text = world.said(&text);
    let err = world.job(&who).err.clone();
    let heard = {
        let (err, text) = (err.clone(), text.clone());
        tokio::task::spawn_blocking(move || err.wait_for(&text, crate::pauses::WATCHDOG)).await
    };
    assert!(heard.expect("waited"), "never said `{text}`: {}", err.text());
    assert!(world.job(&who).ended().is_none(), "it has ended: {}", err.text());
}

#[then(expr = "of {word} and {word} one ends with exit code {int} and the other with {int}")]
async fn race(world: &mut World, first: String, second: String, one: u8, other: u8) {
    let mut codes = vec![];
    for who in [first, second] {
        let mut job = world.jobs.remove(&who).expect("it was started");
        let outcome = tokio::task::spawn_blocking(move || job.wait()).await.expect("it ends");
        codes.push(outcome.exit);
        if outcome.exit == other {
            world.last = outcome;
        }
    }
    codes.sort_unstable();
    let mut expected = [one, other];
    expected.sort_unstable();
    assert_eq!(codes, expected);
}

#[then(expr = "the exit code is {int}")]
fn exit_code(world: &mut World, code: u8) {
    assert_eq!(world.last.exit, code, "{:?}", world.last);
}

#[then("it succeeds")]
fn succeeds(world: &mut World) {
    assert_eq!(world.last.exit, 0, "{:?}", world.last);
}

#[then(expr = "I am told {string}")]
fn told(world: &mut World, text: String) {
    let text = world.said(&text);
    let said = world.last.out.contains(&text) || world.last.err.contains(&text);
    assert!(said, "nobody said `{text}`: {:?}", world.last);
}

#[then(expr = "I am not told {string}")]
fn not_told(world: &mut World, text: String) {
    let text = world.said(&text);
    let said = world.last.out.contains(&text) || world.last.err.contains(&text);
    assert!(!said, "somebody said `{text}`: {:?}", world.last);
}

#[when("I do what it says helps")]
async fn follow(world: &mut World) {
    let hint = world.last.err.lines().rev().find(|line| line.starts_with("help: "));
    let hint = hint.unwrap_or_else(|| panic!("no help: {:?}", world.last)).to_owned();
    let (_, command) = hint.rsplit_once("agents ").unwrap_or_else(|| panic!("no command in {hint}"));
    let command = command.trim_end_matches('`').to_owned();
    world.run(&command).await;
}
