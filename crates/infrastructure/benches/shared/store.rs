//! The locks of a store, put together as the command line does.

use std::sync::Arc;
use std::time::Duration;

use agents_application::LockService;
use agents_application::lock_service::LockParts;
use agents_domain::id::{Ids as _, OwnerId};
use agents_domain::runner::NoChildren;
use agents_domain::time::{Clock, Ttl};
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;

use crate::database::Store;

/// The locks of one owner, whose heart beats at that tick.
pub(crate) fn locks(store: &Store, clock: Arc<dyn Clock>, ttl: Ttl, tick: Duration) -> LockService {
    let ids = Arc::new(SystemIds::new());
    LockService::new(LockParts {
        port: store.locks(),
        heartbeat: store.heartbeat_locks(),
        line: store.line(),
        pulse: store.pulse(),
        requests: store.requests(),
        children: Arc::new(NoChildren),
        owner: OwnerId::from(ids.ulid()),
        ttl,
        tick,
        processes: Arc::new(SystemProcesses::new().on_one_machine()),
        clock,
        ids,
    })
}
