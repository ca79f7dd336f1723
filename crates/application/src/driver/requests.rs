//! Requests: cancelling a plan whoever holds it, and heeding what others ask of us.
//!
//! ```text
//! asker:   hold? ── another's ── ask ── … ── cancelled by its holder: done
//!                                        └── the lock is free, or its holder dead: cancels itself
//!                                        └── no answer in time: said so; the request stays open
//! holder:  at each tick and between any two steps: asked? ── stop the command ── save ── cancel
//! ```
//!
//! Whoever takes the lock of a plan serves what was asked of its holder before anything else.

use std::pin::Pin;

use agents_domain::id::PlanId;
use agents_domain::lock::{Conflict, LockError, LockKey};
use agents_domain::plan::{Change, Plan, State, Step, Work, next};
use agents_domain::request::{Request, Wish};
use agents_domain::runner::StopCause;
use agents_domain::time::BootInstant;

use super::recovery::Found;
use super::{DriveError, PhaseDriver};
use crate::lifecycle::LifecycleError;
use crate::lock_service::{LockGuard, Wait};
use crate::subplan_service::Family;

impl PhaseDriver {
    /// `plan prompt`: guidance for the next attempt, or the answer to a question. A plan that another
    /// process holds is waited for as long as is waited for plans.
    pub async fn prompt(&self, plan: PlanId, text: String) -> Result<Plan, DriveError> {
        let hold = self.hold(plan, "plan prompt").await?;
        let outcome = self.parts.lifecycle.prompt(plan, text).await;
        self.end(plan, hold, outcome.map_err(DriveError::from)).await
    }

    /// `plan cancel`: gives up a plan and all that are below it, leaves first. Held by another: its
    /// holder is asked, with those of the whole tree, and waited for. With `keep_landed` also a plan
    /// of which a part has landed, knowingly.
    pub async fn cancel(
        &self,
        plan: PlanId,
        reason: Option<String>,
        keep_landed: bool,
    ) -> Result<Plan, DriveError> {
        let mut asked_at: Option<BootInstant> = None;
        loop {
            let refused = match self.lifecycle().hold(plan, "plan cancel", Wait::No).await {
                Ok(hold) => return self.cancel_held(plan, hold, reason, keep_landed).await,
                Err(LifecycleError::Lock { source, .. }) => source,
                Err(error) => return Err(error.into()),
            };
            let held = match &refused {
                LockError::Conflict(Conflict(held)) => Some(held.clone()),
                // Free for a moment: whoever takes it next is asked.
                LockError::Queued(_) => None,
                _ => return Err(LifecycleError::Lock { plan, source: refused }.into()),
            };
            let now = self.parts.clock.boottime();
            if let Some(since) = asked_at {
                let found = self.lifecycle().load(plan).await?;
                if found.state() == State::Cancelled {
                    return Ok(found);
                }
                if now.since(since) >= self.parts.patience {
                    return Err(match held {
                        Some(held) => DriveError::NoAnswer { plan, held },
                        None => LifecycleError::Lock { plan, source: refused }.into(),
                    });
                }
            } else {
                self.ask_to_cancel(plan, keep_landed, reason.clone(), true).await?;
                if let Some(held) = &held {
                    self.lifecycle().observer().asked(held);
                }
                asked_at = Some(now);
            }
            tokio::select! {
                biased;
                cause = self.parts.stop.stopped() => return Err(DriveError::Stopped { plan, cause }),
                () = self.lifecycle().locks().pause() => {}
            }
        }
    }

    async fn cancel_held(
        &self,
        plan: PlanId,
        hold: LockGuard,
        reason: Option<String>,
        keep_landed: bool,
    ) -> Result<Plan, DriveError> {
        let work = async {
            let plan = self.recovered(plan, &hold, Found::PutAway).await?;
            let plan = self.finish_open(plan, &hold).await?;
            if next(&plan, &cancelled(keep_landed), self.parts.clock.now()).is_ok() {
                // Should this process die halfway, whoever comes next finds what was wanted.
                self.ask_to_cancel(plan.id, keep_landed, reason.clone(), false).await?;
            }
            self.give_up_below(&plan, &cancelled(keep_landed), reason.as_deref()).await?;
            Ok(self.lifecycle().cancel(plan.id, reason, keep_landed, Vec::new()).await?)
        };
        let outcome = work.await;
        if outcome.is_ok() {
            self.close_cancellations(plan, "cancelled").await;
        }
        self.let_go(hold).await;
        outcome
    }

