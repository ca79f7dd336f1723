//! The loop of a scheduler: what the pure state machine wants is done, and what comes of it is told
//! to it, until there is nothing more to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Definition, Phase, Plan, State};
use agents_domain::runner::StopCause;
use agents_domain::subplan::{Cause, GivenUp, NodeId, Scheduler, Status, Step};
use tokio::task::JoinSet;

use super::running::{Ear, Errand, Ran, needs_a_person};
use crate::driver::{DriveError, PhaseDriver, failures};
use crate::lifecycle::LifecycleError;
use crate::lock_service::LockGuard;
use crate::stop::StopHub;
use crate::subplan_service::{Child, failures_of};

/// What came of the children.
pub(super) enum Outcome {
    /// Their work is part of the plan's.
    Merged(Plan),
    /// The attempt is over: it failed, or waits for a person.
    Over(Plan),
}

/// A scheduler at work.
pub(super) struct Scheduling<'a> {
    pub(super) driver: &'a PhaseDriver,
    pub(super) plan: Plan,
    pub(super) definition: &'a Definition,
    pub(super) hold: &'a LockGuard,
    pub(super) scheduler: Scheduler,
    /// The child of each node.
    pub(super) children: Vec<Child>,
    running: JoinSet<(NodeId, Result<Ran, DriveError>)>,
    ear: Ear,
    /// The child that has just done its work, still held, to be merged at once or let go.
    pub(super) handed: Option<Handed>,
    /// By which each running child is stopped.
    hubs: BTreeMap<NodeId, StopHub>,
    /// Children that could not be run or merged for no fault of theirs, and the first reason. The
    /// others go on.
    pub(super) troubled: BTreeSet<NodeId>,
    pub(super) trouble: Option<DriveError>,
}

/// A child whose lock we have.
pub(super) struct Handed {
    pub(super) node: NodeId,
    pub(super) plan: Plan,
    pub(super) hold: LockGuard,
}

/// Why a scheduler ends before its children have.
pub(super) enum End {
    /// Something is asked of it, or its lock is lost.
    Stopped(StopCause),
    /// Its own time is up.
    TimedOut,
}

impl PhaseDriver {
    /// Runs and merges the children of a plan that is processing, until all have settled or wait
    /// for a person.
    pub(super) async fn schedule(
        &self,
        plan: Plan,
        definition: &Definition,
        limit: Option<Duration>,
        hold: &LockGuard,
    ) -> Result<Outcome, DriveError> {
        let settings = definition.action.subplan_settings();
        let family = self.family(plan.id).await?;
        let (scheduler, children) = match family.scheduler(&settings) {
            Ok(made) => made,
            Err(problems) => return self.unschedulable(&plan, &problems).await,
        };
        let mut work = Scheduling {
            driver: self,
            plan,
            definition,
            hold,
            scheduler,
            children,
            running: JoinSet::new(),
            ear: Ear::default(),
            handed: None,
            hubs: BTreeMap::new(),
            troubled: BTreeSet::new(),
            trouble: None,
        };
        work.catch_up().await?;
        Box::pin(work.keep_on(limit)).await
    }

    /// Only a store that was changed by hand holds such children.
    async fn unschedulable(
        &self,
        plan: &Plan,
        problems: &[agents_domain::subplan::GraphProblem],
    ) -> Result<Outcome, DriveError> {
        let message = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let failure = failures::failure("subplans", message, failures::retry_hint(plan.id), false);
        Ok(Outcome::Over(self.parts.lifecycle.fail(plan.id, failure, None, Vec::new()).await?))
    }
}

