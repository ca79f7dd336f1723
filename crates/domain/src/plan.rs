//! Plans: where they are, what changes them, and the port to whoever stores them.

mod change;
mod landing;
mod record;
mod replay;
mod stage;
mod store;
mod transition;
mod verb;

pub use change::{Change, Event, Exit, Failure, InterruptCause, Origin, Saved, Spawned, Validation, Work};
pub use landing::PlanLanding;
pub use record::{Attempt, InvalidPlan, Parked, Plan, PlanProject, PlanRecord, plan_branch};
pub use replay::{ReplayError, replay};
pub use stage::{Phase, Stage, State};
pub use store::{CommitOutcome, Definition, NewPlan, Opening, PlanStore, PlanWrite, StoreError};
pub use transition::{MAX_REVERSIONS, Refusal, Step, next, resumption, target};
pub use verb::Verb;

#[cfg(feature = "mock")]
pub use store::MockPlanStore;
