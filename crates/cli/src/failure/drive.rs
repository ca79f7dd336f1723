//! Failures of the services: each to the exit code of what lies behind it.

use agents_application::subplan_service::{InvalidSubplans, SpawnError};
use agents_application::{DriveError, LifecycleError, OrderError};
use agents_domain::id::PlanId;
use agents_domain::lock::{Conflict, HeldLock, LockError};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::Phase;
use agents_domain::runner::StopCause;
use agents_infrastructure::action_file::ActionFileError;
#[cfg(feature = "postgres")]
use agents_infrastructure::postgres;
use agents_infrastructure::sqlite::OpenError;

use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{occupant_lines, places_line, places_view};

/// Says of a lock who holds it and whether they live.
pub(super) type Locked<'a> = &'a dyn Fn(&HeldLock) -> Failure;

impl Failure {
    /// Why a plan could not be driven on.
    pub fn of_drive(error: DriveError, locked: Locked<'_>) -> Self {
        match error {
            DriveError::Lifecycle(error) => Self::of_lifecycle(error, locked),
            // The plan is done but for its landing, and may be new to whoever reads this.
            DriveError::Projects { plan, source } => {
                Self::of_lock(source, locked).hint(format!("agents plan apply {plan}"))
            }
            DriveError::Workspace(error) => error.into(),
            DriveError::NoAnswer { plan, held } => no_answer(
                locked(&held),
                &format!("plan {plan} is not cancelled yet: its holder was asked, and has not answered"),
            ),
            DriveError::NoPlace { plan, phase, census } => no_place(plan, phase, &census),
            DriveError::Places(error) => Self::new(Exit::Internal, "places", error.to_string())
                .hint("look at the state directory: `agents diagnostics`"),
            DriveError::Stopped { plan, cause } => stopped(&plan.to_string(), cause),
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

    /// Why a plan got no children: all that is wrong with them.
    pub fn of_spawn(error: SpawnError, locked: Locked<'_>) -> Self {
        match error {
            SpawnError::Lifecycle(error) => Self::of_lifecycle(error, locked),
            SpawnError::Store(error) => error.into(),
            SpawnError::Invalid(InvalidSubplans { problems }) => {
                let failure = Self::new(Exit::Usage, "invalid_subplans", "the subplans cannot be made");
                let failure =
                    problems.iter().fold(failure, |failure, problem| failure.cause(problem.to_string()));
                failure.hint("agents action list")
            }
        }
    }

    fn of_lock(error: LockError, locked: Locked<'_>) -> Self {
        match error {
            LockError::Conflict(Conflict(held)) => locked(&held),
            LockError::Queued(standing) => Self::queued(&standing, locked),
            error => error.into(),
        }
    }
}

/// The holder of a lock was asked for something. It stays asked.
fn no_answer(locked: Failure, message: &str) -> Failure {
    let mut failure = locked;
    (failure.code, failure.message) = ("no_answer", message.to_owned());
    failure.cause("the request stays: whoever holds the lock serves it as soon as it can")
}

/// The plan is as it was, or queued again, and may be new to whoever reads this.
fn no_place(plan: PlanId, phase: Phase, census: &PlacesCensus) -> Failure {
    let message = format!("no place is free for a command of {phase}: {}", places_line(census));
    let failure = Failure::new(Exit::Conflict, "no_place", message)
        .detail(json!({ "plan_id": plan.as_str(), "phase": phase.as_str(), "places": places_view(census) }))
        .retry();
    let word = if phase == Phase::Apply { "apply" } else { "execute" };
    let failure = occupant_lines(census).into_iter().fold(failure, Failure::cause);
    failure.hint(format!("agents --wait 5m plan {word} {plan}"))
}

fn stopped(plan: &str, cause: StopCause) -> Failure {
    let (code, words) = match cause {
        StopCause::LeaseLost | StopCause::LeaseDoubted => return lease_lost(plan),
        StopCause::Cancelled => ("cancelled", "was cancelled from elsewhere"),
        StopCause::Asked => ("stopped", "was stopped: somebody asked for its lock (`agents lock break`)"),
        StopCause::Shutdown | StopCause::Escalated => ("stopped", "was stopped"),
    };
    Failure::new(Exit::LeaseLost, code, format!("plan {plan} {words}"))
        .hint(format!("agents plan events {plan}"))
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
            OrderError::Subplans { action, problems } => {
                Self::of_subplans(message, &problems).hint(format!("agents action show {action}"))
            }
            OrderError::Store(error) => error.into(),
        }
    }
}

