//! Steps about the stream of events and about numbers for monitoring.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use cucumber::{then, when};
use serde_json::Value;

use crate::prometheus;
use crate::world::World;

/// The plan and the number of each event, by the words of the scenario.
#[then(expr = "the lines of stdout tell of {string}")]
fn tell_of(world: &mut World, expected: String) {
    let separators = |c: char| c == '\t' || c == ' ';
    let told = world.last.out.lines().map(|line| {
        let fields: Vec<&str> = line.split(separators).filter(|field| !field.is_empty()).collect();
        format!("{} {}", fields[1], fields[2])
    });
    assert_eq!(told.collect::<Vec<_>>().join(", "), world.said(&expected));
}

#[then("the objects on stdout are the events of the plan")]
async fn same_as_the_log(world: &mut World) {
    let parsed = world.last.out.lines().map(|line| serde_json::from_str(line).expect("an object"));
    let streamed: Vec<Value> = parsed.collect();
    let log = world.ask("plan events PLAN").await;
    assert_eq!(Some(&streamed), log["events"].as_array());
    assert!(!streamed.is_empty());
}

/// It has a place to begin with as soon as it listens for signals: it looks for that place first.
#[when(expr = "{word} has begun to follow")]
async fn has_begun(world: &mut World, who: String) {
    let pid = world.job(&who).pid();
    let caught = tokio::task::spawn_blocking(move || {
        let status = format!("/proc/{pid}/status");
        while !std::fs::read_to_string(&status).is_ok_and(|text| catches_sigterm(&text)) {
            std::thread::yield_now();
        }
    });
    tokio::time::timeout(crate::pauses::WATCHDOG, caught).await.expect("it begins").expect("no panic");
}

fn catches_sigterm(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << 14) != 0)
}

/// Where the page is, a process says when it begins.
#[when(expr = "I fetch the metrics of {word}")]
async fn fetch(world: &mut World, who: String) {
    let (err, watchdog) = (world.job(&who).err.clone(), crate::pauses::WATCHDOG);
    let fetched = tokio::task::spawn_blocking(move || {
        assert!(err.wait_for("/metrics\n", watchdog), "it never said where: {}", err.text());
        let text = err.text();
        let (_, rest) = text.split_once("metrics are at http://").expect("the address");
        let (address, _) = rest.split_once("/metrics").expect("the path");
        let mut stream = std::net::TcpStream::connect(address).expect("connected");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    });
    let answer = fetched.await.expect("fetched");
    let (head, page) = answer.split_once("\r\n\r\n").expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"), "{head}");
    page.clone_into(&mut world.last.out);
}

fn numbers(world: &World) -> BTreeMap<String, f64> {
    prometheus::read(&world.last.out).unwrap_or_else(|why| panic!("{why}: {}", world.last.out))
}

#[then("stdout is what Prometheus reads")]
fn is_read(world: &mut World) {
    prometheus::check_the_checker();
    assert!(!numbers(world).is_empty());
}

#[then(expr = "the number {string} is {float}")]
fn number(world: &mut World, name: String, expected: f64) {
    let numbers = numbers(world);
    let found = numbers.get(&name).unwrap_or_else(|| panic!("no {name} in {numbers:?}"));
    assert!((found - expected).abs() < f64::EPSILON, "{name} is {found}");
}

#[then(expr = "there is a number {string}")]
fn number_is_there(world: &mut World, name: String) {
    assert!(numbers(world).contains_key(&name), "{}", world.last.out);
}