    /// Asks the holder of a plan, and those of all that are below it that may still run: in one
    /// transaction, the plan itself first. `alone`: also if there is nobody below.
    async fn ask_to_cancel(
        &self,
        plan: PlanId,
        keep_landed: bool,
        reason: Option<String>,
        alone: bool,
    ) -> Result<(), DriveError> {
        let family = self.parts.subplans.family(plan).await.map_err(LifecycleError::from)?;
        let below = unsettled(&family);
        if below.is_empty() && !alone {
            return Ok(());
        }
        let keys = std::iter::once(plan).chain(below).map(LockKey::Plan).collect();
        let wish = Wish::Cancel { keep_landed };
        self.lifecycle().locks().ask_all(keys, wish, reason).await.map_err(LifecycleError::from)?;
        Ok(())
    }

    /// Gives up what is below a plan that is about to change so; nothing, if that will be refused.
    pub(super) async fn give_up_below(
        &self,
        plan: &Plan,
        change: &Change,
        reason: Option<&str>,
    ) -> Result<(), DriveError> {
        match next(plan, change, self.parts.clock.now()) {
            Ok(Step::Moved(_)) => self.cancel_children(plan.id, reason).await,
            Ok(Step::AlreadySo) | Err(_) => Ok(()),
        }
    }

    /// Gives up whatever is below a plan and has not settled, leaves first. What is already part of
    /// the work above stays there.
    pub(super) async fn cancel_children(&self, plan: PlanId, reason: Option<&str>) -> Result<(), DriveError> {
        let family = self.parts.subplans.family(plan).await.map_err(LifecycleError::from)?;
        self.cancel_those(&unsettled(&family), reason.unwrap_or("its parent was cancelled")).await?;
        for settled in family.members().iter().filter(|view| view.record.state().is_terminal()) {
            // Whoever cancelled it may have died before saying so.
            self.close_cancellations(settled.record.id, answer_of(settled.record.state())).await;
        }
        Ok(())
    }

