//! A store and its locks, put together as the command line does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agents_application::LockService;
use agents_application::lock_service::LockParts;
use agents_domain::id::{Ids as _, OwnerId};
use agents_domain::lock::Processes as _;
use agents_domain::runner::NoChildren;
use agents_domain::time::{Clock, Ttl};
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};

/// How a database file is opened.
pub(crate) fn options(path: &Path) -> SqliteOptions {
    let boot = SystemProcesses::new().myself("").boot_id;
    SqliteOptions::new(path, Arc::new(SystemClock), boot, "bench", |source, origin| {
        action_file::parse(source, origin).map_err(|error| error.to_string())
    })
    .in_place()
}

/// The locks of one owner, whose heart beats at that tick.
pub(crate) fn locks(store: &SqliteStore, clock: Arc<dyn Clock>, ttl: Ttl, tick: Duration) -> LockService {
    let ids = Arc::new(SystemIds::new());
    LockService::new(LockParts {
        port: Arc::new(store.locks()),
        heartbeat: Arc::new(store.heartbeat_locks()),
        line: Arc::new(store.line()),
        pulse: Arc::new(store.pulse()),
        requests: Arc::new(store.requests()),
        children: Arc::new(NoChildren),
        owner: OwnerId::from(ids.ulid()),
        ttl,
        tick,
        processes: Arc::new(SystemProcesses::new().on_one_machine()),
        clock,
        ids,
    })
}
