//! A witness inside of the database: triggers, of which the program knows nothing, write down every
//! grant, renewal and end of a lock, and for every event who held the plan's lock in that very
//! transaction: a child is born under its parent's. Their order is the order of the commits.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

const TRIGGERS: &str = "
CREATE TABLE witness (
    n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL,
    owner TEXT, token INTEGER, lock_owner TEXT, lock_token INTEGER, pid INTEGER, expires INTEGER, seq INTEGER);
CREATE TRIGGER witness_birth AFTER INSERT ON locks WHEN NEW.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token, pid, expires) VALUES ('grant',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, NEW.pid, NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_grant AFTER UPDATE ON locks WHEN NEW.token <> OLD.token BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, pid, expires) VALUES ('grant',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, OLD.owner_id, OLD.token, NEW.pid,
        NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_renewal AFTER UPDATE ON locks
WHEN NEW.token = OLD.token AND NEW.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, pid, expires) VALUES ('renewal',
        NEW.resource_type || '/' || NEW.resource_id, NEW.owner_id, NEW.token, OLD.owner_id, NEW.pid,
        NEW.expires_boottime_ms);
END;
CREATE TRIGGER witness_end AFTER UPDATE ON locks WHEN NEW.owner_id IS NULL AND OLD.owner_id IS NOT NULL BEGIN
    INSERT INTO witness (kind, key, owner, token) VALUES ('end',
        NEW.resource_type || '/' || NEW.resource_id, OLD.owner_id, OLD.token);
END;
CREATE TRIGGER witness_event AFTER INSERT ON events BEGIN
    INSERT INTO witness (kind, key, owner, token, lock_owner, lock_token, seq)
    SELECT 'event', 'plan/' || NEW.plan_id, NEW.owner_id, NEW.token, owner_id, token, NEW.seq
    FROM locks WHERE resource_type = 'plan' AND resource_id = CASE NEW.seq
        WHEN 1 THEN (SELECT coalesce(parent, id) FROM plans WHERE id = NEW.plan_id) ELSE NEW.plan_id END;
END;
";

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

/// Reads the database through SQLite, as any reader may.
pub(crate) struct Oracle {
    pub(crate) database: PathBuf,
}

impl Oracle {
    pub(crate) fn of(database: &Path) -> Self {
        Self { database: database.to_owned() }
    }

    fn connect(&self) -> SqliteConnection {
        let path = self.database.display().to_string();
        let mut connection = SqliteConnection::establish(&path).expect("the database opens");
        connection.batch_execute("PRAGMA busy_timeout = 30000").expect("a pragma");
        connection
    }

    pub(crate) fn install(&self) {
        self.connect().batch_execute(TRIGGERS).expect("the triggers are made");
    }

    /// Changes what is stored, to show that it is noticed.
    pub(crate) fn doctor(&self, statement: &str) {
        self.connect().batch_execute(statement).expect("it is doctored");
    }

    /// All that was seen, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        let query = "SELECT kind, key, owner, token, lock_owner, lock_token, pid, expires, seq FROM witness ORDER BY n";
        diesel::sql_query(query).load(&mut self.connect()).expect("read")
    }

    /// The plans, oldest first.
    pub(crate) fn plans(&self) -> Vec<Plan> {
        let query = "SELECT id, phase, state, error_code, parent FROM plans ORDER BY created_at, id";
        diesel::sql_query(query).load(&mut self.connect()).expect("read")
    }

    /// The children that belong to the past of their parents.
    pub(crate) fn past(&self) -> BTreeSet<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            plan_id: String,
        }
        let query = "SELECT plan_id FROM subplans WHERE current = 0";
        let rows: Vec<Row> = diesel::sql_query(query).load(&mut self.connect()).expect("read");
        rows.into_iter().map(|row| row.plan_id).collect()
    }

    /// Keys and tokens of the locks that are held.
    pub(crate) fn held(&self) -> Vec<(String, i64)> {
        self.holders().into_iter().map(|(key, token, _)| (key, token)).collect()
    }

    /// Every lock that is held: its key, its token and the process.
    pub(crate) fn holders(&self) -> Vec<(String, i64, i32)> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            key: String,
            #[diesel(sql_type = BigInt)]
            token: i64,
            #[diesel(sql_type = BigInt)]
            pid: i64,
        }
        let query = "SELECT resource_type || '/' || resource_id AS key, token, pid FROM locks \
                     WHERE owner_id IS NOT NULL";
        let rows: Vec<Row> = diesel::sql_query(query).load(&mut self.connect()).expect("read");
        let pid = |row: &Row| i32::try_from(row.pid).expect("a pid");
        rows.into_iter().map(|row| (row.key.clone(), row.token, pid(&row))).collect()
    }
}
