//! A process that dies in the middle: from the n-th step on, no call to a port returns.
//!
//! Every call is two steps, one before its effect and one after: "never asked" and "done, but
//! nobody was told" are different crashes. The heartbeat thread shares the ports; its calls fail
//! instead, so that it cannot give back what a dead process holds.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::ThreadId;

use agents_domain::catalogue::{ActionStore, Removal, StoredAction};
use agents_domain::files::{AskedSubplans, AttemptFiles, AttemptPaths, FilesError, Said};
use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::{
    AcquireRequest, Fence, FencingToken, HeldLock, Lease, LockError, LockFilter, LockPort, Release, Renewal,
    Term,
};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, StoreError,
};
use agents_domain::reads::{PlanFilter, PlanPage, PlanReads, PlanView};
use agents_domain::runner::{Invocation, PhaseRunner, RunError, RunReport, StopSignal};
use agents_domain::time::Ttl;
use agents_domain::workspace::{
    Head, Intent, Landing, Landings, MergeRequest, Merged, Project, Slot, Snapshot, WorkspaceError, Worktrees,
};
use async_trait::async_trait;
use tokio::sync::watch;

use crate::world::Ports;

/// Burns down by one at each step.
pub(crate) struct Fuse {
    left: watch::Sender<u32>,
    /// The thread that the driver runs in.
    home: ThreadId,
}

impl Fuse {
    /// The process dies at step `left + 1`.
    pub(crate) fn of(left: u32) -> Arc<Self> {
        Arc::new(Self { left: watch::Sender::new(left), home: std::thread::current().id() })
    }

    /// The process dies here.
    pub(crate) fn blow(&self) {
        self.left.send_replace(0);
    }

    /// The process dies so many steps from here.
    pub(crate) fn burn(&self, left: u32) {
        self.left.send_replace(left);
    }

    /// Resolves when it has burnt down.
    pub(crate) async fn blown(&self) {
        self.left.subscribe().wait_for(|left| *left == 0).await.expect("the sender is here");
    }

    async fn step(&self) {
        self.left.send_modify(|left| *left = left.saturating_sub(1));
        if *self.left.borrow() == 0 {
            pending::<()>().await;
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T>) -> T {
        self.step().await;
        let outcome = call.await;
        self.step().await;
        outcome
    }

    fn is_away(&self) -> bool {
        std::thread::current().id() != self.home
    }
}

/// A port of a process with a fuse.
struct Fused<T: ?Sized> {
    fuse: Arc<Fuse>,
    port: Arc<T>,
}

impl Ports {
    /// The same, for a process that dies.
    pub(crate) fn fused(self, fuse: &Arc<Fuse>) -> Self {
        Self {
            plans: Arc::new(Fused { fuse: fuse.clone(), port: self.plans }),
            locks: Arc::new(Fused { fuse: fuse.clone(), port: self.locks }),
            heartbeat: Arc::new(Fused { fuse: fuse.clone(), port: self.heartbeat }),
            worktrees: Arc::new(Fused { fuse: fuse.clone(), port: self.worktrees }),
            landings: Arc::new(Fused { fuse: fuse.clone(), port: self.landings }),
            runner: Arc::new(Fused { fuse: fuse.clone(), port: self.runner }),
            files: Arc::new(Fused { fuse: fuse.clone(), port: self.files }),
            reads: Arc::new(Fused { fuse: fuse.clone(), port: self.reads }),
            actions: Arc::new(Fused { fuse: fuse.clone(), port: self.actions }),
        }
    }
}

/// Each method of a port, with a step before and a step after.
macro_rules! fused {
    ($port:ident { $($name:ident($($arg:ident: $type:ty),*) -> $out:ty;)+ }) => {
        #[async_trait]
        impl $port for Fused<dyn $port> {
            $(async fn $name(&self, $($arg: $type),*) -> $out {
                self.fuse.around(self.port.$name($($arg),*)).await
            })+
        }
    };
}

fused!(PlanStore {
    create(new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError>;
    load(plan: PlanId) -> Result<Option<Plan>, StoreError>;
    definition(plan: PlanId) -> Result<Option<Definition>, StoreError>;
    commit(write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError>;
    events(plan: PlanId) -> Result<Vec<Event>, StoreError>;
});

fused!(Worktrees {
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

fused!(Landings {
    merge(request: &MergeRequest) -> Result<Merged, WorkspaceError>;
    check_checkout(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    share(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    land(project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError>;
    follow(project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    preview(slot: &Slot, commit: &Oid) -> Result<PathBuf, WorkspaceError>;
    close_preview(slot: &Slot) -> Result<(), WorkspaceError>;
});

fused!(PhaseRunner {
    run(invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError>;
});

fused!(AttemptFiles {
    prepare(plan: PlanId, attempt: u32, strategy: &str, guidance: &str) -> Result<AttemptPaths, FilesError>;
    strategy(paths: &AttemptPaths) -> Result<String, FilesError>;
    subplans(paths: &AttemptPaths) -> Result<AskedSubplans, FilesError>;
    said(paths: &AttemptPaths) -> Result<Said, FilesError>;
});

fused!(PlanReads {
    resolve(prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError>;
    status(plan: PlanId) -> Result<Option<PlanView>, StoreError>;
    family(plan: PlanId) -> Result<Vec<PlanView>, StoreError>;
    list(filter: &PlanFilter) -> Result<PlanPage, StoreError>;
});

fused!(ActionStore {
    put(action: &StoredAction) -> Result<bool, StoreError>;
    get(name: &Name) -> Result<Option<StoredAction>, StoreError>;
    list() -> Result<Vec<StoredAction>, StoreError>;
    remove(name: &Name) -> Result<Removal, StoreError>;
});

#[async_trait]
impl LockPort for Fused<dyn LockPort> {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        self.fuse.around(self.port.acquire(request)).await
    }

    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        self.fuse.around(self.port.renew(owner, terms, ttl)).await
    }

    /// The one call that the heartbeat thread makes here, for guards that were dropped.
    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        if self.fuse.is_away() {
            return Err(LockError::Unavailable { reason: "the process is dead".into() });
        }
        self.fuse.around(self.port.release(owner, term)).await
    }

    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        self.fuse.around(self.port.release_all_for_owner(owner)).await
    }

    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        self.fuse.around(self.port.evict(term, by, reason)).await
    }

    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        self.fuse.around(self.port.list(filter)).await
    }
}
