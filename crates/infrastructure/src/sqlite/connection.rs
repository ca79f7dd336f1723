//! One connection: how it is opened, and what it promises.
//!
//! **Durability.** Transactions of a process are of two kinds. `durable` ones wait for the disk at
//! their commit (`synchronous=FULL`): plans, their logs, renewals. `lease` ones do not
//! (`synchronous=NORMAL`): acquiring and releasing locks. That is safe, and here is why. Both
//! append to one write-ahead log, in the order in which they commit, and a sync of that log takes
//! everything before it along:
//!
//! ```text
//! log:   … grant(7, A) │ plan write(7, A) ⟵ synced │ release │ grant(8, B) │
//! power cut here:      ▲ 1                         ▲ 2        ▲ 3          ▲ 4
//! ```
//!
//! 1. The grant is forgotten, and so is everything A wrote under it, since that comes later in
//!    the log. Token 7 may be granted anew, to another owner; owner and token are checked
//!    together and owners are never reused, so A, had it survived, would be refused.
//! 2. A durable plan write implies a durable grant. The token in the plan's row is no higher than
//!    the one in the lock's row, so no later grant repeats it.
//! 3. The release is forgotten: the lock seems held by a process of an earlier boot, that is, by
//!    nobody, and is granted to whoever asks.
//! 4. As 1, for B.
//!
//! A log cut short is cut at a commit: SQLite checksums its frames and drops a torn tail. A
//! checkpoint syncs the log before it moves pages into the database, whichever connection runs
//! it. Renewals wait for the disk since others may rely on them: a holder that trusts its
//! renewed lease must not be contradicted by a machine that forgot it.
//!
//! **Statements** are prepared once for a connection, with one exception: one with `LIMIT ?` is
//! prepared anew at each run, since SQLite plans by the number that is bound. So a row is asked for
//! by its key with `get_result`, not with `first`, which adds such a limit.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

/// How long SQLite itself waits for a writer that came past our gate.
const BUSY_TIMEOUT_MS: u32 = 2_000;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads; cannot write.
    Read,
    /// Writes that wait for the disk.
    Durable,
    /// Grants and releases of locks.
    Lease,
}

impl Purpose {
    fn pragmas(self) -> String {
        let own = self.own_pragmas();
        format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}; PRAGMA foreign_keys = ON; {own}")
    }

    /// What sets this purpose apart; also sets up a connection that had another one. Outside of
    /// transactions only: inside, SQLite does not change how it waits for the disk.
    ///
    /// The log is moved into the database after so many pages, which waits for the disk: whoever
    /// waits for it anyway does this, a grant or release only once nobody else has.
    pub(crate) const fn own_pragmas(self) -> &'static str {
        match self {
            Self::Read => "PRAGMA query_only = ON;",
            Self::Durable => "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 1000;",
            Self::Lease => "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000;",
        }
    }
}

/// Opens an existing database file.
pub(crate) fn connect(path: &Path, purpose: Purpose) -> Result<SqliteConnection, String> {
    establish(path, "rw", purpose)
}

/// Opens a database file, making an empty one if there is none.
pub(crate) fn connect_or_make(path: &Path) -> Result<SqliteConnection, String> {
    establish(path, "rwc", Purpose::Durable)
}

fn establish(path: &Path, mode: &str, purpose: Purpose) -> Result<SqliteConnection, String> {
    let mut connection = SqliteConnection::establish(&uri(path, mode)).map_err(|error| error.to_string())?;
    connection.batch_execute(&purpose.pragmas()).map_err(|error| error.to_string())?;
    Ok(connection)
}

/// The path as a URI: only so can SQLite be told not to make the file.
fn uri(path: &Path, mode: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    // With the empty authority, a path that begins with two slashes is still a path.
    let mut uri = if path.is_absolute() { "file://" } else { "file:" }.to_owned();
    for &byte in path.as_os_str().as_bytes() {
        if plain(byte) {
            uri.push(char::from(byte));
        } else {
            uri.extend(['%', hex(byte >> 4), hex(byte & 0xf)]);
        }
    }
    uri + "?mode=" + mode
}

fn hex(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("four bits").to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_paths_survive_the_uri() {
        assert_eq!(uri(Path::new("a.db"), "rw"), "file:a.db?mode=rw");
        assert_eq!(uri(Path::new("/a b/ü?#%.db"), "rw"), "file:///a%20b/%C3%BC%3F%23%25.db?mode=rw");
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("a?mode=ro&b#c%41.db");
        drop(connect_or_make(&path).expect("made"));
        assert!(path.is_file());
        assert!(connect(&dir.path().join("none.db"), Purpose::Read).is_err());
    }
}
