//! Moving between any two databases, and going on with a restored one.

mod content;
mod place;

use std::panic::{AssertUnwindSafe, catch_unwind};

use agents_domain::feed::FeedPosition;
use agents_domain::lock::{AcquireRequest, LockError, LockFilter, LockKey, Release, Renewal};
use agents_domain::plan::{CommitOutcome, Opening, StoreError};
use agents_domain::time::Clock as _;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use agents_infrastructure::store::moving::{Move, MoveError, Moved, Restored, Step, carry_out};
use diesel::prelude::*;
use rstest::rstest;

use crate::line::asking;
use crate::support::{TERM, request, term, ttl};
use crate::values::{self, new_plan, owner, plan_id, prompt};
use content::{cancel, filled, same};
use place::{At, Kind, Place};

/// What a fencing token grows by when a database is restored.
const LEAP: i64 = 1_000_000_000_000;

fn mark(to: &str) -> Move {
    Move { id: format!("move to {to}"), to: to.to_owned() }
}

fn moved(from: &Place, to: &Place) -> Result<Moved, MoveError> {
    carry_out(from.leave(), to.arrive(), &mark("there"), &mut |_| {})
}

#[rstest]
#[case(Kind::File, Kind::Server)]
#[case(Kind::Server, Kind::File)]
#[case(Kind::File, Kind::File)]
#[case(Kind::Server, Kind::Server)]
#[tokio::test]
async fn everything_moves_and_tokens_go_on(#[case] from: Kind, #[case] to: Kind) {
    let (from, to) = (Place::new(from), Place::new(to));
    let store = filled(&from).await;
    let before = store.take_one(9, &LockKey::Plan(plan_id(500))).await;
    store.locks.release(owner(9), &term(&before)).await.expect("released");
    let mut steps = Vec::new();
    let moved =
        carry_out(from.leave(), to.arrive(), &mark("there"), &mut |step| steps.push(step)).expect("moved");
    let rows = |name: &str| moved.tables.iter().find(|(table, _)| *table == name).expect("a table").1;
    assert_eq!((rows("plans"), rows("locks"), rows("requests")), (moved.replayed, moved.replayed + 2, 1));
    assert!(!moved.already && rows("events") > rows("plans"), "{moved:?}");
    let (events, plans) = (rows("events"), rows("plans"));
    for last in
        [Step::Copied { table: "events", rows: events, of: events }, Step::Replayed { plans, of: plans }]
    {
        assert!(steps.contains(&last), "{steps:?}");
    }
    let arrived = to.open().expect("opened");
    same(&store, &arrived).await;
    assert_eq!(to.checked(), (plans, vec![]));
    let (told, end) = store.feed_after(FeedPosition::START, 100).await;
    assert!(!told.is_sorted_by_key(|event| event.plan), "the plans took turns");
    let (retold, place) = arrived.feed_after(FeedPosition::START, 7).await;
    assert_eq!(
        (retold.len(), retold),
        (usize::try_from(events).expect("few"), told),
        "in the same order, to {end:?}"
    );
    let (later, _) = arrived.plan(12, 600).await;
    let (more, _) = arrived.feed_after(place, 7).await;
    assert_eq!(more.iter().map(|event| event.plan).collect::<Vec<_>>(), [later.id], "and on from there");
    let after = arrived.take_one(10, &before.key).await;
    assert_eq!(term(&after).1.value(), term(&before).1.value() + 1, "no token comes twice");
    let [free] = [&LockKey::Project(values::project(1).name)];
    assert!(arrived.locks.acquire(&request(9, &[free])).await.is_ok(), "nobody waits in line there");
}

#[rstest]
#[case(Kind::File)]
#[case(Kind::Server)]
#[tokio::test]
async fn what_was_moved_is_closed_to_all_also_to_those_who_had_it_open(#[case] kind: Kind) {
    let (from, to) = (Place::new(kind), Place::new(Kind::File));
    let store = filled(&from).await;
    let stale = store.locks.list(&LockFilter::default()).await.expect("listed");
    let stale = stale.iter().find(|lock| lock.key == LockKey::Plan(plan_id(502))).expect("held");
    moved(&from, &to).expect("moved");
    let refused = from.open().err().expect("refused");
    assert!(refused.contains("has been moved to there; use that one"), "{refused}");
    assert_eq!((from.moved_to(), to.moved_to()), (Some("there".to_owned()), None));
    let told = |error: &str| assert!(error.contains("the database has been moved to there"), "{error}");
    let key = LockKey::Plan(plan_id(500));
    match store.locks.acquire(&request(9, &[&key])).await {
        Err(LockError::Unavailable { reason }) => told(&reason),
        other => panic!("granted: {other:?}"),
    }
    match store.locks.renew(stale.owner, &[(stale.key.clone(), stale.token)], ttl(TERM)).await {
        Err(LockError::Unavailable { reason }) => told(&reason),
        other => panic!("renewed: {other:?}"),
    }
    let plan = store.plans.load(plan_id(502)).await.expect("readers go on").expect("a plan");
    let fence = agents_domain::lock::Fence::Token { owner: stale.owner, token: stale.token };
    let new = new_plan(700, store.clock.now());
    let opening = Opening::Held(request(9, &[&LockKey::Plan(new.plan.id)]));
    let answers = [
        store.plans.commit(&prompt(&plan, "x", store.clock.now()), &fence).await.map(|_| ()),
        store.plans.create(&new, &opening).await.map(|_| ()),
        store.requests.make(&[cancel(&key, store.clock.now())]).await.map(|_| ()),
        store.projects.add(&values::project(3), store.clock.now()).await,
    ];
    for answer in answers {
        match answer {
            Err(StoreError::Unavailable { reason }) => told(&reason),
            other => panic!("written: {other:?}"),
        }
    }
}

