//! Processes that live and die by word of a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agents_domain::lock::{Holder, Liveness, Processes};

use super::locked;

/// Says who is alive, by pid. Of whom nothing was said, is.
#[derive(Debug, Clone, Default)]
pub struct Census(Arc<Mutex<BTreeMap<u32, Liveness>>>);

impl Census {
    /// From now on this is what can be proved of that process.
    pub fn says(&self, pid: u32, liveness: Liveness) {
        locked(&self.0).insert(pid, liveness);
    }

    /// One process of this world.
    pub fn citizen(&self, pid: u32) -> Citizen {
        Citizen { pid, host: "box".to_owned(), census: self.clone() }
    }
}

/// One process of a [`Census`]: what it says of itself, and knows of the others.
#[derive(Debug, Clone)]
pub struct Citizen {
    pid: u32,
    host: String,
    census: Census,
}

impl Citizen {
    /// The same process on another machine than `box`.
    #[must_use]
    pub fn on(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }
}

impl Processes for Citizen {
    fn myself(&self, operation: &str) -> Holder {
        Holder {
            host: self.host.clone(),
            boot_id: format!("boot of {}", self.host),
            pid_namespace: "pid:[1]".to_owned(),
            pid: self.pid,
            started: 1,
            user: "ada".to_owned(),
            operation: operation.to_owned(),
        }
    }

    fn liveness(&self, holder: &Holder) -> Liveness {
        locked(&self.census.0).get(&holder.pid).copied().unwrap_or(Liveness::Alive)
    }
}
