//! A hundred plans that went through their lives by the service: nine kinds of lives, ten of each, and
//! a child of every ninth.
//!
//! All ids of plans and events have a mark in them ([`MARK`]), in whose place a copy has its number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agents_application::lifecycle::{NewChild, Strategized};
use agents_application::observer::Unobserved;
use agents_application::order::Order;
use agents_application::{LockGuard, LockService, PlanLifecycleService, Wait};
use agents_domain::action::{Arguments, Automation};
use agents_domain::id::{Ids, IntentId, PlanId, Ulid};
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Failure, Origin, Parked};
use agents_domain::subplan::Subplan;
use agents_domain::time::{Timestamp, Ttl};
use agents_domain::workspace::{Intent, Project};
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::process::SystemProcesses;

use crate::database::Store;
use crate::store;

/// What all ids begin with: a time, and then the mark.
const BEGIN: &str = "01K9BENCH0";
/// In the place of this a copy has its number: in ids, and wherever a text tells of them.
pub(crate) const MARK: &str = "SEEDZZ";
/// Locks that are held while questions are asked.
pub(crate) const HELD: usize = 20;

const PROJECTS: usize = 5;
const ACTIONS: usize = 4;

/// Ids that count.
struct Marked(AtomicU64);

impl Ids for Marked {
    fn ulid(&self) -> Ulid {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ulid::parse(&format!("{BEGIN}{MARK}{number:010}")).expect("an id")
    }

    fn jitter(&self, _max: Duration) -> Duration {
        Duration::ZERO
    }
}

/// The first id with that mark, and one greater than all of them.
pub(crate) fn range() -> (String, String) {
    (format!("{BEGIN}{MARK}"), format!("{BEGIN}{MARK}~"))
}

/// A hold on some locks.
pub(crate) async fn hold(store: &Store, plans: &[PlanId]) -> LockGuard {
    let locks = store::locks(store, Arc::new(SystemClock), Ttl::default(), LockService::TICK);
    let keys = plans.iter().take(HELD).map(|plan| LockKey::Plan(*plan)).collect();
    locks.acquire(keys, "bench", Wait::No, &Unobserved).await.expect("free")
}

/// Makes so many plans; their ids.
pub(crate) async fn live(store: &Store, plans: usize) -> Vec<PlanId> {
    for number in 0..PROJECTS {
        store.projects().add(&project(number), Timestamp::default()).await.expect("registered");
    }
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(Marked(AtomicU64::new(0))));
    let locks = store::locks(store, clock.clone(), Ttl::default(), LockService::TICK);
    let processes = Arc::new(SystemProcesses::new().on_one_machine());
    let service = PlanLifecycleService::new(store.plans(), clock, ids.clone(), processes).with_locks(locks);
    let (mut lives, mut number) = (Lives { service, ids, made: Vec::new() }, 0);
    while lives.made.len() < plans {
        lives.one(number).await;
        number += 1;
    }
    lives.made
}

struct Lives {
    service: PlanLifecycleService,
    ids: Arc<Marked>,
    made: Vec<PlanId>,
}

impl Lives {
    /// One plan, and its child if it has one.
    async fn one(&mut self, number: usize) {
        let definition = definition(number);
        let order =
            Order { definition, automation: Automation::Manual, name: Some(format!("bench {number}")) };
        let (plan, guard) = Box::pin(self.service.create(order, "bench")).await.expect("created");
        let plan = plan.id;
        self.made.push(plan);
        self.wait_twice(plan).await;
        self.start(plan).await;
        let children = if number % 9 == 8 { vec![self.child(plan, number)] } else { Vec::new() };
        let child = children.first().map(|child| child.id);
        let made = Strategized { strategy: Some("as ever".to_owned()), work: Vec::new(), children };
        self.service.complete_strategize(plan, made).await.expect("complete");
        self.service.execute(plan).await.expect("queued");
        match number % 9 {
            0..4 => self.lands(plan, number).await,
            4 => drop(self.service.cancel(plan, None, false, Vec::new()).await.expect("cancelled")),
            5 => self.errs(plan).await,
            6 => self.start(plan).await,
            7 => self.comes_to_rest(plan, number).await,
            _ => self.wait_twice(plan).await,
        }
        guard.release().await.expect("released");
        if let Some(child) = child {
            self.made.push(child);
            self.wait_twice(child).await;
            self.wait_twice(child).await;
        }
    }

