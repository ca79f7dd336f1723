//! A database on a server as one side of a move: its tables are locked against writers, and what is read
//! and written is one transaction.
//!
//! Readers go on. Writers wait for as long as a statement of theirs may take, and then say so. The lock
//! comes before the first look at the rows, so that nothing is missed that a writer had begun. The
//! server does not wait for ever for one of us that is gone without a word (a machine that was switched
//! off): it is told how long a pause may be.

use agents_domain::lock::{HeldLock, LockFilter};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::PostgresOptions;
use super::check;
use super::connection::Setup;
use super::failure::WORDS;
use super::feed;
use super::locks;
use super::open::{Facts, OpenError, Verdict, unavailable};
use super::statement::Statement;
use crate::store::check::CheckReport;
use crate::store::fault::{Fault, Words};
use crate::store::moving::rows::{BATCH, EventAt, Rows, Table, rows};
use crate::store::moving::{Address, Arrival, Departure, Restored, Side, closed_tables, restore, sentence};

rows!(PgConnection);

impl Table<EventAt> for PgConnection {
    fn read(&mut self, after: Option<&EventAt>) -> QueryResult<Vec<EventAt>> {
        let rows = feed::rows(self, after.map(|at| (at.place, &at.row)), BATCH)?;
        Ok(rows.into_iter().map(|(row, era, number)| EventAt { place: (era, number), row }).collect())
    }

    fn write(&mut self, rows: Vec<EventAt>) -> QueryResult<()> {
        let rows: Vec<_> = rows.into_iter().map(|at| at.row).collect();
        feed::append(self, &rows)
    }
}

/// Tables that only a server has.
const OWN_TABLES: [&str; 2] = ["counted_events", "event_counts"];

/// One database.
struct ServerSide {
    connection: PgConnection,
}

/// Which database a URL leads to: two names of one server lead to one. A schema is part of the place.
pub(crate) fn address(options: &PostgresOptions) -> Result<Address, OpenError> {
    let query = Statement::<(Text, Text)>::new(
        "SELECT concat_ws('/', pg_postmaster_start_time(), inet_server_port(), current_database(), \
         current_schema()), coalesce(current_schema(), 'public')",
    );
    let mut connection = connect(options)?;
    let (identity, schema): (String, String) =
        query.first(&mut connection).map_err(|error| unavailable(options, &error))?;
    Ok(Address { place: options.url.with_schema(&schema), identity: Some(identity) })
}

/// The database to move away from: ours, or closed by an earlier move.
pub(crate) fn leave(options: &PostgresOptions) -> Result<Departure, OpenError> {
    enter_with(options, &[Verdict::Current, Verdict::Moved]).map(Departure::new)
}

/// The database to move to; its tables are made, if need be.
pub(crate) fn arrive(options: &PostgresOptions) -> Result<Arrival, OpenError> {
    super::migrate::create(options)?;
    enter_with(options, &[Verdict::Current]).map(Arrival::new)
}

/// Makes a restored database safe to go on with.
pub(crate) fn restored(options: &PostgresOptions) -> Result<Restored, OpenError> {
    let mut side = enter_with(options, &[Verdict::Current, Verdict::Moved])?;
    restore(&mut side, |_| Ok(())).map_err(|fault| unavailable(options, &fault.into_store(WORDS)))
}

fn connect(options: &PostgresOptions) -> Result<PgConnection, OpenError> {
    Setup::lasting(options).connect().map_err(|error| unavailable(options, &error))
}

fn enter_with(options: &PostgresOptions, allowed: &[Verdict]) -> Result<ServerSide, OpenError> {
    let failed = |error| unavailable(options, &error);
    let place = options.url.to_string();
    let mut connection = connect(options)?;
    let refuse = |facts: &Facts| {
        facts.check_server(&place)?;
        match facts.verdict() {
            verdict if allowed.contains(&verdict) => Ok(()),
            verdict => facts.refuse(&place, verdict),
        }
    };
    refuse(&Facts::read(&mut connection).map_err(failed)?)?;
    let tables = closed_tables(&OWN_TABLES).chain(["meta"]).collect::<Vec<_>>().join(", ");
    let begin = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL lock_timeout = '10s'; \
         SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '5min'; \
         LOCK TABLE {tables} IN EXCLUSIVE MODE; SELECT set_config('synchronous_commit', 'on', true) \
         WHERE current_setting('synchronous_commit') = 'off'"
    );
    connection.batch_execute(&begin).map_err(failed)?;
    if let Some(hand) = &options.hand {
        connection.batch_execute(&format!("SET LOCAL agents.now = '{}'", hand.now())).map_err(failed)?;
    }
    refuse(&Facts::read(&mut connection).map_err(failed)?)?;
    Ok(ServerSide { connection })
}

impl Side for ServerSide {
    fn rows(&mut self) -> &mut dyn Rows {
        &mut self.connection
    }

    fn held(&mut self) -> Result<Vec<HeldLock>, Fault> {
        locks::list(&mut self.connection, &LockFilter::default())
    }

    fn shut(&mut self, to: &str) -> QueryResult<()> {
        let words = sentence(to).replace('\'', "''");
        for table in closed_tables(&OWN_TABLES) {
            self.connection.batch_execute(&format!(
                "CREATE TRIGGER moved BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} \
                 FOR EACH STATEMENT EXECUTE FUNCTION agents_refuse('{words}')"
            ))?;
        }
        Ok(())
    }

    fn open_up(&mut self) -> QueryResult<()> {
        for table in closed_tables(&OWN_TABLES) {
            self.connection.batch_execute(&format!("DROP TRIGGER IF EXISTS moved ON {table}"))?;
        }
        Ok(())
    }

    fn check(&mut self, told: &mut dyn FnMut(u64) -> QueryResult<()>) -> Result<CheckReport, Fault> {
        check::check_telling(&mut self.connection, told)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        self.connection.batch_execute("COMMIT").map_err(Fault::AtCommit)
    }

    fn words(&self) -> Words {
        WORDS
    }
}
