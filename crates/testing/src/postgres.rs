//! A PostgreSQL database for one test.
//!
//! The server is brought up by `scripts/postgres run`, which says by variables where it is. Without them
//! a test fails, and says how it is to be run: one that passes because it had no server proves nothing.
//!
//! Each test has a database of its own, not a schema in one that all share: what a database has once (the
//! lock of migrations, the channels of notifications) then belongs to the test alone, and the tables are
//! where users have them. It costs two commands of 20 to 50 ms each.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};

const URL: &str = "AGENTS_TEST_POSTGRES_URL";
const RESTART: &str = "AGENTS_TEST_POSTGRES_RESTART";
const POOLER: &str = "AGENTS_TEST_POSTGRES_POOLER";

/// An empty database, dropped with this value.
#[derive(Debug)]
pub struct Database {
    server: Server,
    name: String,
}

impl Database {
    /// Makes one, of a name that nobody else has.
    ///
    /// # Panics
    ///
    /// If there is no server.
    pub fn fresh() -> Self {
        let name = format!("agents_test_{:016x}", RandomState::new().build_hasher().finish());
        let server = Server::of_the_tests();
        server.run(&format!("CREATE DATABASE {name}")).expect("a database is made");
        Self { server, name }
    }

    /// Its name, which needs no quotes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, as libpq has it. The role is its owner, and no superuser.
    pub fn url(&self) -> String {
        self.url_by_way_of(self.server.address)
    }

    /// The same by way of another address, such as that of a [`Proxy`](crate::proxy::Proxy).
    pub fn url_by_way_of(&self, address: SocketAddr) -> String {
        self.server.url(address, &self.name)
    }

    /// The same by way of a pooler in transaction mode, if a person has put one before the server and says
    /// where it is; else as without.
    pub fn url_of_a_pooler(&self) -> String {
        match pooler() {
            Some(address) => self.url_by_way_of(address.parse().expect("an address")),
            None => self.url(),
        }
    }

    /// The password of its owner, which no program shows.
    pub fn password(&self) -> &str {
        self.server.credentials.split_once(':').map_or("", |(_, password)| password)
    }

    /// The address of its server.
    pub fn server(&self) -> SocketAddr {
        self.server.address
    }

    /// Has the server do something from outside of this database, to which nobody may get in just now.
    ///
    /// # Errors
    ///
    /// What the server says.
    pub fn administer(&self, command: &str) -> Result<(), String> {
        self.server.run(command)
    }

    /// Connects to it.
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).expect("the server of the tests is there")
    }
}

impl Drop for Database {
    /// Whoever is still connected is thrown out. If that fails, the server is gone, or will be when the
    /// tests are over: there is nobody to tell.
    fn drop(&mut self) {
        self.server.run(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).ok();
    }
}

/// Restarts the server as if it had crashed, and waits until it is back. All connections of all tests
/// are lost by it: a target of tests that does this does nothing else at the time.
pub fn restart() {
    let status = Command::new(variable(RESTART)).status().expect("the program that restarts the server");
    assert!(status.success(), "the server is back: {status}");
}

/// Where the server is, and as whom one gets in.
#[derive(Debug, Clone)]
struct Server {
    credentials: String,
    address: SocketAddr,
}

impl Server {
    fn of_the_tests() -> Self {
        let url = variable(URL);
        Self::parse(&url).unwrap_or_else(|| panic!("{URL} is not as scripts/postgres makes it: {url}"))
    }

    /// Reads `postgres://user:password@address:port/database`.
    fn parse(url: &str) -> Option<Self> {
        let (credentials, rest) = url.strip_prefix("postgres://")?.rsplit_once('@')?;
        let (address, _) = rest.split_once('/')?;
        Some(Self { credentials: credentials.to_owned(), address: address.parse().ok()? })
    }

    fn url(&self, address: SocketAddr, database: &str) -> String {
        format!("postgres://{}@{address}/{database}", self.credentials)
    }

    /// Runs a command of the server's, in no database of a test's.
    fn run(&self, command: &str) -> Result<(), String> {
        let url = self.url(self.address, "postgres?connect_timeout=10");
        let mut connection = PgConnection::establish(&url).map_err(|error| error.to_string())?;
        connection.batch_execute(command).map_err(|error| error.to_string())
    }
}

#[expect(clippy::disallowed_methods, reason = "the script that brings the server up says by it where it is")]
fn variable(name: &str) -> String {
    required(name, std::env::var(name).ok())
}

#[expect(clippy::disallowed_methods, reason = "a person says by it where a pooler is")]
fn pooler() -> Option<String> {
    std::env::var(POOLER).ok()
}

fn required(name: &str, value: Option<String>) -> String {
    value.unwrap_or_else(|| {
        panic!("{name} is not set: this test needs PostgreSQL; run ./scripts/postgres run cargo test …")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "run ./scripts/postgres run cargo test")]
    fn without_a_server_a_test_fails_and_says_what_to_do() {
        required(URL, None);
    }

    #[test]
    fn a_url_is_taken_apart_and_put_together() {
        let server = Server::parse("postgres://me:secret@127.0.0.1:20001/postgres").expect("a server");
        let proxy = "127.0.0.1:7".parse().expect("an address");
        assert_eq!(server.url(server.address, "mine"), "postgres://me:secret@127.0.0.1:20001/mine");
        assert_eq!(server.url(proxy, "mine"), "postgres://me:secret@127.0.0.1:7/mine");
    }

    #[test]
    fn another_url_is_none_of_ours() {
        for url in ["127.0.0.1:20001", "postgres://127.0.0.1:20001/postgres", "postgres://me@/postgres"] {
            assert!(Server::parse(url).is_none(), "{url}");
        }
    }
}
