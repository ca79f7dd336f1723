//! The adapter of [`PhaseRunner`]: one command, under a guard, with its log.
//!
//! How it ends is decided by what comes first: the command's own end, the stop signal, the time.
//! The guard, which sees both, says which: the command's own end counts from the moment at which the
//! command itself has ended, also while others of its tree are still being ended. A stop signal that comes during the grace of a
//! timeout, or of such leftovers, still counts if it gives no grace.

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::action::Program;
use agents_domain::id::PlanId;
use agents_domain::runner::{
    Children, Context, Ended, Invocation, PhaseRunner, RunError, RunReport, StopCause, StopSignal, Urgency,
};
use agents_domain::time::Clock;
use async_trait::async_trait;
use tokio::time::{Sleep, sleep, timeout};

use super::environment::Environment;
use super::leftovers;
use super::log::{Limits, LogWriter};
use super::output::{Echo, Sink};
use super::protocol::{Job, Order, Refusal, Report, Status};
use super::redact::Redactor;
use super::session::{News, Running, Session, Start};

/// Names, in the environment of every process of a run, `<plan>/<attempt>`.
pub const RUN_MARKER: &str = "AGENTS_RUN_MARKER";

/// How long a pipe may stay open once no process of the tree is left.
const DRAIN: Duration = Duration::from_secs(1);

/// How long dropped runs of this process are given to end; killing takes milliseconds.
const CLEARING: Duration = Duration::from_secs(5);

/// Renders a program into program name and arguments; the text says for what, for messages.
pub type Render = fn(&Program, &Context, &str) -> Result<Vec<String>, RunError>;

/// Runs commands as real processes. See the module for what is guaranteed.
#[derive(Clone)]
pub struct ProcessRunner {
    binary: PathBuf,
    environment: Environment,
    render: Render,
    clock: Arc<dyn Clock>,
    echo: Option<Echo>,
    running: Running,
}

impl ProcessRunner {
    /// Runs commands under guards that are `binary __exec` ([`run_guard`](super::run_guard)), in
    /// the `caller`'s environment less the names in `strip`. Rendering is the template adapter's;
    /// the clock gives the times in logs.
    pub fn new(
        binary: PathBuf,
        caller: impl IntoIterator<Item = (OsString, OsString)>,
        strip: &[&str],
        render: Render,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let environment = Environment::new(caller, strip);
        Self { binary, environment, render, clock, echo: None, running: Running::default() }
    }

    /// Shows output to an observer as it comes.
    #[must_use]
    pub fn with_echo(self, echo: Echo) -> Self {
        Self { echo: Some(echo), ..self }
    }

    /// Blocks until no process of any run of this runner (and its clones) is alive, at most so
    /// long; whether that is so. A run that has returned has none; this is for runs that were
    /// dropped, before their lock is given up.
    pub fn wait_until_idle(&self, at_most: Duration) -> bool {
        self.running.wait(|_| true, at_most)
    }

    fn prepare(&self, invocation: &Invocation) -> Result<(Start, Sink), RunError> {
        let Invocation { context, purpose, .. } = invocation;
        let argv = (self.render)(&invocation.program, context, purpose)?;
        if argv.is_empty() {
            let reason = "it is empty".to_owned();
            return Err(RunError::Template { purpose: purpose.clone(), reason });
        }
        let (mut env, secrets) = self.environment.of(context)?;
        let marker = marker(invocation.plan, invocation.attempt);
        env.insert(RUN_MARKER.into(), marker.clone().into());
        let log = LogWriter::append(&invocation.log, Limits::STANDARD, Arc::clone(&self.clock))
            .map_err(|error| failed(format!("its log {}: {error}", invocation.log.display())))?;
        let sink = Sink::new(log, self.echo.clone());
        let job = Job {
            argv,
            directory: invocation.directory.clone().into_os_string(),
            env: env.into_iter().collect(),
            grace: invocation.grace,
        };
        let start = Start {
            binary: self.binary.clone(),
            guard_env: self.environment.scrubbed(),
            job,
            marker,
            sink: sink.clone(),
            redactor: Redactor::new(secrets),
        };
        Ok((start, sink))
    }
}

