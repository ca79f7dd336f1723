//! Power cuts: the database as it would be found had the machine stopped after any part of its
//! log had reached the disk. The argument is in the header of [`crate::sqlite::connection`].

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use agents_domain::lock::{LockKey, LockPort as _};
use agents_domain::plan::{Change, CommitOutcome, PlanStore as _};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::subplans::spawn;
use super::world::{World, done, owner_of, sound, start};
use crate::sqlite::{SqliteOptions, SqliteStore};

/// A page with its header in the log, and the header of the log (`sqlite.org/fileformat2.html`).
const FRAME: usize = 24 + 4096;
const LOG_HEADER: usize = 32;

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    found: i64,
}

/// Writes durable under a token that the lock has forgotten, or one token used by two owners.
const BROKEN_ORDER: &str = "SELECT \
    (SELECT count(*) FROM plans JOIN locks ON resource_id = id WHERE plans.token > locks.token) + \
    (SELECT count(*) FROM (SELECT 1 FROM events WHERE token IS NOT NULL \
     GROUP BY plan_id, token HAVING count(DISTINCT owner_id) > 1)) AS found";

fn broken_order(connection: &mut SqliteConnection) -> i64 {
    diesel::sql_query(BROKEN_ORDER).get_result::<Count>(connection).expect("counted").found
}

/// By another process: closing the file here would drop the locks that SQLite holds on it.
fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().expect("cp").success());
}

/// The database after each cut of its log, in the middle of pages too, as the next boot finds it.
fn after_every_cut(world: &World, mut look: impl FnMut(&SqliteStore, usize)) {
    let log = world.dir.path().join("log");
    copy(&world.dir.path().join("agents.db-wal"), &log);
    let log = fs::read(log).expect("read");
    let frames = (log.len() - LOG_HEADER) / FRAME;
    assert!(frames > 10, "{frames} frames");
    let cuts = (0..=frames).flat_map(|n| [LOG_HEADER + n * FRAME, LOG_HEADER + n * FRAME + FRAME / 2]);
    for cut in cuts.filter(|cut| *cut <= log.len()) {
        let after = world.dir.path().join(format!("cut-{cut}"));
        fs::create_dir(&after).expect("made");
        let path = after.join("agents.db");
        copy(&world.path(), &path);
        fs::write(after.join("agents.db-wal"), &log[..cut]).expect("written");
        let rebooted = SqliteOptions { path: path.clone(), boot_id: "boot-2".into(), ..world.options() };
        let found = SqliteStore::open(rebooted).expect("opens");
        sound(&found);
        look(&found, cut);
    }
}

#[tokio::test]
async fn wherever_the_power_is_cut_the_order_of_fences_survives() {
    let (world, store) = World::new();
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)").expect("an empty log");
    let (mut plan, mut fence) = world.held_plan(&store).await;
    let key = LockKey::Plan(plan.id);
    for change in [start(), done(), Change::Prompted { text: "t".into() }] {
        plan = world.commit(&store, &plan, change, &fence).await;
        store.locks().release_all_for_owner(owner_of(&fence)).await.expect("released");
        fence = world.take(&store, &key).await;
    }
    let mut plans_seen = 0;
    after_every_cut(&world, |found, cut| {
        let broken = found.reads.transact(|connection| Ok(broken_order(connection)));
        assert_eq!(broken.expect("counted"), 0, "cut at {cut}");
        plans_seen += found.check().expect("checked").plans;
    });
    assert!(plans_seen > 0, "some cuts are after the first commit");
}

/// How many children are stored, and how many the logs of their parents tell of.
const CHILDREN: &str = "SELECT \
    (SELECT count(*) FROM subplans JOIN plans ON id = plan_id JOIN plan_definitions USING (plan_id) \
     JOIN locks ON resource_id = plan_id JOIN events USING (plan_id)) * 100 + \
    (SELECT count(*) FROM events, json_each(payload, '$.children') WHERE kind = 'subplan.spawned') AS found";

#[tokio::test]
async fn wherever_the_power_is_cut_children_are_there_with_the_event_that_made_them_or_not_at_all() {
    let (world, store) = World::new();
    let (mut parent, fence) = world.held_plan(&store).await;
    world.sql("PRAGMA wal_checkpoint(TRUNCATE)").expect("an empty log");
    for children in [["a", "b", "c"], ["d", "e", "f"]] {
        parent = world.commit(&store, &parent, Change::Prompted { text: "t".into() }, &fence).await;
        let write = spawn(&world, &parent, &children.map(|name| (name, None)), &fence);
        assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
        parent = write.plan;
    }
    let mut seen = BTreeSet::new();
    after_every_cut(&world, |found, _| {
        let count =
            |connection: &mut SqliteConnection| Ok(diesel::sql_query(CHILDREN).get_result(connection)?);
        let count: Count = found.reads.transact(count).expect("counted");
        seen.insert(count.found);
    });
    assert_eq!(seen, BTreeSet::from([0, 303, 606]), "all or none of each write");
}

#[tokio::test]
async fn the_check_of_the_order_can_fail() {
    let (world, store) = World::new();
    world.held_plan(&store).await;
    let mut raw = world.raw();
    assert_eq!(broken_order(&mut raw), 0);
    raw.batch_execute("UPDATE plans SET token = 9").expect("written");
    assert_eq!(broken_order(&mut raw), 1);
}