#[rstest]
#[case(Kind::File)]
#[case(Kind::Server)]
#[tokio::test]
async fn what_is_not_empty_is_not_moved_to(#[case] kind: Kind) {
    let (from, to) = (Place::new(Kind::File), Place::new(kind));
    filled(&from).await;
    let occupied = to.create();
    occupied.projects([7]).await;
    assert_eq!(moved(&from, &to), Err(MoveError::Occupied { table: "projects", rows: 1 }));
    assert_eq!(from.moved_to(), None);
    from.open().expect("still open");
    assert_eq!(occupied.projects.list().await.expect("listed").len(), 1);
    let empty = Place::new(kind);
    empty.create();
    moved(&from, &empty).expect("tables without rows are no hindrance");
}

#[rstest]
#[case(Kind::File, Kind::Server)]
#[case(Kind::Server, Kind::File)]
#[tokio::test]
async fn a_move_that_dies_has_done_nothing_and_can_be_made_again(#[case] from: Kind, #[case] to: Kind) {
    let (from, to) = (Place::new(from), Place::new(to));
    let store = filled(&from).await;
    let last = |step| matches!(step, Step::Replayed { .. });
    let first = |step| matches!(step, Step::Copied { table: "events", .. });
    for dies_at in [first as fn(Step) -> bool, last] {
        let (departure, arrival) = (from.leave(), to.arrive());
        let mut told = |step| assert!(!dies_at(step), "the machine is switched off");
        let dying = || carry_out(departure, arrival, &mark("there"), &mut told);
        catch_unwind(AssertUnwindSafe(dying)).expect_err("it dies");
        assert_eq!((from.moved_to(), to.checked()), (None, (0, vec![])));
        let (_, lease) =
            store.plan(1, if dies_at(Step::Replayed { plans: 0, of: 0 }) { 801 } else { 800 }).await;
        store.locks.release(owner(1), &term(&lease)).await.expect("writers go on");
    }
    moved(&from, &to).expect("moved");
    same(&store, &to.open().expect("opened")).await;
}

#[rstest]
#[case(Kind::File, Kind::Server)]
#[case(Kind::Server, Kind::File)]
#[tokio::test]
async fn a_move_that_died_between_its_ends_is_finished_there_and_nowhere_else(
    #[case] from: Kind,
    #[case] to: Kind,
) {
    let (from, to) = (Place::new(from), Place::new(to));
    let store = filled(&from).await;
    moved(&from, &to).expect("moved");
    let again = moved(&from, &to).expect("it is there");
    assert!(again.already && again.replayed == 0);
    to.wipe();
    let elsewhere = Place::new(Kind::File);
    let refused = carry_out(from.leave(), elsewhere.arrive(), &mark("elsewhere"), &mut |_| {});
    assert_eq!(refused, Err(MoveError::Elsewhere { to: "there".to_owned() }));
    let finished = moved(&from, &to).expect("finished");
    assert!(!finished.already && finished.replayed > 0);
    same(&store, &to.open().expect("opened")).await;
    assert!(from.open().is_err(), "it stays closed");
}

#[tokio::test]
async fn what_cannot_be_true_is_not_moved() {
    let (from, to) = (Place::new(Kind::File), Place::new(Kind::Server));
    let store = filled(&from).await;
    drop(store);
    from.sql(
        "DROP TRIGGER plans_never_go_back; \
         UPDATE plans SET strategy = 'another' WHERE phase = 'apply' AND state = 'applied'",
    );
    match moved(&from, &to) {
        Err(MoveError::Unsound { problems }) => {
            assert!(problems[0].contains("leads to another plan"), "{problems:?}");
        }
        other => panic!("moved: {other:?}"),
    }
    assert_eq!((from.moved_to(), to.checked()), (None, (0, vec![])));
}