impl Scheduling<'_> {
    pub(super) fn child(&self, node: NodeId) -> &Child {
        &self.children[node.index()]
    }

    /// What an earlier scheduler left half done: merges that its log does not tell of, children that
    /// were running, and such as were to be stopped.
    async fn catch_up(&mut self) -> Result<(), DriveError> {
        let events = self.driver.parts.lifecycle.events(self.plan.id).await?;
        let told = |id: PlanId| {
            events
                .iter()
                .any(|event| matches!(event.change, Change::SubplanMerged { child, .. } if child == id))
        };
        for node in self.nodes() {
            match self.scheduler.status(node) {
                Status::Merged if !told(self.child(node).id) => {
                    let child = self.driver.parts.lifecycle.load(self.child(node).id).await?;
                    self.tell_merged(&child).await?;
                }
                Status::Running => self.run(node),
                Status::Stopping(cause) => {
                    self.scheduler.cancelled(node);
                    self.give_up(node, cause).await?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.scheduler.nodes().collect()
    }

    async fn keep_on(mut self, limit: Option<Duration>) -> Result<Outcome, DriveError> {
        let until = limit.map(|limit| self.driver.parts.clock.boottime().plus(limit));
        loop {
            let acted = self.act().await;
            self.driver.lifecycle().observer().subplans(&self.plan, &self.scheduler.totals());
            let end = match acted {
                Ok(None) if self.running.is_empty() => match self.hear_answers().await {
                    Ok(true) => Ok(None),
                    Ok(false) => return self.settle().await,
                    Err(error) => Err(error),
                },
                Ok(None) => self.wait(until).await,
                stopped => stopped,
            };
            match end {
                Ok(None) => {}
                Ok(Some(end)) => return self.stop(end).await,
                Err(error) => return self.give_way(error).await,
            }
        }
    }

    /// Does what is to be done now; what is asked meanwhile comes before whatever the children came
    /// to.
    async fn act(&mut self) -> Result<Option<End>, DriveError> {
        loop {
            if let Some(end) = self.asked() {
                return Ok(Some(end));
            }
            match self.scheduler.step() {
                None => {
                    self.let_go().await;
                    return Ok(None);
                }
                Some(Step::Start(node)) => self.run(node),
                Some(Step::Merge(node)) => Box::pin(self.merge(node)).await?,
                Some(Step::Stop(node, _)) => self.hubs.get(&node).into_iter().for_each(StopHub::let_go),
                Some(Step::Cancel(node, cause)) => {
                    self.let_go().await;
                    self.give_up(node, cause).await?;
                }
            }
        }
    }

    fn run(&mut self, node: NodeId) {
        let hub = self.driver.parts.stop.below();
        self.hubs.insert(node, hub.clone());
        let failures = self.scheduler.failures(node);
        let errand = Errand { node, child: self.child(node).id, failures, ear: self.ear.clone() };
        let limit = Some(self.definition.action.subplan_settings().timeout);
        let driver = PhaseDriver { limit, ..self.driver.for_child(hub) };
        self.running.spawn(driver.run_child(errand));
    }

    /// Waits until something happens: to a child, or to the plan.
    async fn wait(
        &mut self,
        until: Option<agents_domain::time::BootInstant>,
    ) -> Result<Option<End>, DriveError> {
        let stop = self.driver.stop_signal(self.hold.into());
        let clock = self.driver.parts.clock.clone();
        let over = async {
            let Some(until) = until else { return std::future::pending().await };
            while clock.boottime() < until {
                self.driver.parts.lifecycle.locks().pause().await;
            }
        };
        let answered = self.answered();
        self.ear.open();
        tokio::select! {
            biased;
            cause = stop => Ok(Some(End::Stopped(cause))),
            Some(ended) = self.running.join_next() => {
                self.ear.shut();
                // Only a panic, or the end of the runtime, makes a task end without an outcome.
                let (node, outcome) = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                self.hubs.remove(&node);
                Box::pin(self.take_in(node, outcome)).await.map(|()| None)
            }
            () = answered => self.hear_answers().await.map(|_| None),
            () = over => Ok(Some(End::TimedOut)),
        }
    }

    /// What came of a child that ran.
    async fn take_in(&mut self, node: NodeId, outcome: Result<Ran, DriveError>) -> Result<(), DriveError> {
        let stopping = match self.scheduler.status(node) {
            Status::Stopping(cause) => Some(cause),
            _ => None,
        };
        let child = match outcome {
            Ok(Ran { plan, hold }) => {
                self.let_go().await;
                self.handed = hold.map(|hold| Handed { node, plan: plan.clone(), hold });
                plan
            }
            // Somebody asked for it, or has it by now: its row says what has come of it.
            Err(DriveError::Stopped { .. } | DriveError::Lifecycle(LifecycleError::LeaseLost { .. })) => {
                self.driver.parts.lifecycle.load(self.child(node).id).await?
            }
            Err(error) if is_trouble(&error) => {
                self.meet(node, error);
                self.scheduler.parked(node);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let Some(cause) = stopping {
            // Whatever it came to in its last moment does not count.
            self.let_go().await;
            self.scheduler.cancelled(node);
            return self.give_up(node, cause).await;
        }
        match (child.phase(), child.state()) {
            (_, State::Cancelled) => self.scheduler.cancelled(node),
            (Phase::Execute, State::Complete) | (Phase::Apply, _) => self.scheduler.executed(node),
            _ if needs_a_person(&child) => self.scheduler.parked(node),
            _ => self.scheduler.failed(node, failures_of(&child)),
        }
        Ok(())
    }

    /// Records that a child is given up, with all that is below it.
    async fn give_up(&self, node: NodeId, cause: Cause) -> Result<(), DriveError> {
        let name = |node: NodeId| self.child(node).name.clone();
        let given_up = match cause {
            Cause::Skipped { by } => GivenUp::Skipped { by: name(by) },
            Cause::FailFast { by } => GivenUp::FailFast { by: name(by) },
            // Whoever asked has recorded it.
            Cause::Asked => return Ok(()),
        };
        self.driver.give_up_child(self.child(node).id, given_up, self.hold).await
    }

    /// Lets go of a child that is not merged now.
    async fn let_go(&mut self) {
        if let Some(handed) = self.handed.take() {
            self.driver.let_go(handed.hold).await;
        }
    }

    /// Notes why a child could not be run or merged.
    pub(super) fn meet(&mut self, node: NodeId, error: DriveError) {
        self.driver.warn(&format!("subplan `{}`: {error}", self.child(node).name));
        self.troubled.insert(node);
        self.trouble.get_or_insert(error);
    }

    /// Lets the running children go and waits until they have: none is left behind, and each has
    /// saved its work.
    async fn drain(&mut self) {
        self.hubs.values().for_each(StopHub::let_go);
        self.let_go().await;
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok((_, Ok(Ran { hold: Some(hold), .. }))) => self.driver.let_go(hold).await,
                Ok((node, Err(error))) if !matches!(error, DriveError::Stopped { .. }) => {
                    self.driver.warn(&format!("subplan `{}`: {error}", self.child(node).name));
                }
                _ => {}
            }
        }
    }

    async fn stop(mut self, end: End) -> Result<Outcome, DriveError> {
        self.drain().await;
        let (driver, id) = (self.driver, self.plan.id);
        match end {
            End::Stopped(cause) => {
                driver.record_stop(id, cause, Vec::new(), self.hold).await?;
                Err(DriveError::Stopped { plan: id, cause })
            }
            End::TimedOut => {
                let message = "its subplans ran out of time and were stopped".to_owned();
                let failure = failures::failure("timeout", message, failures::retry_hint(id), true);
                Ok(Outcome::Over(driver.parts.lifecycle.fail(id, failure, None, Vec::new()).await?))
            }
        }
    }

    /// Something failed that is nobody's work: the rest is let go of. The plan stays as it is if the
    /// store or the lock failed, and whoever drives it next carries on; else it says why.
    pub(super) async fn give_way(mut self, error: DriveError) -> Result<Outcome, DriveError> {
        self.drain().await;
        let (driver, id) = (self.driver, self.plan.id);
        match error {
            error if is_trouble(&error) => {
                let hint = failures::retry_hint(id);
                let failure = failures::failure("subplan_not_run", error.to_string(), hint, true);
                driver.parts.lifecycle.fail(id, failure, None, Vec::new()).await?;
                Err(error)
            }
            DriveError::Stopped { cause, .. } => {
                driver.record_stop(id, cause, Vec::new(), self.hold).await?;
                Err(DriveError::Stopped { plan: id, cause })
            }
            error => Err(error),
        }
    }
}

/// Whether that concerns one child and no other: git, places, or where the child is.
pub(super) const fn is_trouble(error: &DriveError) -> bool {
    matches!(
        error,
        DriveError::Lifecycle(LifecycleError::Refused(_))
            | DriveError::Workspace(_)
            | DriveError::NoPlace { .. }
            | DriveError::Places(_)
    )
}
