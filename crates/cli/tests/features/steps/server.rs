//! Steps of plans on a server: whose tables are there, and the way to it.

use agents_testing::postgres::Database;
use agents_testing::proxy::{Direction, Fate, Proxy};
use cucumber::{given, then, when};
use diesel::connection::SimpleConnection as _;

use crate::pauses::WATCHDOG;
use crate::world::World;

fn server(world: &World) -> &Database {
    world.server.as_ref().expect("plans are on a server")
}

fn network(world: &World) -> &Proxy {
    world.network.as_ref().expect("the way leads through it")
}

#[given("somebody else has a table in the database")]
fn foreign_table(world: &mut World) {
    server(world).connect().batch_execute("CREATE TABLE letters (aunt TEXT)").expect("made");
}

/// In all else it is right.
#[given(expr = "the database URL has another {word}")]
fn elsewhere(world: &mut World, part: String) {
    let server = server(world);
    let (url, address) = (server.url(), server.server());
    let user = url.split("://").nth(1).and_then(|rest| rest.split(':').next()).expect("it has one");
    let (from, to) = match part.as_str() {
        "password" => (format!(":{}@", server.password()), ":sesame@"),
        "user" => (format!("//{user}:{}@", server.password()), "//nobody:sesame@"),
        "database" => (format!("/{}", server.name()), "/nothing"),
        "host" => (format!("@{address}"), "@nowhere.invalid:5432"),
        "port" => (format!("@{address}"), "@127.0.0.1:1"),
        other => panic!("a URL has no {other}"),
    };
    let wrong = url.replacen(&from, to, 1);
    assert_ne!(wrong, url, "it is changed");
    world.variables.insert("AGENTS_DATABASE_URL".to_owned(), wrong);
}

/// From here on: what was started before has found its own way.
#[given("the way to the server is a bad network")]
fn bad_network(world: &mut World) {
    world.network = Some(Proxy::to(server(world).server()));
}

#[given("the network lets nobody in")]
fn refuse(world: &mut World) {
    network(world).refuse();
}

#[when("the network is cut")]
fn cut(world: &mut World) {
    assert_ne!(network(world).cut(), 0, "somebody was connected");
}

#[when("the network holds everything back")]
fn hold_back(world: &mut World) {
    network(world).hold_back(Direction::Both);
}

#[when("the network is well again")]
fn heal(world: &mut World) {
    network(world).heal();
}

#[when(expr = "the commit of the next {word} is {word} and its connection cut")]
fn cut_at_commit(world: &mut World, what: String, fate: String) {
    let fate = if fate == "done" { Fate::Done } else { Fate::Lost };
    // A plan write is one statement, which is its own commit.
    let words: &[&str] = if what == "write" { &["INSERT INTO events"] } else { &["READ ONLY", "COMMIT"] };
    world.caught = Some(network(world).cut_at(words, fate));
}

#[when(expr = "whoever places the next order is cut off when it is {word}")]
fn cut_off_at_order(world: &mut World, fate: String) {
    let fate = if fate == "done" { Fate::Done } else { Fate::Lost };
    world.caught = Some(network(world).cut_off_at(&["INSERT INTO \"orders\"", "COMMIT"], fate));
}

#[when("the network has caught a commit")]
#[then("the network has caught a commit")]
fn caught(world: &mut World) {
    let caught = world.caught.take().expect("the network lies in wait");
    caught.recv_timeout(WATCHDOG).expect("a commit came that way");
}