/// For a database that a later version has made or migrated.
const NEWER_PROGRAM: &str =
    "install the version of agents that made it, or a newer one; `agents --version` tells which one this is";

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
            OpenError::NewerSchema { .. } => store("newer_schema").hint(NEWER_PROGRAM),
            OpenError::NetworkFilesystem { .. } => store("network_filesystem"),
            OpenError::OtherMachine { .. } => store("other_machine").hint("agents db adopt"),
            OpenError::Moved { path, to } => Self::moved(message, &path, &to),
            OpenError::Unavailable { .. } => store("store_unavailable").retry(),
        }
    }
}

#[cfg(feature = "postgres")]
impl From<postgres::OpenError> for Failure {
    fn from(error: postgres::OpenError) -> Self {
        use postgres::OpenError as Error;

        let message = error.to_string();
        let store = |code| Self::new(Exit::Store, code, message.clone());
        match error {
            Error::NotInitialised { place } => {
                let message = format!("there is nothing in the database {place}");
                Self::new(Exit::Store, "not_initialised", message).hint("agents init")
            }
            Error::ForeignDatabase { .. } => store("foreign_database").hint("agents db migrate"),
            Error::NoSchema { .. } => store("no_schema").hint(
                "make the schema (CREATE SCHEMA) and let this user use it, or name another at the end of the URL: \
                 `?options=-csearch_path%3DNAME`",
            ),
            Error::MigrationPending { .. } => store("migration_pending").hint("agents db migrate"),
            Error::NewerSchema { .. } => store("newer_schema").hint(NEWER_PROGRAM),
            Error::Moved { place, to } => Self::moved(message, &place, &to),
            Error::OldServer { .. } => {
                store("old_server").hint("bring that server up to date (pg_upgrade), or name another one")
            }
            Error::Standby { .. } => store("read_only").hint(
                "name the primary; a URL that names all hosts finds it with `?target_session_attrs=read-write`",
            ),
            Error::InvalidUrl { .. } => Self::new(Exit::Usage, "invalid_database_url", message).hint(
                "mend the database URL: its parameters are those of libpq (`sslmode=verify-full`, `connect_timeout=5`)",
            ),
            Error::Unavailable { remedy, passes, .. } => {
                let failure = store("store_unavailable").hint(remedy.map_or_else(
                    || "agents diagnostics".to_owned(),
                    |remedy| format!("{remedy}; then repeat the command"),
                ));
                if passes { failure.retry() } else { failure }
            }
        }
    }
}

impl From<ActionFileError> for Failure {
    fn from(error: ActionFileError) -> Self {
        Self::new(Exit::Usage, "invalid_action_file", error.to_string()).hint("agents action schema")
    }
}

#[cfg(test)]
mod tests {
    use agents_domain::places::PlacesError;
    use agents_domain::plan::StoreError;
    use agents_domain::workspace::WorkspaceError;

    use super::*;
    use crate::render::samples;

    fn locked(held: &HeldLock) -> Failure {
        Failure::locked(held, agents_domain::lock::Liveness::Alive)
    }

    fn conflict() -> LockError {
        LockError::Conflict(Conflict(Box::new(samples::held())))
    }

    fn away() -> LockError {
        LockError::Unavailable { reason: "gone".to_owned() }
    }