    /// Gives up these plans, the last first.
    pub(super) async fn cancel_those(&self, plans: &[PlanId], reason: &str) -> Result<(), DriveError> {
        for plan in plans.iter().rev() {
            if let Err(error) = self.cancel_later(*plan, reason.to_owned()).await {
                // Its landing was decided, and is carried out first; or somebody was faster.
                if !self.lifecycle().load(*plan).await?.state().is_terminal() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// A future of a known type, so that cancelling may lead to cancelling.
    fn cancel_later(
        &self,
        plan: PlanId,
        reason: String,
    ) -> Pin<Box<dyn Future<Output = Result<Plan, DriveError>> + Send + '_>> {
        Box::pin(self.cancel(plan, Some(reason), true))
    }

    /// What was asked of the holder of a plan before we took its lock.
    pub(super) async fn heed_earlier(&self, plan: &Plan) -> Result<(), DriveError> {
        if plan.state().is_terminal() {
            // Whoever brought it there may have died before saying so.
            self.close_cancellations(plan.id, answer_of(plan.state())).await;
            return Ok(());
        }
        let open = self.lifecycle().locks().open_requests(&LockKey::Plan(plan.id)).await;
        let open = open.map_err(LifecycleError::from)?;
        match open.iter().find(|request| matches!(request.wish, Wish::Cancel { .. })) {
            Some(request) => self.cancel_as_asked(plan.id, request, Vec::new()).await,
            None => Ok(()),
        }
    }

    /// What was asked of us meanwhile; to be called between any two steps.
    pub(super) async fn heed(&self, plan: PlanId, hold: &LockGuard) -> Result<(), DriveError> {
        match hold.request() {
            None => Ok(()),
            Some(request) if matches!(request.wish, Wish::Cancel { .. }) => {
                self.cancel_as_asked(plan, &request, Vec::new()).await
            }
            Some(_) => Err(DriveError::Stopped { plan, cause: StopCause::Asked }),
        }
    }

    /// Cancels, and says so by the error. If a plan cannot be cancelled where it is, the request
    /// is answered so and the plan goes on.
    async fn cancel_as_asked(
        &self,
        plan: PlanId,
        request: &Request,
        work: Vec<Work>,
    ) -> Result<(), DriveError> {
        let keep_landed = matches!(request.wish, Wish::Cancel { keep_landed: true });
        let found = self.lifecycle().load(plan).await?;
        let cancelled = async {
            self.give_up_below(&found, &cancelled(keep_landed), request.reason.as_deref()).await?;
            Ok(self.lifecycle().cancel(plan, request.reason.clone(), keep_landed, work).await?)
        };
        match cancelled.await {
            Ok(_) => {
                self.close(request, "cancelled").await;
                Err(DriveError::Stopped { plan, cause: StopCause::Cancelled })
            }
            // Its own refusal, or that of one below whose landing is open: the plan goes on and
            // finishes it. A request that stayed open would keep everybody from doing so.
            Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) => {
                self.close(request, &format!("refused: {}", refusal.reason)).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// A command was stopped because its plan is to be cancelled: does that, with its work. `Ok`:
    /// the plan cannot be cancelled where it is.
    pub(super) async fn cancel_stopped(
        &self,
        plan: PlanId,
        hold: &LockGuard,
        work: Vec<Work>,
    ) -> Result<(), DriveError> {
        match hold.request() {
            Some(request) => self.cancel_as_asked(plan, &request, work).await,
            None => Err(DriveError::Stopped { plan, cause: StopCause::Cancelled }),
        }
    }

    /// The end of a command: what was asked of us meanwhile and is not done yet is done, or
    /// answered.
    pub(super) async fn answer(
        &self,
        plan: PlanId,
        hold: &LockGuard,
        outcome: Result<Plan, DriveError>,
    ) -> Result<Plan, DriveError> {
        let outcome = match outcome {
            Err(DriveError::Stopped { cause: StopCause::Cancelled, .. }) => {
                match self.cancel_stopped(plan, hold, Vec::new()).await {
                    Ok(()) => outcome,
                    Err(error) => Err(error),
                }
            }
            outcome => outcome,
        };
        // Also what the heartbeat has not heard of yet: nobody will, once this is over.
        if let Ok(plan) = &outcome
            && plan.state() == State::Applied
        {
            self.close_cancellations(plan.id, "too late: it is applied").await;
        }
        outcome
    }

    /// Once the locks are given back: whoever asked for that has got it.
    pub(super) async fn answer_let_go(&self, asked: Option<Request>) {
        if let Some(request) = asked.filter(|request| matches!(request.wish, Wish::LetGo { .. })) {
            self.close(&request, "let go").await;
        }
    }

    pub(super) async fn close_cancellations(&self, plan: PlanId, outcome: &str) {
        let open = self.lifecycle().locks().open_requests(&LockKey::Plan(plan)).await.unwrap_or_default();
        for request in open.iter().filter(|request| matches!(request.wish, Wish::Cancel { .. })) {
            self.close(request, outcome).await;
        }
    }

    /// An answer that cannot be stored changes nothing: whoever asked sees the plan itself.
    async fn close(&self, request: &Request, outcome: &str) {
        if let Err(error) = self.lifecycle().locks().close(request, outcome).await {
            tracing::warn!(%error, outcome, "a request could not be answered");
        }
    }
}

const fn cancelled(keep_landed: bool) -> Change {
    Change::Cancelled { reason: None, keep_landed, work: Vec::new(), given_up: None }
}

/// What a plan at its end answers to whoever asked to cancel it.
const fn answer_of(end: State) -> &'static str {
    if matches!(end, State::Cancelled) { "cancelled" } else { "too late: it is applied" }
}

/// Those of a family of which something may still come, each after its parent.
pub(super) fn unsettled(family: &Family) -> Vec<PlanId> {
    let members = family.members().iter().filter(|view| !view.record.state().is_terminal());
    members.map(|view| view.record.id).collect()
}
