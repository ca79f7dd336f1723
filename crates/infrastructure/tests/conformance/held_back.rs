//! What only PostgreSQL has: writers that do not wait for each other, and numbers of transactions.
//!
//! A second connection plays another process, whose transaction stays open for as long as a test
//! wants it to.

use std::time::Duration;

use agents_domain::feed::{Feed as _, FeedPage, FeedPosition};
use agents_domain::lock::Fence;
use agents_domain::measures::Measures as _;
use agents_domain::plan::{Event, Opening, PlanStore as _};
use agents_domain::time::Timestamp;
use agents_infrastructure::postgres::PostgresStore;
use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::support::postgres_options;
use crate::values::{self, event_id, new_plan, plan_id, prompt};

/// What else is done for one event in a thousand.
const COUNT_ALWAYS: &str =
    "CREATE TRIGGER always AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION agents_count_events()";

struct Server {
    database: Database,
    store: PostgresStore,
}

#[derive(QueryableByName)]
struct Read {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    event_id: String,
}

impl Server {
    async fn with_plans(numbers: std::ops::RangeInclusive<u32>) -> Self {
        let database = Database::fresh();
        let options = postgres_options(&database.url()).allow_unfenced();
        let server = Self { store: PostgresStore::create(options).expect("a database"), database };
        for number in numbers {
            let new = new_plan(number, noon());
            server.store.plans().create(&new, &Opening::Unfenced).await.expect("a new plan");
        }
        server
    }

    fn connection(&self) -> PgConnection {
        self.database.connect()
    }

    async fn prompt(&self, number: u32) {
        let plans = self.store.plans();
        let plan = plans.load(plan_id(number)).await.expect("an answer").expect("the plan");
        let write = prompt(&plan, "on", noon());
        plans.commit(&write, &Fence::Unfenced).await.expect("written");
    }

    /// All that comes after that place. Tests beside this one hold things back on the same server,
    /// each for a moment.
    async fn after(&self, place: FeedPosition) -> (Vec<(u32, u64)>, FeedPosition) {
        let (mut found, mut place) = (Vec::new(), place);
        loop {
            let page = self.store.feed().after(place, 100).await.expect("a page");
            place = page.next;
            if page.events.is_empty() && !page.held {
                return (found, place);
            }
            let name = |event: &Event| (values::number_of(event.plan), event.seq);
            found.extend(page.events.iter().map(name));
            tokio::task::yield_now().await;
        }
    }
}

fn noon() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// The second event of that plan, as another process would write it, by a transaction of this number,
/// or else its own.
fn late_event(number: u32, transaction: Option<u64>) -> String {
    let (plan, id) = (plan_id(number), event_id(plan_id(number), 2));
    let at = noon().as_millis();
    let tx = transaction.map_or("pg_current_xact_id()".to_owned(), |tx| format!("'{tx}'"));
    format!(
        "INSERT INTO events (plan_id, seq, event_id, kind, at, schema_version, payload, tx) VALUES ('{plan}', 2, \
         '{id}', 'plan.prompted', {at}, 1, '{{\"kind\":\"plan.prompted\",\"text\":\"late\"}}', {tx})"
    )
}

#[tokio::test]
async fn an_event_whose_transaction_ends_late_is_read_once_and_in_its_place() {
    let server = Server::with_plans(1..=2).await;
    let (_, place) = server.after(FeedPosition::START).await;
    let mut other = server.connection();
    other.batch_execute(&format!("BEGIN; {}", late_event(1, None))).expect("an open transaction");
    server.prompt(2).await;
    let page = server.store.feed().after(place, 100).await;
    let nothing_yet = FeedPage { events: vec![], next: place, held: true };
    assert_eq!(page, Ok(nothing_yet), "nothing is read past a transaction that runs");
    let now = server.store.feed().since(noon().plus(Duration::from_secs(1))).await;
    assert_eq!(now, Ok(place), "nor is the end behind it");
    other.batch_execute("COMMIT").expect("committed");
    let (found, end) = server.after(place).await;
    assert_eq!(found, [(1, 2), (2, 2)]);
    assert_eq!(server.after(end).await, (vec![], end), "and never again");
}

