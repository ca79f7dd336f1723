//! Steps that look at the locks table itself, past the command line.

use std::sync::Arc;

use agents_domain::catalogue::ProjectStore;
use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, Line, LockFilter, LockKey, LockPort, Processes as _};
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use cucumber::then;

use crate::services::parse;
use crate::world::World;

/// Of the store behind the command line what is looked at.
struct Ports {
    locks: Arc<dyn LockPort>,
    line: Arc<dyn Line>,
    projects: Arc<dyn ProjectStore>,
}

macro_rules! ports {
    ($store:expr) => {{
        let store = $store.expect("the database opens");
        let projects = Arc::new(store.projects());
        Ports { locks: Arc::new(store.locks()), line: Arc::new(store.line()), projects }
    }};
}

async fn store(world: &mut World) -> Ports {
    if let Some(server) = &world.server {
        let url = PostgresUrl::parse(&server.url()).expect("a URL");
        return ports!(PostgresStore::open(PostgresOptions::new(url, parse)));
    }
    let machine = world.ask("db status").await["machine"].as_str().expect("a machine").to_owned();
    let boot = SystemProcesses::new().myself("").boot_id;
    let options = SqliteOptions::new(world.database(), Arc::new(SystemClock), boot, machine, parse);
    ports!(SqliteStore::open(options))
}

/// The rows of the table that are held.
async fn held(world: &mut World) -> Vec<HeldLock> {
    store(world).await.locks.list(&LockFilter::default()).await.expect("listed")
}

#[then("nobody waits in line")]
async fn nobody_waits(world: &mut World) {
    let store = store(world).await;
    let projects = store.projects.list().await.expect("listed");
    let mut keys: Vec<LockKey> = projects.into_iter().map(|project| LockKey::Project(project.name)).collect();
    keys.extend(world.words.values().filter_map(|word| PlanId::parse(word).ok()).map(LockKey::Plan));
    let view = store.line.look(&keys, None, None).await.expect("a look").expect("a first look");
    assert_eq!(view.line, []);
}

#[then(expr = "the locks table has a held row for {string}")]
async fn row(world: &mut World, key: String) {
    let key = world.said(&key);
    let rows = held(world).await;
    assert!(rows.iter().any(|row| row.key.to_string() == key), "{rows:?}");
}

#[then("the locks table has no held row")]
async fn no_row(world: &mut World) {
    assert_eq!(held(world).await, []);
}

#[then(expr = "the locks table has no held row for {string}")]
async fn no_such_row(world: &mut World, key: String) {
    let key = world.said(&key);
    let rows = held(world).await;
    assert!(rows.iter().all(|row| row.key.to_string() != key), "{rows:?}");
}
