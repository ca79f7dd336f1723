//! What the tests stand on: a hand-driven clock, a temporary file, plans to write.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use agents_domain::action::{Action, Arguments, Automation, PhaseSpec, Program};
use agents_domain::id::{EventId, OwnerId, PlanId};
use agents_domain::lock::{AcquireRequest, Fence, FencingToken, Holder, LockKey, LockPort as _, Overdue};
use agents_domain::name::Name;
use agents_domain::plan::{
    Change, CommitOutcome, Definition, Event, NewPlan, Opening, Origin, Plan, PlanStore as _, PlanWrite,
    Step, next,
};
use agents_domain::subplan::Subplan;
use agents_domain::time::{BootInstant, Clock, Timestamp, Ttl};
use agents_domain::workspace::Project;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::sqlite::{SqliteOptions, SqliteStore};

/// A clock that stands still until told to move.
#[derive(Default)]
pub(super) struct HandClock(AtomicI64);

impl HandClock {
    pub(super) fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("small"), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + self.0.load(Ordering::SeqCst))
    }

    fn boottime(&self) -> BootInstant {
        BootInstant::from_millis(1_000 + self.0.load(Ordering::SeqCst))
    }
}

/// One database file, and everything to open it with.
pub(super) struct World {
    pub(super) dir: tempfile::TempDir,
    pub(super) clock: Arc<HandClock>,
    count: AtomicU32,
}

impl World {
    /// A directory without a database.
    pub(super) fn empty() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, clock: Arc::default(), count: AtomicU32::new(0) }
    }

    /// With a database.
    pub(super) fn new() -> (Self, SqliteStore) {
        let world = Self::empty();
        let store = SqliteStore::create(world.options()).expect("made");
        (world, store)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.dir.path().join("agents.db")
    }

    pub(super) fn options(&self) -> SqliteOptions {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let options = SqliteOptions::new(self.path(), clock, "boot-1", "machine-1", parse_action);
        SqliteOptions { gate_timeout: Duration::from_mins(1), ..options }
    }

    pub(super) fn open(&self) -> SqliteStore {
        SqliteStore::open(self.options()).expect("opens")
    }

    /// SQL past the store, as somebody with the shell would.
    pub(super) fn raw(&self) -> SqliteConnection {
        SqliteConnection::establish(self.path().to_str().expect("utf-8")).expect("opens")
    }

    pub(super) fn sql(&self, sql: &str) -> Result<(), String> {
        self.raw().batch_execute(sql).map_err(|error| error.to_string())
    }

    fn ulid(&self) -> String {
        format!("01ARZ3NDEKTSV4RRFF{:08}", self.count.fetch_add(1, Ordering::SeqCst))
    }

    pub(super) fn owner(&self) -> OwnerId {
        OwnerId::parse(&self.ulid()).expect("valid")
    }

    pub(super) fn event(&self, plan: &Plan, change: Change, fence: &Fence) -> Event {
        Event {
            id: EventId::parse(&self.ulid()).expect("valid"),
            plan: plan.id,
            seq: plan.version + 1,
            at: self.clock.now(),
            owner: fence.owner(),
            token: fence.token(),
            change,
        }
    }

    /// A plan that was never stored.
    pub(super) fn new_plan(&self, edit: impl FnOnce(&mut Origin)) -> NewPlan {
        let mut origin = Origin {
            name: Some("a plan".into()),
            action: name("port"),
            automation: Automation::Review,
            projects: vec![name("api"), name("web")],
            subplan: None,
        };
        edit(&mut origin);
        let id = PlanId::parse(&self.ulid()).expect("valid");
        let plan = Plan::create(id, &origin, self.clock.now());
        let definition = Definition {
            action: parse_action("port", "test").expect("parses"),
            action_source: "port".into(),
            arguments: Arguments::new(),
            projects: origin.projects.iter().map(|name| project(name.short())).collect(),
        };
        let event = Event { seq: 1, ..self.event(&plan, Change::Created(origin), &Fence::Unfenced) };
        NewPlan { plan, definition, event }
    }

    #[expect(clippy::unused_self, reason = "reads like the rest of the world")]
    pub(super) fn request(&self, keys: &[LockKey], owner: OwnerId) -> AcquireRequest {
        AcquireRequest {
            keys: keys.to_vec(),
            owner,
            ttl: Ttl::default(),
            proven_dead: vec![],
            overdue: Overdue::Replaced,
            ticket: None,
            dead_tickets: vec![],
            holder: holder("plan execute"),
        }
    }

    /// A stored plan, held by a fresh owner.
    pub(super) async fn held_plan(&self, store: &SqliteStore) -> (Plan, Fence) {
        self.held_plan_of(store, |_| ()).await
    }

    pub(super) async fn held_plan_of(
        &self,
        store: &SqliteStore,
        edit: impl FnOnce(&mut Origin),
    ) -> (Plan, Fence) {
        let new = self.new_plan(edit);
        let request = self.request(&[LockKey::Plan(new.plan.id)], self.owner());
        let lease = store.plans().create(&new, &Opening::Held(request)).await.expect("created");
        (new.plan, lease.fence)
    }

    /// The write of one change, decided on that plan.
    pub(super) fn write(&self, plan: &Plan, change: Change, fence: &Fence) -> PlanWrite {
        let event = self.event(plan, change, fence);
        let Step::Moved(after) = next(plan, &event.change, event.at).expect("legal") else {
            panic!("{} changes nothing", event.change.event_name())
        };
        PlanWrite {
            plan: after,
            expected_version: plan.version,
            events: vec![event],
            spawn: vec![],
            also: vec![],
        }
    }

    /// Writes one change; the plan afterwards.
    pub(super) async fn commit(
        &self,
        store: &SqliteStore,
        plan: &Plan,
        change: Change,
        fence: &Fence,
    ) -> Plan {
        let write = self.write(plan, change, fence);
        let outcome = store.plans().commit(&write, fence).await.expect("answers");
        assert_eq!(outcome, CommitOutcome::Applied);
        write.plan
    }

    /// Takes a plan's lock as a fresh owner.
    pub(super) async fn take(&self, store: &SqliteStore, key: &LockKey) -> Fence {
        let request = self.request(std::slice::from_ref(key), self.owner());
        store.locks().acquire(&request).await.expect("granted")[0].fence
    }
}

