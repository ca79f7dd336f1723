//! The proxy does what it is told, between plain sockets and on the way to PostgreSQL.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use agents_testing::postgres::Database;
use agents_testing::proxy::{Direction, Fate, Proxy};
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{Connection as _, PgConnection, QueryableByName, RunQueryDsl as _, sql_query};

/// A server of one connection, and both its ends.
struct Pair {
    client: TcpStream,
    proxy: Proxy,
    server: TcpStream,
}

impl Pair {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = Proxy::to(listener.local_addr().expect("bound"));
        let client = TcpStream::connect(proxy.address()).expect("the proxy listens");
        let (server, _) = listener.accept().expect("the proxy connects");
        // A byte each way: the connection is carried.
        let mut pair = Self { client, proxy, server };
        say(&mut pair.client, "a");
        assert_eq!(heard(&mut pair.server), Some("a".to_owned()));
        pair
    }
}

fn say(socket: &mut TcpStream, text: &str) {
    socket.write_all(text.as_bytes()).expect("sent");
}

/// What comes soon; `None` if nothing does. Empty: a farewell.
fn heard(socket: &mut TcpStream) -> Option<String> {
    heard_within(socket, Duration::from_secs(10))
}

fn heard_within(socket: &mut TcpStream, patience: Duration) -> Option<String> {
    socket.set_read_timeout(Some(patience)).expect("an open socket");
    let mut bytes = [0; 64];
    match socket.read(&mut bytes) {
        Ok(count) => Some(String::from_utf8_lossy(&bytes[..count]).into_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
        Err(error) => panic!("{error}"),
    }
}

fn is_reset(socket: &mut TcpStream) -> bool {
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("an open socket");
    socket.read(&mut [0; 64]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

const SOON: Duration = Duration::from_millis(50);

#[test]
fn bytes_go_both_ways() {
    let mut pair = Pair::new();
    say(&mut pair.client, "ping");
    assert_eq!(heard(&mut pair.server).as_deref(), Some("ping"));
    say(&mut pair.server, "pong");
    assert_eq!(heard(&mut pair.client).as_deref(), Some("pong"));
}

#[test]
fn a_farewell_comes_through() {
    let mut pair = Pair::new();
    drop(pair.server);
    assert_eq!(heard(&mut pair.client).as_deref(), Some(""));
}

#[test]
fn a_cut_is_no_farewell_and_new_connections_may_come() {
    let mut pair = Pair::new();
    assert_eq!(pair.proxy.cut(), 1);
    assert!(is_reset(&mut pair.client) && is_reset(&mut pair.server));
    assert_eq!(pair.proxy.cut(), 0);
    TcpStream::connect(pair.proxy.address()).expect("the proxy still listens");
}

#[test]
fn what_is_held_back_arrives_late() {
    for (direction, at_server, at_client) in [
        (Direction::ToServer, true, false),
        (Direction::ToClient, false, true),
        (Direction::Both, true, true),
    ] {
        let mut pair = Pair::new();
        pair.proxy.hold_back(direction);
        say(&mut pair.client, "word");
        say(&mut pair.server, "word");
        let late = |held: bool, socket: &mut TcpStream| {
            let text = if held { heard_within(socket, SOON) } else { heard(socket) };
            assert_eq!(text.is_none(), held, "{direction:?}: {text:?}");
        };
        late(at_server, &mut pair.server);
        late(at_client, &mut pair.client);
        pair.proxy.heal();
        for (held, socket) in [(at_server, &mut pair.server), (at_client, &mut pair.client)] {
            assert!(!held || heard(socket).as_deref() == Some("word"), "{direction:?}");
        }
    }
}

#[test]
fn who_is_held_back_is_not_told_that_the_other_side_is_gone() {
    let mut pair = Pair::new();
    pair.proxy.hold_back(Direction::Both);
    drop(pair.client);
    assert_eq!(heard_within(&mut pair.server, SOON), None);
    pair.proxy.heal();
    assert_eq!(heard(&mut pair.server).as_deref(), Some(""));
}

#[test]
fn what_is_held_back_can_be_cut() {
    let mut pair = Pair::new();
    pair.proxy.hold_back(Direction::Both);
    say(&mut pair.client, "ping");
    assert_eq!(pair.proxy.cut(), 1);
    assert!(is_reset(&mut pair.client));
}

#[test]
fn new_connections_are_refused_until_all_is_well() {
    let mut pair = Pair::new();
    pair.proxy.refuse();
    let mut late = TcpStream::connect(pair.proxy.address()).expect("the proxy listens");
    assert!(is_reset(&mut late));
    say(&mut pair.client, "ping");
    assert_eq!(heard(&mut pair.server).as_deref(), Some("ping"), "old ones stay");
    pair.proxy.heal();
    TcpStream::connect(pair.proxy.address()).expect("the proxy listens");
}

#[test]
fn where_there_is_no_server_there_is_none_behind_the_proxy() {
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let proxy = Proxy::to(nobody);
    let mut client = TcpStream::connect(proxy.address()).expect("the proxy listens");
    assert!(is_reset(&mut client));
}

#[test]
fn the_proxy_ends_with_its_connections() {
    let mut pair = Pair::new();
    let address = pair.proxy.address();
    drop(pair.proxy);
    assert!(is_reset(&mut pair.client));
    assert!(TcpStream::connect(address).is_err());
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// How many rows there are when a client loses its connection at a statement of that text.
fn rows_after(words: &[&str], fate: Fate, work: fn(&mut PgConnection) -> diesel::QueryResult<()>) -> i64 {
    let database = Database::fresh();
    let proxy = Proxy::to(database.server());
    let mut direct = database.connect();
    direct.batch_execute("CREATE TABLE rows (id INT)").expect("a table");
    let url = database.url_by_way_of(proxy.address());
    let mut client = PgConnection::establish(&url).expect("the way is open");
    let caught = proxy.cut_at(words, fate);
    work(&mut client).expect_err("the connection is lost");
    caught.recv_timeout(Duration::from_secs(10)).expect("it was the proxy");
    let mut again = PgConnection::establish(&url).expect("a statement is caught once");
    let count: Count =
        sql_query("SELECT count(*) AS rows FROM rows").get_result(&mut again).expect("a count");
    count.rows
}

fn in_a_transaction(client: &mut PgConnection) -> diesel::QueryResult<()> {
    client.transaction(|client| sql_query("INSERT INTO rows VALUES (1)").execute(client).map(drop))
}

fn in_one_statement(client: &mut PgConnection) -> diesel::QueryResult<()> {
    sql_query("INSERT INTO rows VALUES (1)").execute(client).map(drop)
}

#[test]
fn a_commit_is_done_though_its_answer_is_lost() {
    assert_eq!(rows_after(&["commit"], Fate::Done, in_a_transaction), 1);
}

#[test]
fn a_commit_that_is_lost_is_not_done() {
    assert_eq!(rows_after(&["COMMIT"], Fate::Lost, in_a_transaction), 0);
}

#[test]
fn a_statement_that_commits_by_itself_is_caught_too() {
    assert_eq!(rows_after(&["insert into rows"], Fate::Done, in_one_statement), 1);
    assert_eq!(rows_after(&["insert into rows"], Fate::Lost, in_one_statement), 0);
}

#[test]
fn statements_are_waited_for_in_their_order() {
    fn reads_and_writes(client: &mut PgConnection) -> diesel::QueryResult<()> {
        client.transaction(|client| sql_query("SELECT 1").execute(client)).expect("that is not it");
        in_a_transaction(client)
    }
    assert_eq!(rows_after(&["insert", "commit"], Fate::Lost, reads_and_writes), 0);
}