/// The term of a holder that the database has forgotten, and what it can do with it: nothing.
#[rstest]
#[case(Kind::File)]
#[case(Kind::Server)]
#[tokio::test]
async fn a_holder_from_before_a_restoration_harms_nobody(#[case] kind: Kind) {
    let place = Place::new(kind);
    let store = place.create();
    let (plan, first) = store.plan(1, 1).await;
    store.locks.release(owner(1), &term(&first)).await.expect("released");
    // In the history that is lost, owner 2 got the next token, and lives on.
    let forgotten = agents_domain::lock::FencingToken::from_storage(term(&first).1.value() + 1);
    let old = agents_domain::lock::Fence::Token { owner: owner(2), token: forgotten };
    let held = store.take_one(3, &first.key).await;
    assert_eq!(term(&held).1, forgotten, "without care, the same token comes again");
    store.line.take(&asking(5, &[&first.key])).await.expect("a ticket");
    assert_eq!(place.restored(), Restored { cleared: 1, tickets: 1, reopened: None });
    assert_eq!(store.locks.list(&LockFilter::default()).await, Ok(vec![]));
    let write = prompt(&plan, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &old).await, Ok(CommitOutcome::Stale));
    let now = store.take_one(4, &first.key).await;
    assert_eq!(term(&now).1.value(), term(&held).1.value() + LEAP + 1);
    assert_eq!(store.plans.commit(&write, &old).await, Ok(CommitOutcome::Stale));
    let terms = [(first.key.clone(), forgotten)];
    let renewed = store.locks.renew(owner(2), &terms, ttl(TERM)).await;
    assert_eq!(renewed, Ok(vec![Renewal::Lost { by: owner(4) }]));
    assert_eq!(store.locks.release(owner(2), &terms[0]).await, Ok(Release::NotHeld));
    let proven = AcquireRequest { proven_dead: terms.to_vec(), ..request(6, &[&first.key]) };
    assert_eq!(store.conflict(&proven).await.owner, owner(4), "an old proof of death is not of this term");
    assert_eq!(store.locks.evict(&terms[0], owner(6), "stuck").await, Ok(Release::NotHeld));
    assert_eq!(store.plans.commit(&write, &now.fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(place.checked(), (1, vec![]));
}

#[rstest]
#[case(Kind::File)]
#[case(Kind::Server)]
#[tokio::test]
async fn what_was_moved_can_be_taken_back(#[case] kind: Kind) {
    let (from, to) = (Place::new(kind), Place::new(Kind::File));
    filled(&from).await;
    moved(&from, &to).expect("moved");
    let restored = from.restored();
    assert_eq!(restored.reopened.as_deref(), Some("there"));
    let store = from.open().expect("open again");
    let (_, lease) = store.plan(1, 900).await;
    store.locks.release(owner(1), &term(&lease)).await.expect("written");
    assert_eq!(from.checked().1, Vec::<String>::new());
    let third = Place::new(Kind::File);
    moved(&from, &third).expect("and it can be moved again");
}

/// A table that is made and not named in the list of those that move would be left behind in silence.
#[rstest]
#[case(Kind::File)]
#[case(Kind::Server)]
#[tokio::test]
async fn no_table_is_forgotten(#[case] kind: Kind) {
    #[derive(QueryableByName)]
    struct Table {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
    }
    let (from, to) = (Place::new(kind), Place::new(Kind::File));
    filled(&from).await;
    moved(&from, &to).expect("moved");
    // Each table refuses writes now, but for those that say what the database is.
    let tables: Vec<Table> = match &from.at {
        At::File(directory) => {
            let path = from.file(directory).path.display().to_string();
            let mut connection = SqliteConnection::establish(&path).expect("opened");
            diesel::sql_query(
                "SELECT name FROM sqlite_schema AS t WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND 3 > \
                 (SELECT count(*) FROM sqlite_schema AS g WHERE g.tbl_name = t.name AND g.name LIKE '%\\_moved\\_%' ESCAPE '\\')",
            )
            .load(&mut connection)
        }
        At::Server(database) => diesel::sql_query(
            "SELECT relname::text AS name FROM pg_class AS t WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace \
             AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.oid AND tgname = 'moved')",
        )
        .load(&mut database.connect()),
    }
    .expect("listed");
    let mut names: Vec<String> = tables.into_iter().map(|table| table.name).collect();
    names.sort();
    assert_eq!(names, ["__diesel_schema_migrations", "meta"]);
}

#[tokio::test]
async fn what_was_at_home_on_a_dead_machine_is_at_home_where_its_backup_is_restored() {
    use agents_domain::catalogue::ProjectStore as _;
    use agents_domain::workspace::{Machine, Project};

    let place = Place::new(Kind::File);
    let store = place.create();
    let dead = Machine { id: "this machine".to_owned(), host: "dead".to_owned() };
    let project = Project { machine: Some(dead), ..values::project(1) };
    store.projects.add(&project, store.clock.now()).await.expect("added");
    let At::File(directory) = &place.at else { panic!("a file") };
    let options = SqliteOptions { machine: "another machine".to_owned(), ..place.file(directory) };
    SqliteStore::restored(&options).expect("restored");
    let opened = SqliteStore::open(options).expect("it is this machine's");
    let found = opened.projects().get(&project.name).await.expect("read").expect("there");
    assert_eq!(found.machine.map(|machine| machine.id).as_deref(), Some("another machine"));
}