pub(super) fn parse_action(source: &str, origin: &str) -> Result<Action, String> {
    let name = Name::parse(source).map_err(|error| format!("{origin}: {error}"))?;
    let program = Program::Shell("true".into());
    Ok(Action {
        name,
        description: String::new(),
        definition_of_done: String::new(),
        automation: Automation::default(),
        arguments: vec![],
        worktree: agents_domain::action::WorktreeSpec::default(),
        strategize: None,
        execute: Some(PhaseSpec { program, timeout: None, retry: None }),
        validations: vec![],
        apply: agents_domain::action::ApplySpec::default(),
        env: BTreeMap::new(),
        env_from: vec![],
        subplans: None,
    })
}

/// What makes a plan a child of that one.
pub(super) fn child_of(parent: &Plan, position: u32, name: &str) -> Subplan {
    let above = parent.subplan.as_ref();
    Subplan {
        parent: parent.id,
        root: above.map_or(parent.id, |above| above.root),
        depth: above.map_or(1, |above| above.depth + 1),
        position,
        name: name.into(),
        depends_on: vec![],
        failures: 0,
        given_up: None,
    }
}

pub(super) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub(super) fn project(text: &str) -> Project {
    Project {
        name: name(text),
        path: format!("/src/{text}").into(),
        common_dir: format!("/src/{text}/.git").into(),
        branch: "main".into(),
        machine: None,
        remote: None,
    }
}

pub(super) fn holder(operation: &str) -> Holder {
    Holder {
        host: "here".into(),
        boot_id: "boot-1".into(),
        pid_namespace: "pid:[1]".into(),
        pid: 4242,
        started: 99,
        user: "ada".into(),
        operation: operation.into(),
    }
}

pub(super) fn token(fence: &Fence) -> FencingToken {
    fence.token().expect("fenced")
}

pub(super) fn owner_of(fence: &Fence) -> OwnerId {
    fence.owner().expect("fenced")
}

pub(super) fn start() -> Change {
    start_on(&["api", "web"])
}

pub(super) fn start_on(projects: &[&str]) -> Change {
    let oid = agents_domain::oid::Oid::parse(&"a".repeat(40)).expect("valid");
    let bases = projects.iter().map(|project| (name(project), oid.clone())).collect();
    Change::PhaseStarted { driver: holder("plan execute"), bases, commanded: true }
}

pub(super) fn done() -> Change {
    let tips = [(name("api"), agents_domain::oid::Oid::parse(&"c".repeat(40)).expect("valid"))].into();
    Change::PhaseCompleted { tips, strategy: Some("how".into()), work: vec![] }
}

/// Everything that is stored is true.
pub(super) fn sound(store: &SqliteStore) {
    let report = store.check().expect("checked");
    assert_eq!(report.problems, Vec::<String>::new());
}
