//! A child's work becomes its parent's: the child's apply phase, under both locks.
//!
//! The parent's lock is held by the scheduler, the child's is taken second, as everywhere. The target
//! is the parent's plan branch, so merge, intent and marker are those of any plan: it moves once,
//! whoever does it.

use std::collections::BTreeMap;

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Failure, Phase, Plan, State};
use agents_domain::subplan::{MergePolicy, NodeId};

use super::scheduling::{Handed, Scheduling, is_trouble};
use crate::driver::landing::Terms;
use crate::driver::recovery::Found;
use crate::driver::{DriveError, PhaseDriver, is_at};
use crate::lifecycle::LifecycleError;
use crate::lock_service::LockGuard;

/// So often a merge is begun again because somebody took the child, or was asked to let go of it.
const TRIES: u32 = 3;

impl Scheduling<'_> {
    /// Merges a child that has done its work, and tells what came of it.
    pub(super) async fn merge(&mut self, node: NodeId) -> Result<(), DriveError> {
        let driver = self.driver.for_child(self.driver.parts.stop.clone());
        let id = self.child(node).id;
        let mut handed = self.handed.take_if(|handed| handed.node == node);
        if let Some(lost) = handed.take_if(|handed| handed.hold.is_lost()) {
            driver.let_go(lost.hold).await;
        }
        for _ in 0..TRIES {
            let (plan, hold) = match handed.take() {
                Some(Handed { plan, hold, .. }) => (Some(plan), hold),
                None => (None, driver.hold_below(id, "merge into its parent", self.hold).await?),
            };
            let outcome = Box::pin(self.merge_held(&driver, node, plan, &hold)).await;
            match driver.end(id, hold, outcome).await {
                Ok(child) => return self.merged_or_not(node, &child).await,
                Err(error) if is_trouble(&error) => {
                    self.meet(node, error);
                    self.scheduler.conflicted(node);
                    return Ok(());
                }
                Err(DriveError::Stopped { .. } | DriveError::Lifecycle(LifecycleError::LeaseLost { .. }))
                    if self.asked().is_none() =>
                {
                    // It was the child that somebody wanted something of, or has: look again.
                }
                Err(DriveError::Stopped { cause, .. }) => {
                    return Err(DriveError::Stopped { plan: self.plan.id, cause });
                }
                Err(error) => return Err(error),
            }
        }
        let child = self.driver.parts.lifecycle.load(id).await?;
        self.merged_or_not(node, &child).await
    }

    async fn merged_or_not(&mut self, node: NodeId, child: &Plan) -> Result<(), DriveError> {
        match child.state() {
            State::Applied => {
                self.tell_merged(child).await?;
                self.scheduler.merged(node);
            }
            State::Cancelled => self.scheduler.cancelled(node),
            _ => {
                self.tell_conflicted(child).await?;
                self.scheduler.conflicted(node);
            }
        }
        Ok(())
    }

    /// `known`: the child as it is, under the hold in which it did its work.
    async fn merge_held(
        &self,
        driver: &PhaseDriver,
        node: NodeId,
        known: Option<Plan>,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let id = self.child(node).id;
        let lifecycle = &driver.parts.lifecycle;
        let child = match known {
            Some(child) => child,
            None => driver.recovered(id, hold, Found::PutAway).await?,
        };
        driver.heed_earlier(&child).await?;
        let child = match (child.phase(), child.state()) {
            (Phase::Apply, State::Errored | State::Constrained) => {
                lifecycle.retry_from(id, BTreeMap::new(), false).await?
            }
            (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => child,
            _ => return Ok(child),
        };
        if is_at(&child, Phase::Execute, State::Complete) && changed_nothing(&child) {
            driver.heed(id, hold).await?;
            return Ok(lifecycle.pass_apply(id, self.hold).await?);
        }
        let definition = lifecycle.definition(id).await?;
        let settings = self.definition.action.subplan_settings();
        let terms = Terms { allow_empty: true, exclusive: settings.merge == MergePolicy::FailOnConflict };
        driver.land_locked(child, &definition, hold, self.hold, terms).await
    }

    /// The parent's log says that the work is its own by now.
    pub(super) async fn tell_merged(&mut self, child: &Plan) -> Result<(), DriveError> {
        let landed = child.landings().map(|landing| &landing.intent);
        let tips: BTreeMap<Name, Oid> =
            landed.map(|intent| (intent.project.clone(), intent.new.clone())).collect();
        let lifecycle = &self.driver.parts.lifecycle;
        self.plan = lifecycle.merged(self.plan.id, child.id, name(child), tips).await?;
        Ok(())
    }

    async fn tell_conflicted(&mut self, child: &Plan) -> Result<(), DriveError> {
        let failure = child.failure.clone().unwrap_or_else(|| Failure {
            code: "not_merged".to_owned(),
            message: format!("it is in {}", child.stage),
            hint: None,
            retryable: true,
        });
        let lifecycle = &self.driver.parts.lifecycle;
        self.plan = lifecycle.conflicted(self.plan.id, child.id, name(child), failure).await?;
        Ok(())
    }
}

/// Whether there is nothing to merge, whatever git says of the parent's branch.
fn changed_nothing(child: &Plan) -> bool {
    child.projects.iter().all(|facts| facts.tip.is_none())
}

fn name(child: &Plan) -> String {
    child.subplan.as_ref().map(|subplan| subplan.name.clone()).unwrap_or_default()
}