#[tokio::test]
async fn by_time_or_by_id_the_same_event_would_be_missed() {
    for order in ["at, event_id", "event_id, at"] {
        let server = Server::with_plans(1..=2).await;
        let mut other = server.connection();
        other.batch_execute(&format!("BEGIN; {}", late_event(1, None))).expect("an open transaction");
        server.prompt(2).await;
        let mut reader = server.connection();
        let mut read = |after: &str| {
            let query = format!("SELECT event_id FROM events WHERE {after} ORDER BY {order}");
            diesel::sql_query(query).load::<Found>(&mut reader).expect("read")
        };
        let seen = read("true");
        let last = &seen.last().expect("three").event_id;
        other.batch_execute("COMMIT").expect("committed");
        let later = read(&format!("({order}) > (SELECT {order} FROM events WHERE event_id = '{last}')"));
        assert_eq!((seen.len(), later.len()), (3, 0), "four were written, by {order}");
    }
}

#[tokio::test]
async fn what_is_rolled_back_is_never_read_and_holds_nothing_back() {
    let server = Server::with_plans(1..=2).await;
    let (_, place) = server.after(FeedPosition::START).await;
    let mut other = server.connection();
    other.batch_execute(&format!("BEGIN; {}; ROLLBACK", late_event(1, None))).expect("rolled back");
    server.prompt(2).await;
    assert_eq!(server.after(place).await.0, [(2, 2)]);
}

/// As after a dump was restored on a server that has had fewer transactions.
#[tokio::test]
async fn what_another_server_numbered_is_read_and_what_is_written_here_comes_after_it() {
    let server = Server::with_plans(1..=3).await;
    let (_, place) = server.after(FeedPosition::START).await;
    server.connection().batch_execute(&late_event(1, Some(9_000_000_000))).expect("restored");
    let (found, restored) = server.after(place).await;
    assert_eq!(found, [(1, 2)], "its number is one that this server has not given yet");
    server.prompt(2).await;
    let (found, end) = server.after(restored).await;
    assert_eq!((found, end.era), (vec![(2, 2)], 2));
    server.prompt(3).await;
    assert_eq!(server.after(end).await.0, [(3, 2)]);
    assert_eq!(server.after(FeedPosition::START).await.0.last(), Some(&(3, 2)));
    assert_eq!(server.store.check().expect("checked").problems.len(), 1, "but for the log that was forged");
}

/// Numbering it and counting those before it: with a million events, reading all of them takes a second.
#[tokio::test]
async fn who_writes_an_event_does_not_read_all_others() {
    let server = Server::with_plans(1..=60).await;
    let mut connection = server.connection();
    connection.batch_execute(COUNT_ALWAYS).expect("a trigger");
    // Nothing is counted past the oldest transaction of the server, which may be another test's.
    let uncounted = "SELECT count(*) AS rows FROM events AS e, counted_events AS c \
         WHERE (e.era, e.tx, e.plan_id, e.seq) > (c.era, c.tx, c.plan_id, c.seq)";
    let mut left = i64::MAX;
    for _ in 0..1_000 {
        server.prompt(2).await;
        left = diesel::sql_query(uncounted).get_result::<Read>(&mut connection).expect("a number").rows;
        if left < 5 {
            break;
        }
    }
    assert!(left < 5, "{left} are not counted: something is open for long");
    let writing = format!("BEGIN; SET LOCAL enable_seqscan = off; {}", late_event(1, None));
    connection.batch_execute(&writing).expect("written");
    let read =
        "SELECT seq_tup_read + idx_tup_fetch AS rows FROM pg_stat_xact_user_tables WHERE relname = 'events'";
    let read: Read = diesel::sql_query(read).get_result(&mut connection).expect("a number");
    assert!(read.rows < 15, "{} were read, of more than 60", read.rows);
}

#[tokio::test]
async fn events_that_were_counted_together_are_counted_once() {
    let server = Server::with_plans(1..=3).await;
    server.connection().batch_execute(COUNT_ALWAYS).expect("a trigger");
    for (number, counted) in [(1, 4), (2, 5), (3, 6)] {
        let mut other = server.connection();
        other.batch_execute("BEGIN; SELECT pg_current_xact_id()").expect("an open transaction");
        server.prompt(number).await;
        other.batch_execute("COMMIT").expect("ended");
        let events = server.store.measures().measure().await.expect("numbers").events;
        assert_eq!(events.values().sum::<u64>(), counted);
    }
    server.prompt(1).await;
    assert_eq!(server.store.check().expect("checked").problems, Vec::<String>::new());
}
