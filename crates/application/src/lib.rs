//! What happens: the lifecycle of plans under enforced, fenced locks.
//!
//! [`PlanLifecycleService`] makes every transition: it takes the plan's lock through
//! [`LockService`], reads the plan again, lets the domain decide, writes under the fence, and
//! releases. [`PhaseDriver`] drives a plan's commands between those transitions and lands its
//! work. [`WorkerService`] drives plans that were ordered, one after the other, by whichever
//! process has room.
//!
//! This crate names no adapter, prints nothing, reads neither environment nor clock, and installs
//! no signal handler: whoever composes it hands all of that in.

pub mod arguments;
pub mod counters;
pub mod driver;
pub mod follower;
pub mod housekeeping;
pub mod lifecycle;
pub mod lock_service;
pub mod observer;
pub mod order;
pub mod recovery;
pub mod stop;
pub mod subplan_service;
pub mod suggest;
pub mod survey;
pub mod vigil;
pub mod worker;

pub use counters::Counters;
pub use driver::{DriveError, PhaseDriver};
pub use follower::Follower;
pub use lifecycle::{LifecycleError, PlanLifecycleService};
pub use lock_service::{LockGuard, LockService, Wait};
pub use observer::Observer;
pub use order::{Order, OrderError, OrderRequest};
pub use stop::StopHub;
pub use subplan_service::SubplanService;
pub use survey::Surveyor;
pub use vigil::Vigil;
pub use worker::WorkerService;
