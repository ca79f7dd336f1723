//! The port through which one command of a plan is run.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::action::{Arguments, Program};
use crate::id::PlanId;

/// Why a running command is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// The lease of the plan is gone: another may start at any moment, so no grace is given.
    LeaseLost,
    /// The lease of the plan could not be renewed for too long: it counts as lost, but has not run
    /// out. The command gets the rest of it to end, and KILL before its end.
    LeaseDoubted,
    /// Somebody cancelled the plan.
    Cancelled,
    /// Somebody asked the holder of the plan's lock to let go of it.
    Asked,
    /// This process is asked to end.
    Shutdown,
    /// This process is asked to end, for the second time: no grace.
    Escalated,
}

impl StopCause {
    /// Whether the plan may be another's by now, so that nothing more is written for it.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::LeaseLost | Self::LeaseDoubted)
    }
}

/// How a tree of processes is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// It is asked to end.
    Term,
    /// It is ended.
    Kill,
}

/// The way by which a heartbeat thread ends the commands of a plan whose lock it can no longer
/// trust, whatever the runtime that waits for them is busy with.
///
/// Never blocks for long, needs no runtime, and may be repeated: it passes a word on to those who
/// keep the trees. The run itself returns once its tree is gone, as always.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Children: Send + Sync {
    /// Ends what this process runs for that plan. Nothing to do if that is nothing.
    fn end(&self, plan: PlanId, urgency: Urgency);
}

/// For services that run no commands.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoChildren;

impl Children for NoChildren {
    fn end(&self, _plan: PlanId, _urgency: Urgency) {}
}

/// Resolves when the command is to be stopped; pending for as long as it may run.
pub type StopSignal = Pin<Box<dyn Future<Output = StopCause> + Send>>;

/// The facts that templates and the environment of a command show.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// The arguments of the plan.
    pub arguments: Arguments,
    /// The plan's name, or its id.
    pub plan_name: String,
    /// The action's description.
    pub description: String,
    /// The action's definition of done.
    pub definition_of_done: String,
    /// What strategize wrote; empty until then.
    pub strategy: String,
    /// What people added for the next attempt.
    pub guidance: String,
    /// Variables added to the environment of the command, `AGENTS_…` included.
    pub env: Vec<(String, String)>,
    /// Names whose values come from the caller's environment; values are redacted in logs.
    pub env_from: Vec<String>,
}

/// One command, ready to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The plan on whose behalf it runs.
    pub plan: PlanId,
    /// Which attempt of the plan.
    pub attempt: u32,
    /// `strategize`, `execute`, `setup`, `validation <name>`, `after`: for people.
    pub purpose: String,
    /// What to run; templates not yet rendered.
    pub program: Program,
    /// What templates and environment show.
    pub context: Context,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its output goes here, appended, with times.
    pub log: PathBuf,
    /// After this it is stopped.
    pub timeout: Option<Duration>,
    /// Between TERM and KILL.
    pub grace: Duration,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, not sent by us.
    Signalled(i32),
    /// By us, its time being up.
    TimedOut,
    /// By us, on the stop signal.
    Stopped(StopCause),
}

/// What is known of a command that ran. Its whole process group is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// How it ended.
    pub ended: Ended,
    /// The last lines of its output (at most 4 KiB), lossily decoded.
    pub tail: String,
}

/// Why a command did not run. No process of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RunError {
    /// There is no such program.
    #[error("`{program}` was not found")]
    NotFound {
        /// As given, rendered.
        program: String,
    },
    /// It is there but may not be executed.
    #[error("`{program}` cannot be executed: {reason}")]
    NotExecutable {
        /// As given, rendered.
        program: String,
        /// The system's word.
        reason: String,
    },
    /// A template names what there is not, or is broken.
    #[error("the template of {purpose} cannot be rendered: {reason}")]
    Template {
        /// Which command.
        purpose: String,
        /// The engine's word.
        reason: String,
    },
    /// A variable of `env_from` is not set.
    #[error("the environment variable `{name}`, named by env_from, is not set")]
    MissingVariable {
        /// Its name.
        name: String,
    },
    /// Anything else: no pipe, no log file, no process.
    #[error("the command could not be run: {reason}")]
    Failed {
        /// The system's word.
        reason: String,
    },
}

/// Runs one command to its end.
///
/// Crash semantics: if this process dies, the whole process tree of the command is ended by its
/// guard. When `run` returns, no process of the command's group is alive. Dropping the future
/// ends the tree at once, without grace.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PhaseRunner: Send + Sync {
    /// Runs the command; stops it when `stop` resolves or its time is up.
    async fn run(&self, invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError>;

    /// Ends, without grace, what is still alive of that attempt's commands on this machine, and
    /// returns when nothing is, a few seconds later at most: what a run that was dropped, or a
    /// driver that died, has left. Asked by whoever holds the plan's lock, before anything of the
    /// attempt is touched and before a command of the next one starts. Nothing to do for a runner
    /// that leaves nothing.
    async fn clear(&self, plan: PlanId, attempt: u32) {
        let _ = (plan, attempt);
    }
}