    #[test]
    fn what_stops_a_driver_has_its_exit_code() {
        let plan = samples::plan_id();
        let stopped = |cause| DriveError::Stopped { plan, cause };
        let lifecycle = |error| DriveError::Lifecycle(error);
        let git = WorkspaceError::GitUnusable { reason: "old".to_owned() };
        let table = [
            (lifecycle(LifecycleError::NoSuchPlan { plan }), Exit::NotFound, "no_such_plan"),
            (lifecycle(LifecycleError::Lock { plan, source: conflict() }), Exit::Conflict, "lock_conflict"),
            (lifecycle(LifecycleError::Lock { plan, source: away() }), Exit::Store, "store_unavailable"),
            (lifecycle(LifecycleError::LeaseLost { plan }), Exit::LeaseLost, "lease_lost"),
            (lifecycle(LifecycleError::Store(StoreError::UnfencedRefused)), Exit::Store, "unfenced_refused"),
            (DriveError::Projects { plan, source: conflict() }, Exit::Conflict, "lock_conflict"),
            (DriveError::Workspace(git), Exit::Internal, "git_unusable"),
            (
                DriveError::NoPlace { plan, phase: Phase::Execute, census: Box::new(samples::places()) },
                Exit::Conflict,
                "no_place",
            ),
            (
                DriveError::Places(PlacesError { path: "/s/places".into(), reason: "full".into() }),
                Exit::Internal,
                "places",
            ),
            (stopped(StopCause::LeaseLost), Exit::LeaseLost, "lease_lost"),
            (stopped(StopCause::Cancelled), Exit::LeaseLost, "cancelled"),
            (stopped(StopCause::Shutdown), Exit::LeaseLost, "stopped"),
        ];
        for (error, exit, code) in table {
            let failure = Failure::of_drive(error.clone(), &locked);
            assert_eq!((failure.exit, failure.code), (exit, code), "{error}");
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn every_reason_not_to_open_the_store_is_exit_10_with_a_code_of_its_own() {
        let path = || "agents.db".to_owned();
        let errors = [
            OpenError::NotInitialised { path: path() },
            OpenError::MissingDirectory { path: path() },
            OpenError::NotADatabase { path: path() },
            OpenError::ForeignDatabase { path: path() },
            OpenError::ReadOnly { path: path() },
            OpenError::MigrationPending { found: 0, known: 1 },
            OpenError::NewerSchema { found: 2, known: 1 },
            OpenError::NetworkFilesystem { path: path(), kind: "nfs".to_owned() },
            OpenError::OtherMachine { found: "box".to_owned() },
            OpenError::Moved { path: path(), to: "postgres://u@h/d".to_owned() },
            OpenError::Unavailable { path: path(), reason: "gone".to_owned() },
        ];
        let codes: std::collections::BTreeSet<_> = errors
            .into_iter()
            .map(|error| {
                let failure = Failure::from(error);
                assert_eq!(failure.exit, Exit::Store);
                failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
                failure.code
            })
            .collect();
        assert_eq!(codes.len(), 11);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn every_reason_not_to_use_a_server_says_what_helps() {
        use postgres::OpenError as Error;

        let place = || "postgres://u@h/d".to_owned();
        let away =
            |passes| Error::Unavailable { place: place(), reason: String::new(), remedy: None, passes };
        let table = [
            (Error::NotInitialised { place: place() }, Exit::Store, "not_initialised", false),
            (
                Error::ForeignDatabase { place: place(), schema: String::new() },
                Exit::Store,
                "foreign_database",
                false,
            ),
            (Error::NoSchema { place: place() }, Exit::Store, "no_schema", false),
            (Error::MigrationPending { found: 0, known: 1 }, Exit::Store, "migration_pending", false),
            (Error::NewerSchema { found: 2, known: 1 }, Exit::Store, "newer_schema", false),
            (Error::Moved { place: place(), to: place() }, Exit::Store, "moved", false),
            (Error::OldServer { place: place(), found: 13 }, Exit::Store, "old_server", false),
            (Error::Standby { place: place() }, Exit::Store, "read_only", false),
            (away(true), Exit::Store, "store_unavailable", true),
            (away(false), Exit::Store, "store_unavailable", false),
            (
                Error::InvalidUrl { place: place(), reason: String::new() },
                Exit::Usage,
                "invalid_database_url",
                false,
            ),
        ];
        for (error, exit, code, retryable) in table {
            let failure = Failure::from(error);
            assert_eq!((failure.exit, failure.code, failure.retryable), (exit, code, retryable));
            assert!(!failure.hints.is_empty(), "{code}");
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn an_order_that_cannot_be_made_says_what_is_not_there() {
        let none = Failure::from(OrderError::NoProject);
        assert_eq!(none.exit, Exit::Usage);
        let store = Failure::from(OrderError::Store(StoreError::UnfencedRefused));
        assert_eq!(store.exit, Exit::Store);
        let project = OrderError::NoSuchProject { name: samples::name("api") };
        assert_eq!(Failure::from(project).code, "no_such_project");
    }
}
