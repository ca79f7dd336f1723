//! What a parent comes to when its children have settled, or wait for a person.

use agents_domain::id::PlanId;
use agents_domain::lock::{LockFilter, LockKey};
use agents_domain::plan::{Failure, Parked, Plan};
use agents_domain::request::{Request, Wish};
use agents_domain::subplan::{Cause, GivenUp, NodeId, Status};

use super::ready::FAILED;
use super::scheduling::{Outcome, Scheduling};
use crate::driver::recovery::Found;
use crate::driver::{DriveError, PhaseDriver, failures};
use crate::lifecycle::LifecycleError;
use crate::lock_service::LockGuard;
use crate::subplan_service::{CONFLICT, NOT_MERGED, is_torn};

impl Scheduling<'_> {
    /// Nothing runs, and nothing is to be done.
    pub(super) async fn settle(self) -> Result<Outcome, DriveError> {
        let (lifecycle, id) = (&self.driver.parts.lifecycle, self.plan.id);
        let torn = self.torn().await?;
        if !torn.is_empty() {
            let failure = self.conflict(&torn);
            return Ok(Outcome::Over(lifecycle.fail(id, failure, None, Vec::new()).await?));
        }
        if let Some(error) = self.trouble.clone() {
            return self.give_way(error).await;
        }
        if self.scheduler.totals().parked > 0 {
            let cause = self.questions().await?;
            let waits = Parked { until: None, input: None, cause };
            return Ok(Outcome::Over(lifecycle.park(id, waits, Vec::new()).await?));
        }
        match self.failed() {
            Some(failure) => Ok(Outcome::Over(lifecycle.fail(id, failure, None, Vec::new()).await?)),
            None => Ok(Outcome::Merged(self.plan)),
        }
    }

    /// The children whose work does not go together with that of the others, or whose own children's
    /// does not.
    async fn torn(&self) -> Result<Vec<(NodeId, Plan)>, DriveError> {
        let mut torn = Vec::new();
        let held_up = |status| matches!(status, Status::Conflicted | Status::Parked);
        for node in self.those(held_up).into_iter().filter(|node| !self.troubled.contains(node)) {
            let child = self.driver.parts.lifecycle.load(self.child(node).id).await?;
            if self.scheduler.status(node) == Status::Conflicted || is_torn(&child) {
                torn.push((node, child));
            }
        }
        Ok(torn)
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
    fn conflict(&self, torn: &[(NodeId, Plan)]) -> Failure {
        let (id, branch) = (self.plan.id, self.plan.branch());
        let (mut lines, mut steps, mut merges) = (Vec::new(), Vec::new(), Vec::new());
        for (node, child) in torn {
            let (name, why) = (&self.child(*node).name, child.failure.as_ref());
            if is_torn(child) {
                steps.push(format!("resolve it in subplan `{name}` (agents plan why {})", child.id));
            } else if why.is_some_and(|failure| failure.code == CONFLICT) {
                merges.push(child.branch());
            }
            let why = why.map_or_else(|| child.stage.to_string(), |failure| failure.message.clone());
            lines.push(format!("`{name}` ({}): {why}", child.branch()));
        }
        lines.extend(self.failed().map(|failed| failed.message));
        if !merges.is_empty() {
            let remote = self.definition.projects.iter().find_map(|project| project.remote.as_ref());
            steps.push(match remote {
                Some(_) => failures::merge_by_hand(remote, &merges.join(", origin/"), &branch),
                None => failures::merge_by_hand(None, &merges.join(" and "), &branch),
            });
        }
        let code = if steps.is_empty() { NOT_MERGED } else { CONFLICT };
        let message = format!("the work of subplans does not go together:\n{}", lines.join("\n"));
        let hint = if steps.is_empty() {
            failures::retry_hint(id)
        } else {
            format!("{}, then: agents plan retry {id}", steps.join(", "))
        };
        failures::failure(code, message, hint, false)
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
        let given_up: Vec<NodeId> = self
            .nodes()
            .into_iter()
            .filter(|node| !failed.contains(node) && self.is_missing(*node))
            .collect();
        let (count, total) = (failed.len(), self.children.len());
        let message = match (failed.is_empty(), given_up.is_empty()) {
            (true, true) => return None,
            (false, true) => format!("{count} of {total} subplans failed: {}", self.names(&failed)),
            (false, false) => format!(
                "{count} of {total} subplans failed: {}; given up because of that: {}",
                self.names(&failed),
                self.names(&given_up)
            ),
            (true, false) => format!(
                "{} of {total} subplans were given up because of others: {}",
                given_up.len(),
                self.names(&given_up)
            ),
        };
        let hint = format!("agents plan retry {} --only-failed", self.plan.id);
        Some(failures::failure(FAILED, message, hint, false))
    }

    /// Whether the work of a child is missing that nobody gave up knowingly: also if what it was
    /// given up for has succeeded since.
    fn is_missing(&self, node: NodeId) -> bool {
        match self.scheduler.status(node) {
            Status::Failed => true,
            Status::Cancelled(Cause::Skipped { by } | Cause::FailFast { by }) => {
                match self.scheduler.status(by) {
                    Status::Cancelled(Cause::Asked) => false,
                    Status::Cancelled(_) if by != node => self.is_missing(by),
                    _ => true,
                }
            }
            _ => false,
        }
    }
}

impl PhaseDriver {
    /// Records why a child is given up, with all that is below it; one that has settled stays so.
    /// Whoever runs it is asked to let go of it. Nothing is written once the parent's lock is lost:
    /// another scheduler may want the child by then.
    pub(super) async fn give_up_child(
        &self,
        child: PlanId,
        given_up: GivenUp,
        parent: &LockGuard,
    ) -> Result<(), DriveError> {
        let driver = self.for_child(self.parts.stop.clone());
        let asked = driver.ask_to_let_go(child, &given_up).await?;
        let outcome = driver.give_up_held(child, given_up, parent).await;
        // Whoever was asked may have ended without a word, and whoever asked may want it no longer.
        driver.answer_let_go(asked).await;
        outcome
    }

    async fn give_up_held(
        &self,
        child: PlanId,
        given_up: GivenUp,
        parent: &LockGuard,
    ) -> Result<(), DriveError> {
        let hold = self.hold_below(child, "give up", parent).await?;
        let work = async {
            let plan = self.recovered(child, &hold, Found::PutAway).await?;
            if plan.state().is_terminal() {
                return Ok(());
            }
            self.cancel_children(child, Some(&given_up.reason())).await?;
            self.parts.lifecycle.give_up(child, given_up, parent).await?;
            self.close_cancellations(child, "given up").await;
            Ok(())
        };
        let outcome: Result<(), DriveError> = work.await;
        self.let_go(hold).await;
        outcome
    }

    /// Asks whoever else runs a child to let go of it, if somebody does.
    async fn ask_to_let_go(&self, child: PlanId, given_up: &GivenUp) -> Result<Option<Request>, DriveError> {
        let locks = self.lifecycle().locks();
        let key = LockKey::Plan(child);
        let filter = LockFilter { key: Some(key.clone()), stale_only: false };
        let held =
            locks.list(&filter).await.map_err(|source| LifecycleError::Lock { plan: child, source })?;
        let Some(held) = held.into_iter().find(|held| held.owner != locks.owner()) else { return Ok(None) };
        let (wish, reason) = (Wish::LetGo { token: held.token }, Some(given_up.reason()));
        let asked = locks.ask(key, wish, reason).await.map_err(LifecycleError::from)?;
        self.lifecycle().observer().asked(&held);
        Ok(Some(asked))
    }
}
