//! A plan that is moved to and fro: the transition that P1 and P2 measure.
//!
//! It goes through [`PlanLifecycleService`] to a store of its own, and waits for that store's disk at
//! the write. The plan alternates between `start` and `park`, so that its row does not grow with the
//! number of transitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use agents_application::order::Order;
use agents_application::{LockService, PlanLifecycleService};
use agents_domain::action::{Arguments, Automation};
use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::plan::{Definition, Parked};
use agents_domain::time::Ttl;
use agents_domain::workspace::Project;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;
use tokio::runtime::{Builder, Runtime};

use crate::database::Store;
use crate::store;

const ACTION: &str = "name: bench\nexecute: { run: [\"true\"] }\n";

/// A plan that is moved to and fro.
pub(crate) struct Walk {
    runtime: Runtime,
    service: PlanLifecycleService,
    plan: PlanId,
    running: bool,
}

impl Walk {
    /// In the place of that name.
    pub(crate) fn new(place: &str, fenced: bool) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::new()));
        let processes = Arc::new(SystemProcesses::new().on_one_machine());
        let store = if fenced { Store::open(place) } else { Store::open_unfenced(place) };
        let mut service = PlanLifecycleService::new(store.plans(), clock.clone(), ids, processes);
        if fenced {
            let locks = store::locks(&store, clock, Ttl::default(), LockService::TICK);
            service = service.with_locks(locks);
        }
        let created = runtime.block_on(async {
            let (plan, guard) = Box::pin(service.create(order(), "plan use")).await.expect("created");
            guard.release().await.expect("released");
            plan.id
        });
        Self { runtime, service, plan: created, running: false }
    }

    /// One transition, however it is locked.
    pub(crate) fn step(&mut self) {
        let (service, plan) = (&self.service, self.plan);
        let waits = Parked { until: None, input: None, cause: "bench".to_owned() };
        let moved = if self.running {
            self.runtime.block_on(service.park(plan, waits, Vec::new()))
        } else {
            self.runtime.block_on(service.start(plan, BTreeMap::new(), false))
        };
        moved.expect("moved");
        self.running = !self.running;
    }

    /// How often the plan has been written.
    pub(crate) fn version(&self) -> u64 {
        self.runtime.block_on(self.service.load(self.plan)).expect("read").version
    }
}

fn order() -> Order {
    let name = Name::parse("local/bench").expect("a name");
    let definition = Definition {
        action: action_file::parse(ACTION, "bench").expect("an action"),
        action_source: ACTION.to_owned(),
        arguments: Arguments::new(),
        projects: vec![Project {
            name,
            path: "/bench".into(),
            common_dir: "/bench/.git".into(),
            branch: "main".to_owned(),
            machine: None,
            remote: None,
        }],
    };
    Order { definition, automation: Automation::Manual, name: None }
}
