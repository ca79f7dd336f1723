//! What it comes to when a command asks to be run again later (exit 75).
//!
//! ```text
//! it asked a question         → parked until a person answers
//! it said when                → parked until then
//! it said neither: the policy names 75, attempts are left → another attempt, as for any failure
//!                  else       → parked for a minute
//! ```
//!
//! The command's own word goes before the policy: another attempt cannot answer a question, and
//! whoever knows when knows better than a back-off does.

use std::time::Duration;

use agents_domain::action::{PhaseSpec, RetryPolicy};
use agents_domain::files::{AttemptPaths, Later, When};
use agents_domain::plan::{Exit, Failure, Plan};
use agents_domain::runner::RunReport;
use agents_domain::time::Timestamp;

use super::attempt::End;
use super::{PhaseDriver, failures};

/// The child's wish to be run again later (`execution.md`, "The child"; `EX_TEMPFAIL`).
pub(super) const PARK: i32 = 75;
/// Until when, if the command does not say.
const DEFAULT_PAUSE: Duration = Duration::from_mins(1);

/// A plan that is to wait by its command's wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    /// Not before then.
    pub(super) until: Option<Timestamp>,
    /// The question that a person must answer first.
    pub(super) input: Option<String>,
    /// Why.
    pub(super) cause: String,
    /// What it is if it counts as a failure: the command said neither when nor what it waits for.
    pub(super) bare: Option<Failure>,
}

impl PhaseDriver {
    /// What a command asked for that ended with [`PARK`].
    pub(super) async fn wish(
        &self,
        plan: &Plan,
        purpose: &str,
        report: &RunReport,
        paths: &AttemptPaths,
    ) -> Wish {
        let said = self.parts.files.said(paths).await.unwrap_or_else(|error| {
            self.warn(&format!("what {purpose} said cannot be read: {error}"));
            agents_domain::files::Said::default()
        });
        if let Some(ignored) = said.ignored {
            self.warn(&ignored);
        }
        let now = self.parts.clock.now();
        let asked = || format!("{purpose} asked to be run again later (exit {PARK})");
        match said.later {
            Some(Later::Answer { question }) => {
                let cause = format!("{purpose} needs an answer (exit {PARK})");
                Wish { until: None, input: Some(question), cause, bare: None }
            }
            Some(Later::Time { when, reason }) => {
                let bare = (when == When::Unsaid && reason.is_none())
                    .then(|| failures::of_report(plan.id, purpose, report))
                    .flatten();
                let cause = reason.unwrap_or_else(asked);
                Wish { until: Some(moment(when, now)), input: None, cause, bare }
            }
            None => {
                let bare = failures::of_report(plan.id, purpose, report);
                Wish { until: Some(now.plus(DEFAULT_PAUSE)), input: None, cause: asked(), bare }
            }
        }
    }
}

fn moment(when: When, now: Timestamp) -> Timestamp {
    match when {
        When::In(pause) => now.plus(pause),
        When::At(moment) => moment,
        When::Unsaid => now.plus(DEFAULT_PAUSE),
    }
}

/// The pause before another attempt, if the action's own policy wants one. A bare wish to be run
/// later then counts as the failure that it names by its code.
pub(super) fn another_attempt(spec: &PhaseSpec, end: &mut End, tries: u32) -> Option<Duration> {
    let policy = spec.retry.as_ref().filter(|policy| tries < policy.max_attempts)?;
    if let End::Parked(Wish { bare: Some(failure), .. }) = end
        && policy.on_exit.contains(&PARK)
    {
        *end = End::Failed(failure.clone(), Some(Exit::Code(PARK)));
    }
    match end {
        End::Failed(_, Some(Exit::Code(code))) if is_worth_it(policy, *code) => Some(policy.pause(tries)),
        _ => None,
    }
}

fn is_worth_it(policy: &RetryPolicy, code: i32) -> bool {
    policy.on_exit.is_empty() || policy.on_exit.contains(&code)
}