    async fn start(&self, plan: PlanId) {
        self.service.start(plan, BTreeMap::new(), true).await.expect("started");
    }

    async fn wait_twice(&self, plan: PlanId) {
        for _ in 0..2 {
            self.start(plan).await;
            let waits = Parked { until: None, input: None, cause: "the other side is busy".to_owned() };
            self.service.park(plan, waits, Vec::new()).await.expect("parked");
        }
    }

    async fn errs(&self, plan: PlanId) {
        for _ in 0..2 {
            self.start(plan).await;
            let failed = self.service.fail(plan, failure(), None, Vec::new()).await;
            failed.expect("failed");
            self.service.retry(plan).await.expect("queued");
        }
        self.start(plan).await;
        self.service.fail(plan, failure(), None, Vec::new()).await.expect("failed");
    }

    /// execute/complete.
    async fn comes_to_rest(&self, plan: PlanId, number: usize) {
        let of = |oid: Oid| BTreeMap::from([(project(number % PROJECTS).name, oid)]);
        self.service.start(plan, of(oid(1)), true).await.expect("started");
        self.service.complete(plan, of(oid(2)), None, Vec::new()).await.expect("complete");
    }

    async fn lands(&self, plan: PlanId, number: usize) {
        self.comes_to_rest(plan, number).await;
        self.service.begin_apply(plan).await.expect("started");
        let project = project(number % PROJECTS).name;
        let keys = vec![LockKey::Project(project.clone())];
        let hold = self.service.locks().acquire(keys, "bench", Wait::No, &Unobserved).await.expect("free");
        let id = IntentId::from(self.ids.ulid());
        let reference = "refs/heads/main".to_owned();
        let intent = Intent { id, project, reference, old: oid(1), new: oid(2) };
        self.service.intend(plan, vec![intent], Vec::new(), &hold).await.expect("intended");
        self.service.landed_last(plan, id).await.expect("landed");
        hold.release().await.expect("released");
    }

    fn child(&self, parent: PlanId, number: usize) -> NewChild {
        let definition = definition(number);
        let subplan = Subplan {
            parent,
            root: parent,
            depth: 1,
            position: 0,
            name: "part".to_owned(),
            depends_on: Vec::new(),
            failures: 0,
            given_up: None,
        };
        let origin = Origin {
            name: Some("part".to_owned()),
            action: definition.action.name.clone(),
            automation: Automation::Manual,
            projects: definition.projects.iter().map(|project| project.name.clone()).collect(),
            subplan: Some(subplan),
        };
        NewChild { id: PlanId::from(self.ids.ulid()), origin, definition }
    }
}

fn failure() -> Failure {
    let (code, message) = ("exit_code".to_owned(), "the command ended with 1".to_owned());
    Failure { code, message, hint: None, retryable: true }
}

fn oid(number: u8) -> Oid {
    Oid::parse(&format!("{number:040}")).expect("an id")
}

fn project(number: usize) -> Project {
    let (name, path) =
        (Name::parse(&format!("local/p{number}")).expect("a name"), format!("/bench/{number}"));
    Project { name, common_dir: format!("{path}/.git").into(), path: path.into(), branch: "main".to_owned() }
}

fn definition(number: usize) -> Definition {
    let source = format!("name: bench-{}\nexecute: {{ run: [\"true\"] }}\n", number % ACTIONS);
    Definition {
        action: action_file::parse(&source, "bench").expect("an action"),
        action_source: source,
        arguments: Arguments::new(),
        projects: vec![project(number % PROJECTS)],
    }
}
