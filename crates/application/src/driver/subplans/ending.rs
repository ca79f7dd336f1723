//! What a parent comes to when its children have settled, or wait for a person.

use agents_domain::id::PlanId;
use agents_domain::lock::{Conflict, LockError, LockKey};
use agents_domain::plan::{Failure, Parked, Plan, State};
use agents_domain::request::Wish;
use agents_domain::subplan::{Cause, GivenUp, NodeId, Status};

use super::ready::FAILED;
use super::scheduling::{Outcome, Scheduling};
use crate::driver::recovery::Found;
use crate::driver::{DriveError, PhaseDriver, failures};
use crate::lifecycle::LifecycleError;
use crate::lock_service::{LockGuard, Wait};

impl Scheduling<'_> {
    /// Nothing runs, and nothing is to be done.
    pub(super) async fn settle(self) -> Result<Outcome, DriveError> {
        let (lifecycle, id) = (&self.driver.parts.lifecycle, self.plan.id);
        let totals = self.scheduler.totals();
        if totals.conflicted > 0 {
            let failure = self.conflict().await?;
            return Ok(Outcome::Over(lifecycle.fail(id, failure, None, Vec::new()).await?));
        }
        if totals.parked > 0 {
            let cause = self.questions().await?;
            let waits = Parked { until: None, input: None, cause };
            return Ok(Outcome::Over(lifecycle.park(id, waits, Vec::new()).await?));
        }
        match self.failed() {
            Some(failure) => Ok(Outcome::Over(lifecycle.fail(id, failure, None, Vec::new()).await?)),
            None => Ok(Outcome::Merged(self.plan)),
        }
    }

    fn those(&self, wanted: impl Fn(Status) -> bool) -> Vec<NodeId> {
        self.nodes().into_iter().filter(|node| wanted(self.scheduler.status(*node))).collect()
    }

    fn names(&self, nodes: &[NodeId]) -> String {
        const SHOWN: usize = 10;
        let shown: Vec<_> =
            nodes.iter().take(SHOWN).map(|node| format!("`{}`", self.child(*node).name)).collect();
        match nodes.len().saturating_sub(SHOWN) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// The failure of a plan that a person must help: which work does not go together.
    async fn conflict(&self) -> Result<Failure, DriveError> {
        let (id, branch) = (self.plan.id, self.plan.branch());
        let (mut lines, mut conflicts) = (Vec::new(), Vec::new());
        for node in self.those(|status| status == Status::Conflicted) {
            let child = self.driver.parts.lifecycle.load(self.child(node).id).await?;
            let failure = child.failure.clone();
            if failure.as_ref().is_some_and(|failure| failure.code == "conflict") {
                conflicts.push(child.branch());
            }
            let why = failure.map_or_else(|| child.stage.to_string(), |failure| failure.message);
            lines.push(format!("`{}` ({}): {why}", self.child(node).name, child.branch()));
        }
        if let Some(failed) = self.failed() {
            lines.push(failed.message);
        }
        let code = if conflicts.is_empty() { "subplan_not_merged" } else { "conflict" };
        let message = format!("the work of subplans does not go together:\n{}", lines.join("\n"));
        let merge = conflicts.iter().map(|child| format!("merge {child} into {branch}"));
        let hint = if conflicts.is_empty() {
            failures::retry_hint(id)
        } else {
            let merge = merge.collect::<Vec<_>>().join(", ");
            format!("{merge} in any checkout and commit, then: agents plan retry {id}")
        };
        Ok(failures::failure(code, message, hint, false))
    }

    /// What the parent waits for, with the command that answers.
    async fn questions(&self) -> Result<String, DriveError> {
        let mut lines = Vec::new();
        for node in self.those(|status| status == Status::Parked) {
            let child = self.driver.parts.lifecycle.load(self.child(node).id).await?;
            let (name, parked) = (&self.child(node).name, child.parked.as_ref());
            lines.push(match parked.and_then(|parked| parked.input.as_ref()) {
                Some(question) => {
                    format!("subplan `{name}` asks: {question} (agents plan prompt {} \"…\")", child.id)
                }
                // A child of its own asks.
                None => parked.map(|parked| format!("`{name}`: {}", parked.cause)).unwrap_or_default(),
            });
        }
        Ok(lines.join("\n"))
    }

    /// The failure of a plan some of whose children have not succeeded. What a person gave up, and
    /// what depends on that, was given up knowingly.
    fn failed(&self) -> Option<Failure> {
        let failed = self.those(|status| status == Status::Failed);
        if failed.is_empty() {
            return None;
        }
        let given_up = self.those(|status| {
            matches!(status, Status::Cancelled(Cause::Skipped { by } | Cause::FailFast { by })
                if self.scheduler.status(by) == Status::Failed)
        });
        let (count, total) = (failed.len(), self.children.len());
        let mut message = format!("{count} of {total} subplans failed: {}", self.names(&failed));
        if !given_up.is_empty() {
            message = format!("{message}; given up because of that: {}", self.names(&given_up));
        }
        let hint = format!("agents plan retry {} --only-failed", self.plan.id);
        Some(failures::failure(FAILED, message, hint, false))
    }
}

impl PhaseDriver {
    /// Records why a child is given up, with all that is below it; one that has settled stays so.
    pub(super) async fn give_up_child(&self, child: PlanId, given_up: GivenUp) -> Result<(), DriveError> {
        let driver = self.for_child(self.parts.stop.clone());
        let hold = driver.hold_soon(child).await?;
        let work = async {
            let plan = driver.recovered(child, &hold, Found::PutAway).await?;
            if plan.state().is_terminal() {
                return Ok(plan);
            }
            driver.cancel_children(child, Some(&given_up.reason())).await?;
            Ok(driver.parts.lifecycle.give_up(child, given_up).await?)
        };
        let outcome: Result<Plan, DriveError> = work.await;
        driver.let_go(hold).await;
        let plan = outcome?;
        debug_assert!(plan.state() == State::Cancelled || plan.state() == State::Applied);
        Ok(())
    }

    /// The lock of a child that is to end: whoever runs it is asked to let go of it first.
    async fn hold_soon(&self, child: PlanId) -> Result<LockGuard, DriveError> {
        let lifecycle = self.lifecycle();
        match lifecycle.hold(child, "give up", Wait::No).await {
            Err(LifecycleError::Lock { source: LockError::Conflict(Conflict(held)), .. }) => {
                let wish = Wish::LetGo { token: held.token };
                let asked = lifecycle.locks().ask(LockKey::Plan(child), wish, None).await;
                asked.map_err(LifecycleError::from)?;
                lifecycle.observer().asked(&held);
            }
            Err(LifecycleError::Lock { source: LockError::Queued(_), .. }) => {}
            outcome => return Ok(outcome?),
        }
        self.hold(child, "give up").await
    }
}