#[async_trait]
impl PhaseRunner for ProcessRunner {
    async fn run(&self, invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError> {
        let (start, sink) = self.prepare(&invocation)?;
        let program = start.job.argv[0].clone();
        let session = Session::start(start, &self.running).map_err(|error| failed(error.to_string()))?;
        let mut run = Run { session, program, refused: None, ended: None, status: None };
        let outcome = run.follow(stop, invocation.timeout).await;
        // Closed by both drains. Longer than that only a stranger holds a pipe.
        let _ = timeout(DRAIN, run.session.drained.recv()).await;
        let tail = sink.close();
        outcome.map(|ended| RunReport { ended, tail })
    }

    async fn clear(&self, plan: PlanId, attempt: u32) {
        let (running, marker) = (self.running.clone(), marker(plan, attempt));
        let clearing = tokio::task::spawn_blocking(move || {
            // Runs of our own first: a guard may be about to start a command even now, and ends it.
            running.wait(|other| other == marker, CLEARING);
            for left in leftovers::kill(&marker) {
                tracing::warn!(pid = left.pid, name = %left.name, %marker, "ended a leftover process");
            }
        });
        if let Err(ended) = clearing.await
            && let Ok(panic) = ended.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Children for ProcessRunner {
    /// By way of the guard, which has the whole tree. Should the guard be gone or stuck, those who
    /// carry the marker are killed directly.
    fn end(&self, plan: PlanId, urgency: Urgency) {
        let (of_plan, order) = (
            format!("{plan}/"),
            match urgency {
                Urgency::Term => Order::Term,
                Urgency::Kill => Order::Kill,
            },
        );
        let markers = self.running.order(|marker| marker.starts_with(&of_plan), &order);
        for marker in markers.iter().filter(|_| urgency == Urgency::Kill) {
            leftovers::strike(marker);
        }
    }
}

/// What processes of an attempt carry in their environment.
fn marker(plan: PlanId, attempt: u32) -> String {
    format!("{plan}/{attempt}")
}

/// One run, from its start to the end of its guard.
struct Run {
    session: Session,
    program: String,
    /// Never started.
    refused: Option<RunError>,
    /// Ended by us.
    ended: Option<Ended>,
    /// Ended by itself, or the end that we brought about.
    status: Option<Status>,
}

impl Run {
    async fn follow(&mut self, mut stop: StopSignal, limit: Option<Duration>) -> Result<Ended, RunError> {
        let mut limit = limit.map(|limit| Box::pin(sleep(limit)));
        let mut stopped = false;
        let mut broken = None;
        loop {
            tokio::select! {
                biased;
                news = self.session.news.recv() => match news {
                    Some(News::Report(report)) => self.note(report),
                    Some(News::Broken(reason)) => broken = Some(reason),
                    None => break,
                },
                cause = &mut stop, if !stopped => {
                    stopped = true;
                    self.stop(cause);
                }
                () = expired(limit.as_mut()), if limit.is_some() => {
                    limit = None;
                    self.time_out();
                }
            }
        }
        self.verdict(broken)
    }

    fn note(&mut self, report: Report) {
        match report {
            Report::Refused(refusal) => self.refused = Some(refused(refusal, &self.program)),
            Report::ChildEnded { status, by_itself } => {
                self.status = Some(status);
                if by_itself {
                    // What we ordered meanwhile came too late to be the cause.
                    self.ended = None;
                }
            }
            Report::Started { pid } => tracing::debug!(pid, program = %self.program, "command started"),
            Report::Gone => {}
        }
    }

    fn stop(&mut self, cause: StopCause) {
        let order = match cause {
            StopCause::LeaseLost | StopCause::Escalated => Order::Kill,
            StopCause::LeaseDoubted | StopCause::Cancelled | StopCause::Asked | StopCause::Shutdown => {
                Order::Term
            }
        };
        self.session.order(&order);
        self.settle(Ended::Stopped(cause));
    }

    fn time_out(&mut self) {
        if self.status.is_none() && self.ended.is_none() {
            self.session.order(&Order::Term);
            self.settle(Ended::TimedOut);
        }
    }

    /// The first cause counts.
    fn settle(&mut self, ended: Ended) {
        if self.status.is_none() {
            self.ended.get_or_insert(ended);
        }
    }

    fn verdict(&mut self, broken: Option<String>) -> Result<Ended, RunError> {
        if let Some(refused) = self.refused.take() {
            return Err(refused);
        }
        match (self.ended, self.status, broken) {
            (Some(ended), ..) => Ok(ended),
            (None, Some(Status::Exited(code)), None) => Ok(Ended::Exited(code)),
            (None, Some(Status::Signalled(signal)), None) => Ok(Ended::Signalled(signal)),
            (None, _, Some(reason)) => Err(failed(reason)),
            (None, None, None) => Err(failed("its guard did not say how it ended".to_owned())),
        }
    }
}

/// Resolves when that sleep does.
async fn expired(sleep: Option<&mut Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.await,
        None => std::future::pending().await,
    }
}

fn failed(reason: String) -> RunError {
    RunError::Failed { reason }
}

fn refused(refusal: Refusal, program: &str) -> RunError {
    let program = program.to_owned();
    match refusal {
        Refusal::NotFound => RunError::NotFound { program },
        Refusal::NotExecutable { reason } => RunError::NotExecutable { program, reason },
        Refusal::Failed { reason } => failed(reason),
    }
}
