//! Test-only switches: each takes one safeguard out, so that the torture program can show that its
//! checker notices; and a failpoint, at which the process ends or freezes between two steps.
//!
//! Compiled with the feature `sabotage` only, which no default and no release includes, and even
//! then only for whoever sets one of these variables:
//!
//! | variable | effect |
//! |---|---|
//! | `AGENTS_SABOTAGE=fence` | plan writes carry the fence of whoever holds the lock now |
//! | `AGENTS_SABOTAGE=kill` | the loss of a lock ends no command: neither does its holder, nor the next |
//! | `AGENTS_SABOTAGE=marker` | branches move without a marker |
//! | `AGENTS_FAILPOINT=kill:N` | the process kills itself at the N-th step |
//! | `AGENTS_FAILPOINT=stop:N:NAME` | it stops itself (SIGSTOP) at the N-th step of that name |
//! | `AGENTS_FAILPOINT=count:0` | with `-vv` each step is told |
//!
//! All of it wraps ports in the composition root; nothing further inside knows of it.

mod failpoint;
mod ports;
mod switch;

use std::sync::Arc;

use agents_application::driver::DriverParts;
use agents_application::lock_service::LockParts;
use agents_application::subplan_service::SubplanParts;
use agents_domain::lock::LockPort;
use agents_domain::orders::Orders;
use agents_domain::plan::PlanStore;
use agents_domain::runner::NoChildren;

use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;
use failpoint::Failpoint;
use ports::Counted;
use switch::{Deaf, Forged, Unmarked};

/// The safeguard that is taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Switch {
    Fence,
    Kill,
    Marker,
}

/// What one command is to do wrong.
pub struct Sabotage {
    switch: Option<Switch>,
    failpoint: Option<Arc<Failpoint>>,
}

impl Sabotage {
    /// What the environment asks for.
    pub fn of(env: &Env) -> Result<Self, Failure> {
        let unknown = |name: &str, text: &str| {
            Failure::new(Exit::Usage, "sabotage", format!("{name} cannot be `{text}`"))
        };
        let switch = match env.sabotage.as_deref() {
            None => None,
            Some("fence") => Some(Switch::Fence),
            Some("kill") => Some(Switch::Kill),
            Some("marker") => Some(Switch::Marker),
            Some(other) => return Err(unknown("AGENTS_SABOTAGE", other)),
        };
        let failpoint = match env.failpoint.as_deref() {
            None => None,
            Some(text) => {
                Some(Arc::new(Failpoint::parse(text).ok_or_else(|| unknown("AGENTS_FAILPOINT", text))?))
            }
        };
        Ok(Self { switch, failpoint })
    }

    /// The store of plans, less its fence, with its steps counted.
    pub fn plans(&self, plans: Arc<dyn PlanStore>, locks: Arc<dyn LockPort>) -> Arc<dyn PlanStore> {
        let plans = match self.switch {
            // Inside of the counting: the fence is forged at the moment of the write.
            Some(Switch::Fence) => Arc::new(Forged { plans, locks }),
            _ => plans,
        };
        match &self.failpoint {
            Some(point) => Arc::new(Counted::new(point, plans)),
            None => plans,
        }
    }

    /// What workers are to do.
    pub fn orders(&self, orders: Arc<dyn Orders>) -> Arc<dyn Orders> {
        match &self.failpoint {
            Some(point) => Arc::new(Counted::new(point, orders)),
            None => orders,
        }
    }

    /// The parts of the lock service. The heartbeat's are not counted: when it beats is chance.
    pub fn lock_parts(&self, mut parts: LockParts) -> LockParts {
        if self.switch == Some(Switch::Kill) {
            parts.children = Arc::new(NoChildren);
        }
        if let Some(point) = &self.failpoint {
            parts.port = Arc::new(Counted::new(point, parts.port));
            parts.requests = Arc::new(Counted::new(point, parts.requests));
        }
        parts
    }

    /// The parts of the service of subplans; its lifecycle is made of [`Sabotage::plans`].
    pub fn subplan_parts(&self, mut parts: SubplanParts) -> SubplanParts {
        if let Some(point) = &self.failpoint {
            parts.reads = Arc::new(Counted::new(point, parts.reads));
            parts.actions = Arc::new(Counted::new(point, parts.actions));
        }
        parts
    }

    /// The parts of the driver; its lifecycle is made of [`Sabotage::plans`].
    pub fn driver_parts(&self, mut parts: DriverParts) -> DriverParts {
        match self.switch {
            Some(Switch::Kill) => parts.runner = Arc::new(Deaf(parts.runner)),
            Some(Switch::Marker) => parts.landings = Arc::new(Unmarked(parts.landings)),
            Some(Switch::Fence) | None => {}
        }
        if let Some(point) = &self.failpoint {
            parts.worktrees = Arc::new(Counted::new(point, parts.worktrees));
            parts.landings = Arc::new(Counted::new(point, parts.landings));
            parts.runner = Arc::new(Counted::new(point, parts.runner));
            parts.files = Arc::new(Counted::new(point, parts.files));
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sabotage: Option<&str>, failpoint: Option<&str>) -> Result<Sabotage, Failure> {
        let text = |value: Option<&str>| value.map(str::to_owned);
        Sabotage::of(&Env { sabotage: text(sabotage), failpoint: text(failpoint), ..Env::default() })
    }

    #[test]
    fn without_a_variable_nothing_is_wrong() {
        let sabotage = of(None, None).expect("nothing asked");
        assert!(sabotage.switch.is_none() && sabotage.failpoint.is_none());
    }

    #[test]
    fn a_switch_that_there_is_not_is_an_error() {
        assert!(of(Some("fence"), None).is_ok_and(|made| made.switch == Some(Switch::Fence)));
        assert!(of(Some("fences"), None).is_err());
        assert!(of(None, Some("kill")).is_err());
    }
}
