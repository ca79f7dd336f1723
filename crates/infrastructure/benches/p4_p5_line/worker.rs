//! One worker: a process that takes and gives back, and writes down when.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LockService, Wait};
use agents_domain::id::{Ids as _, OwnerId};
use agents_domain::lock::{AcquireRequest, LockKey, Overdue, Processes as _, Term};
use agents_domain::name::Name;
use agents_domain::time::Ttl;
use agents_domain::workspace::Project;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;
use tokio::runtime::Builder;

use crate::crowd::{Stint, Task, now};
use crate::database::Store;
use crate::etcd::Session;
use crate::store;

/// The first argument of a worker.
pub(crate) const FLAG: &str = "--worker";

/// The project for all is number 0.
pub(crate) fn project(number: usize) -> Project {
    let name = Name::parse(&format!("local/p{number}")).expect("a name");
    let path = PathBuf::from(format!("/bench/{number}"));
    Project {
        name,
        common_dir: path.join(".git"),
        path,
        branch: "main".to_owned(),
        machine: None,
        remote: None,
    }
}

/// `TASK PLACE NUMBER BEGIN END`.
pub(crate) fn run(arguments: &[String]) {
    let [task, place, number, begin, end] = arguments else { panic!("not a worker's arguments") };
    let task: Task = task.parse().expect("a task");
    let (begin, end) = (begin.parse().expect("a time"), end.parse().expect("a time"));
    let number: usize = number.parse().expect("a number");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stints = runtime.block_on(async {
        let store = Store::open(place);
        match task {
            Task::Line { hold } => in_line(&store, hold, begin, end).await,
            Task::Gate => through_gate(&store, number, begin, end).await,
            Task::Etcd { address } => at_etcd(&address, begin, end).await,
        }
    });
    let mut out = io::BufWriter::new(io::stdout());
    for stint in stints {
        writeln!(out, "{stint}").expect("somebody reads");
    }
}

/// Until everybody is there.
async fn until(begin: i64) {
    let left = u64::try_from(begin - now()).unwrap_or(0);
    tokio::time::sleep(Duration::from_nanos(left)).await;
}

async fn in_line(store: &Store, hold: Duration, begin: i64, end: i64) -> Vec<Stint> {
    let locks = store::locks(store, Arc::new(SystemClock), Ttl::default(), LockService::TICK);
    let key = LockKey::Project(project(0).name);
    until(begin).await;
    let mut stints = Vec::new();
    while now() < end {
        let asked = now();
        let guard = locks.acquire(vec![key.clone()], "bench", Wait::Forever, &Unobserved).await;
        let (guard, granted) = (guard.expect("granted"), now());
        if !hold.is_zero() {
            tokio::time::sleep(hold).await;
        }
        let leaving = now();
        guard.release().await.expect("released");
        stints.push(Stint { asked, granted, leaving });
    }
    stints
}

async fn through_gate(store: &Store, number: usize, begin: i64, end: i64) -> Vec<Stint> {
    let (owner, ports) = (OwnerId::from(SystemIds::new().ulid()), store.locks());
    let request = AcquireRequest {
        keys: vec![LockKey::Project(project(number).name)],
        owner,
        ttl: Ttl::default(),
        proven_dead: Vec::new(),
        overdue: Overdue::Replaced,
        ticket: None,
        dead_tickets: Vec::new(),
        holder: SystemProcesses::new().myself("bench"),
    };
    let leases = ports.acquire(&request).await.expect("its own");
    let terms: Vec<Term> =
        leases.into_iter().filter_map(|lease| lease.fence.token().map(|token| (lease.key, token))).collect();
    until(begin).await;
    let mut stints = Vec::new();
    while now() < end {
        let asked = now();
        ports.renew(owner, &terms, Ttl::default()).await.expect("written");
        let granted = now();
        stints.push(Stint { asked, granted, leaving: granted });
    }
    stints
}

async fn at_etcd(address: &str, begin: i64, end: i64) -> Vec<Stint> {
    let mut session = Session::open(address);
    until(begin).await;
    let mut stints = Vec::new();
    while now() < end {
        let asked = now();
        let key = session.lock();
        let granted = now();
        session.unlock(&key, || stints.push(Stint { asked, granted, leaving: now() }));
    }
    stints
}
