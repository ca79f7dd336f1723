//! What a scheduler hears beside the ends of its children: what is asked of its plan, and answers of
//! persons to children that wait for them.

use agents_domain::id::PlanId;
use agents_domain::plan::State;
use agents_domain::runner::StopCause;
use agents_domain::subplan::{NodeId, Status};

use super::running::needs_a_person;
use super::scheduling::{End, Scheduling};
use crate::driver::{DriveError, stop_cause};

/// So many short pauses lie between two looks at a child that waits for a person.
const LOOKS: u32 = 10;

impl Scheduling<'_> {
    /// Whether the plan is to stop now.
    pub(super) fn asked(&self) -> Option<End> {
        let lost = self.hold.is_lost().then_some(StopCause::LeaseLost);
        let request = || self.hold.request().map(|request| stop_cause(&request));
        lost.or_else(|| self.driver.parts.stop.requested()).or_else(request).map(End::Stopped)
    }

    /// The children that wait for a person.
    fn waiting(&self) -> Vec<NodeId> {
        let waits =
            |node: &NodeId| self.scheduler.status(*node) == Status::Parked && !self.troubled.contains(node);
        self.nodes().into_iter().filter(waits).collect()
    }

    /// Resolves when one of them waits no longer.
    pub(super) fn answered(&self) -> impl Future<Output = ()> + Send + use<> {
        let waiting: Vec<PlanId> = self.waiting().into_iter().map(|node| self.child(node).id).collect();
        let lifecycle = self.driver.parts.lifecycle.clone();
        async move {
            if waiting.is_empty() {
                return std::future::pending().await;
            }
            loop {
                for _ in 0..LOOKS {
                    lifecycle.locks().pause().await;
                }
                for child in &waiting {
                    if lifecycle.load(*child).await.is_ok_and(|child| !needs_a_person(&child)) {
                        return;
                    }
                }
            }
        }
    }

    /// Lets those go on that wait for a person no longer; whether there was one.
    pub(super) async fn hear_answers(&mut self) -> Result<bool, DriveError> {
        let mut heard = false;
        for node in self.waiting() {
            let child = self.driver.parts.lifecycle.load(self.child(node).id).await?;
            if needs_a_person(&child) {
                continue;
            }
            heard = true;
            match child.state() {
                State::Cancelled => self.scheduler.cancelled(node),
                _ => self.scheduler.answered(node),
            }
        }
        Ok(heard)
    }
}
