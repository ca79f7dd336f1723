//! Every port of a driver, with a step of the failpoint before and after each call.
//!
//! A method that a port gains with a default body must be added here too, or its wrapped port
//! answers with the default.

use std::path::PathBuf;
use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, Removal, StoredAction};
use agents_domain::files::{AskedSubplans, AttemptFiles, AttemptPaths, FilesError, Said};
use agents_domain::id::{OwnerId, PlanId, RequestId};
use agents_domain::lock::{
    AcquireRequest, Fence, FencingToken, HeldLock, Lease, LockError, LockFilter, LockKey, LockPort, Release,
    Renewal, Term,
};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::orders::{Claim, NewOrder, Orders, PutBack, WorkOrder};
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, StoreError,
};
use agents_domain::reads::{PlanFilter, PlanPage, PlanReads, PlanView};
use agents_domain::request::{Closed, Request, Requests};
use agents_domain::runner::{Invocation, PhaseRunner, RunError, RunReport, StopSignal};
use agents_domain::time::Ttl;
use agents_domain::workspace::{
    Head, Intent, Landing, Landings, MergeRequest, Merged, Project, Slot, Snapshot, WorkspaceError, Worktrees,
};
use async_trait::async_trait;

use super::failpoint::Failpoint;

/// A port whose calls are counted.
pub(super) struct Counted<T: ?Sized> {
    point: Arc<Failpoint>,
    port: Arc<T>,
}

impl<T: ?Sized> Counted<T> {
    pub(super) fn new(point: &Arc<Failpoint>, port: Arc<T>) -> Self {
        Self { point: point.clone(), port }
    }
}

/// Each method of a port, named for the failpoint by the port's word and its own name.
macro_rules! counted {
    ($port:ident as $word:literal { $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+ }) => {
        #[async_trait]
        impl $port for Counted<dyn $port> {
            $(async fn $name(&self, $($arg: $type),*) -> $out {
                let name = concat!($word, ".", stringify!($name));
                self.point.around(name, self.port.$name($($arg),*)).await
            })+
        }
    };
}

counted!(PlanStore as "plans" {
    create(new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError>;
    load(plan: PlanId) -> Result<Option<Plan>, StoreError>;
    definition(plan: PlanId) -> Result<Option<Definition>, StoreError>;
    commit(write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError>;
    events(plan: PlanId) -> Result<Vec<Event>, StoreError>;
});

counted!(LockPort as "locks" {
    acquire(request: &AcquireRequest) -> Result<Vec<Lease>, LockError>;
    renew(owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError>;
    release(owner: OwnerId, term: &Term) -> Result<Release, LockError>;
    release_all_for_owner(owner: OwnerId) -> Result<u64, LockError>;
    evict(term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError>;
    list(filter: &LockFilter) -> Result<Vec<HeldLock>, LockError>;
});

counted!(Requests as "requests" {
    make(requests: &[Request]) -> Result<Vec<Request>, StoreError>;
    open(key: &LockKey) -> Result<Vec<Request>, StoreError>;
    close(id: RequestId, closed: &Closed) -> Result<(), StoreError>;
    history(key: &LockKey) -> Result<Vec<Request>, StoreError>;
});

counted!(Worktrees as "worktrees" {
    head(project: &Project) -> Result<Head, WorkspaceError>;
    open(slot: &Slot, start: &Oid, copy: &[String]) -> Result<PathBuf, WorkspaceError>;
    snapshot(slot: &Slot, start: &Oid, token: Option<FencingToken>, copied: &[String])
        -> Result<Snapshot, WorkspaceError>;
    close(slot: &Slot) -> Result<(), WorkspaceError>;
    settle(project: &Project, plan: PlanId, recorded: Option<Oid>, earlier: &[Oid])
        -> Result<Option<Oid>, WorkspaceError>;
    unpushed(project: &Project, plan: PlanId, recorded: &Oid) -> Result<bool, WorkspaceError>;
    advance(project: &Project, plan: PlanId, old: Option<Oid>, new: &Oid) -> Result<(), WorkspaceError>;
    holds(project: &Project, plan: PlanId, commit: &Oid) -> Result<bool, WorkspaceError>;
});

counted!(Landings as "landings" {
    merge(request: &MergeRequest) -> Result<Merged, WorkspaceError>;
    check_checkout(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    share(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    land(project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError>;
    follow(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    preview(slot: &Slot, commit: &Oid) -> Result<PathBuf, WorkspaceError>;
    close_preview(slot: &Slot) -> Result<(), WorkspaceError>;
});

counted!(PhaseRunner as "runner" {
    run(invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError>;
    clear(plan: PlanId, attempt: u32) -> ();
});

counted!(AttemptFiles as "files" {
    prepare(plan: PlanId, attempt: u32, strategy: &str, guidance: &str) -> Result<AttemptPaths, FilesError>;
    strategy(paths: &AttemptPaths) -> Result<String, FilesError>;
    subplans(paths: &AttemptPaths) -> Result<AskedSubplans, FilesError>;
    said(paths: &AttemptPaths) -> Result<Said, FilesError>;
});

counted!(PlanReads as "reads" {
    resolve(prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError>;
    status(plan: PlanId) -> Result<Option<PlanView>, StoreError>;
    family(plan: PlanId) -> Result<Vec<PlanView>, StoreError>;
    list(filter: &PlanFilter) -> Result<PlanPage, StoreError>;
});

counted!(ActionStore as "actions" {
    put(action: &StoredAction) -> Result<bool, StoreError>;
    get(name: &Name) -> Result<Option<StoredAction>, StoreError>;
    list() -> Result<Vec<StoredAction>, StoreError>;
    remove(name: &Name) -> Result<Removal, StoreError>;
});

counted!(Orders as "orders" {
    place(order: &NewOrder) -> Result<WorkOrder, StoreError>;
    of(plan: PlanId) -> Result<Option<WorkOrder>, StoreError>;
    claim(claim: &Claim) -> Result<Option<WorkOrder>, StoreError>;
    put_back(back: &PutBack) -> Result<(), StoreError>;
    withdraw(seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError>;
    end(plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError>;
    list() -> Result<Vec<WorkOrder>, StoreError>;
});
