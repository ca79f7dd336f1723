//! What the database says, read past the program and past whatever is in its way: the plans, the locks,
//! and what the witness in it has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::linux::clock;
use crate::linux::place::{Link, On, Place};
use crate::linux::witness;

/// In milliseconds: no server is away for so long.
const PATIENCE: i64 = 60_000;

/// One thing that was seen.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Seen {
    #[diesel(sql_type = Text)]
    pub(crate) kind: String,
    #[diesel(sql_type = Text)]
    pub(crate) key: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) owner: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) token: Option<i64>,
    /// Of an event: who holds the lock; of a grant: who held it before.
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) lock_owner: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) lock_token: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) pid: Option<i64>,
    /// Milliseconds since boot.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) expires: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) seq: Option<i64>,
}

/// One plan as it is stored.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Plan {
    #[diesel(sql_type = Text)]
    pub(crate) id: String,
    #[diesel(sql_type = Text)]
    pub(crate) phase: String,
    #[diesel(sql_type = Text)]
    pub(crate) state: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) error_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) parent: Option<String>,
}

impl Plan {
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.state.as_str(), "applied" | "cancelled")
    }
}

/// Reads the database, as any reader may.
pub(crate) struct Oracle {
    pub(crate) place: Place,
    idle: Mutex<Vec<Link>>,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = BigInt)]
    token: i64,
    #[diesel(sql_type = BigInt)]
    pid: i64,
}

impl Oracle {
    pub(crate) fn of(place: Place) -> Self {
        Self { place, idle: Mutex::default() }
    }

    /// With a connection, anew while the server is away: it may have been restarted, or be full.
    fn with<T>(&self, work: impl Fn(&mut Link) -> QueryResult<T>) -> T {
        let end = clock::now() + PATIENCE;
        loop {
            let idle = self.idle.lock().expect("whole").pop();
            let connected = idle.map_or_else(|| self.place.connect().map_err(|error| error.to_string()), Ok);
            let done = connected.and_then(|mut connection| {
                let value = work(&mut connection).map_err(|error| error.to_string())?;
                self.idle.lock().expect("whole").push(connection);
                Ok(value)
            });
            match done {
                Ok(value) => return value,
                Err(problem) => assert!(clock::now() < end, "the database cannot be read: {problem}"),
            }
            clock::pass(Duration::from_millis(100));
        }
    }

    fn lines(&self, query: &str) -> Vec<String> {
        let rows: Vec<Line> = self.with(|connection| diesel::sql_query(query).load(connection));
        rows.into_iter().map(|row| row.line).collect()
    }

    /// Makes the witness.
    pub(crate) fn install(&self) {
        self.doctor(witness::triggers(self.on()));
    }

    fn on(&self) -> On {
        if self.place.server().is_some() { On::Postgres } else { On::Sqlite }
    }

    /// Changes what is stored, to show that it is noticed.
    pub(crate) fn doctor(&self, statement: &str) {
        self.with(|connection| connection.batch_execute(statement));
    }

    /// All that was seen, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let query = "SELECT kind, key, owner, token, lock_owner, lock_token, pid, expires, seq FROM witness ORDER BY n";
        let mut seen: Vec<Seen> = self.with(|connection| diesel::sql_query(query).load(connection));
        if self.on() == On::Postgres {
            // The server says when a term ends by the time of day, which nobody moves for it.
            let since = clock::boot_in_epoch();
            for seen in &mut seen {
                seen.expires = seen.expires.map(|at| at - since);
            }
        }
        seen
    }

    /// Events that were committed when their lock was another's already: what one sees only where
    /// several write at once.
    pub(crate) fn late(&self) -> Vec<String> {
        if self.on() == On::Sqlite { Vec::new() } else { self.lines(witness::LATE) }
    }

    /// The plans, oldest first.
    pub(crate) fn plans(&self) -> Vec<Plan> {
        let query = "SELECT id, phase, state, error_code, parent FROM plans ORDER BY created_at, id";
        self.with(|connection| diesel::sql_query(query).load(connection))
    }

    /// The children that belong to the past of their parents.
    pub(crate) fn past(&self) -> BTreeSet<String> {
        self.lines("SELECT plan_id AS line FROM subplans WHERE NOT current").into_iter().collect()
    }

    /// Orders that are open though nothing keeps a worker from them: what waits for a person, or for its
    /// time, is none.
    pub(crate) fn open_orders(&self) -> Vec<String> {
        self.lines(
            "SELECT plan_id || ' up to ' || goal || ', at ' || phase || '/' || state || ', put back for ' \
             || coalesce(trouble, 'nothing') || ', in hand of ' || coalesce(worker, 'nobody') AS line FROM orders JOIN plans ON id = plan_id \
             WHERE closed_at IS NULL AND not_before IS NULL AND parked_input IS NULL ORDER BY ready_at",
        )
    }

    /// How orders ended, and how many did so.
    pub(crate) fn ended_orders(&self) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for outcome in self.lines("SELECT split_part(coalesce(outcome, 'open'), ':', 1) AS line FROM orders")
        {
            *counts.entry(outcome).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// Keys and tokens of the locks that are held.
    pub(crate) fn held(&self) -> Vec<(String, i64)> {
        self.holders().into_iter().map(|(key, token, _)| (key, token)).collect()
    }

    /// Every lock that is held: its key, its token and the process.
    pub(crate) fn holders(&self) -> Vec<(String, i64, i32)> {
        let query = "SELECT resource_type || '/' || resource_id AS key, token, pid FROM locks \
                     WHERE owner_id IS NOT NULL";
        let rows: Vec<Held> = self.with(|connection| diesel::sql_query(query).load(connection));
        let pid = |row: &Held| i32::try_from(row.pid).expect("a pid");
        rows.into_iter().map(|row| (row.key.clone(), row.token, pid(&row))).collect()
    }
}
