//! Failures of the services: each to the exit code of what lies behind it.

use agents_application::{DriveError, LifecycleError, OrderError};
use agents_domain::lock::{Conflict, HeldLock, LockError};
use agents_domain::runner::StopCause;
use agents_infrastructure::action_file::ActionFileError;
use agents_infrastructure::sqlite::OpenError;

use crate::exit::Exit;
use crate::failure::Failure;

/// Says of a lock who holds it and whether they live.
pub(super) type Locked<'a> = &'a dyn Fn(&HeldLock) -> Failure;

impl Failure {
    /// Why a plan could not be driven on.
    pub fn of_drive(error: DriveError, locked: Locked<'_>) -> Self {
        match error {
            DriveError::Lifecycle(error) => Self::of_lifecycle(error, locked),
            DriveError::Projects { source, .. } => Self::of_lock(source, locked),
            DriveError::Workspace(error) => error.into(),
            DriveError::Stopped { plan, cause: StopCause::LeaseLost } => lease_lost(&plan.to_string()),
            DriveError::Stopped { plan, cause } => {
                let words = match cause {
                    StopCause::Cancelled => "cancelled",
                    _ => "stopped",
                };
                Self::new(Exit::LeaseLost, "stopped", format!("plan {plan} was {words} from elsewhere"))
                    .hint(format!("agents plan status {plan}"))
            }
        }
    }

    /// Why a transition did not happen.
    pub fn of_lifecycle(error: LifecycleError, locked: Locked<'_>) -> Self {
        match error {
            LifecycleError::NoSuchPlan { plan } => {
                Self::not_found("no_such_plan", format!("there is no plan {plan}")).hint("agents plan list")
            }
            LifecycleError::Refused(refusal) => (*refusal).into(),
            LifecycleError::Lock { source, .. } => Self::of_lock(source, locked),
            LifecycleError::LeaseLost { plan } => lease_lost(&plan.to_string()),
            LifecycleError::Store(error) => error.into(),
        }
    }

    fn of_lock(error: LockError, locked: Locked<'_>) -> Self {
        match error {
            LockError::Conflict(Conflict(held)) => locked(&held),
            error => error.into(),
        }
    }
}

fn lease_lost(plan: &str) -> Failure {
    let message = format!("the lock of plan {plan} was lost; nothing more was written");
    Failure::new(Exit::LeaseLost, "lease_lost", message).hint(format!("agents plan status {plan}")).retry()
}

impl From<OrderError> for Failure {
    fn from(error: OrderError) -> Self {
        let message = error.to_string();
        match error {
            OrderError::NoSuchAction { .. } => {
                Self::not_found("no_such_action", message).hint("agents action list")
            }
            OrderError::NoSuchProject { .. } => {
                Self::not_found("no_such_project", message).hint("agents project list")
            }
            OrderError::NoProject => Self::usage(message),
            OrderError::Arguments { action, problems } => {
                let failure = Self::new(Exit::Usage, "invalid_arguments", message);
                problems
                    .problems
                    .iter()
                    .fold(failure, |failure, problem| failure.cause(problem.to_string()))
                    .hint(format!("agents action show {action}"))
            }
            OrderError::Store(error) => error.into(),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        let store = |code| Self::new(Exit::Store, code, message.clone());
        match error {
            OpenError::NotInitialised { path } => {
                Self::new(Exit::Store, "not_initialised", format!("there is no database at {path}"))
                    .hint("agents init")
            }
            OpenError::MissingDirectory { .. } => store("missing_directory"),
            OpenError::NotADatabase { .. } => store("not_a_database"),
            OpenError::Damaged { .. } => store("damaged"),
            OpenError::ForeignDatabase { .. } => store("foreign_database"),
            OpenError::ReadOnly { .. } => store("read_only"),
            OpenError::MigrationPending { .. } => store("migration_pending").hint("agents db migrate"),
            OpenError::NewerSchema { .. } => store("newer_schema"),
            OpenError::NetworkFilesystem { .. } => store("network_filesystem"),
            OpenError::OtherMachine { .. } => store("other_machine").hint("agents db adopt"),
            OpenError::Unavailable { .. } => store("store_unavailable").retry(),
        }
    }
}

impl From<ActionFileError> for Failure {
    fn from(error: ActionFileError) -> Self {
        Self::new(Exit::Usage, "invalid_action_file", error.to_string()).hint("agents action schema")
    }
}
