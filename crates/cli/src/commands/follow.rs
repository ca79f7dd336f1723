//! `agents plan log --follow`: what the commands of a plan print, for as long as somebody drives it.
//!
//! ```text
//! look at the plan ─ over? ─ read the log to its end ─ … ─ pause ─ look again
//! ```
//!
//! First the look, then the read: what was printed before the end that is seen is always shown.
//! Over is a plan whose lock no living process holds: between two attempts, or while it waits for a
//! place or a project, its driver holds it. Nothing is locked, and nothing is asked of the driver.

use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::lock::Liveness;
use agents_domain::plan::State;
use agents_domain::reads::PlanView;
use agents_infrastructure::process::LogFollower;
use serde_json::json;

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::{plan, resolve};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Heard, Live, Report};
use crate::signals::Signals;

/// Between two looks.
const POLL: Duration = Duration::from_millis(250);

/// Follows one attempt, or the plan from its newest attempt on.
pub fn follow(app: App, plan: &PlanRef, only: Option<u32>) -> Result<Report, Failure> {
    let view = resolve::view(&app, resolve::plan(&app, plan)?)?;
    let attempt = match plan::attempt_with_log(&app, &view, only) {
        Ok(attempt) => attempt,
        // Its driver has just begun, or waits.
        Err(_) if only.is_none_or(|only| only == view.record.attempt) && is_driven(&app, &view) => {
            only.unwrap_or(view.record.attempt)
        }
        Err(failure) => return Err(failure),
    };
    let id = view.record.id;
    let stop = app.stop.clone();
    let signals = app.block_on(async { Signals::listen(stop) })?;
    let log = LogFollower::new(&app.files.paths(id, attempt).log);
    let data = json!({ "plan_id": id.as_str(), "attempt": attempt });
    let following = Following {
        app,
        plan: id,
        attempt,
        only: only.is_some(),
        log,
        signals,
        said: false,
        then: Then::Look,
        words: vec![],
    };
    Ok(Report { body: Body::Live(Box::new(following)), ..Report::of(data) })
}

/// Whether a process that is not known to be gone holds the plan.
fn is_driven(app: &App, view: &PlanView) -> bool {
    view.lock.as_ref().is_some_and(|lock| match app.liveness(&lock.holder) {
        Liveness::Alive => true,
        Liveness::Dead => false,
        Liveness::Unknown => !lock.stale,
    })
}

/// What follows once the log has been read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Look,
    Next,
    Over,
}

struct Following {
    app: App,
    plan: PlanId,
    attempt: u32,
    only: bool,
    log: LogFollower,
    signals: Signals,
    /// Whether it was said which attempt it is.
    said: bool,
    then: Then,
    words: Vec<String>,
}

impl Following {
    /// What there is to do once the log is at its end.
    fn look(&mut self) -> std::io::Result<Then> {
        let found = self.app.block_on(self.app.store.reads().status(self.plan));
        let Some(view) = found.map_err(std::io::Error::other)? else { return Ok(Then::Over) };
        let (newest, processing) = (view.record.attempt, view.record.state() == State::Processing);
        let driven = is_driven(&self.app, &view);
        if processing && !driven {
            let id = self.plan;
            self.words = vec![format!("plan {id} has no driver any more; take over: agents recover")];
        }
        let goes_on = driven && (!self.only || (processing && newest == self.attempt));
        Ok(match (self.only, newest > self.attempt) {
            (false, true) => Then::Next,
            _ if goes_on => Then::Look,
            _ => Then::Over,
        })
    }

    /// Lets signals be heard, at most so long.
    fn listen(&self, length: Duration) {
        self.app.block_on(async {
            tokio::select! {
                biased;
                _ = self.app.stop.stopped() => {}
                () = pass(length) => {}
            }
        });
    }

    fn turn_to(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.log = LogFollower::new(&self.app.files.paths(self.plan, attempt).log);
        (self.then, self.said) = (Then::Look, false);
    }
}

/// Passes time; even none lets the runtime look at what has come.
async fn pass(length: Duration) {
    if length.is_zero() {
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(length).await;
    }
}

impl Live for Following {
    fn hear(&mut self, buffer: &mut [u8]) -> std::io::Result<Heard> {
        loop {
            if !self.said {
                self.said = true;
                return Ok(Heard::Attempt(self.attempt));
            }
            self.listen(Duration::ZERO);
            if self.app.stop.requested().is_some() {
                return Ok(Heard::Over);
            }
            let count = self.log.read(buffer)?;
            if count > 0 {
                return Ok(Heard::Bytes(count));
            }
            match self.then {
                Then::Over => return Ok(Heard::Over),
                Then::Next => self.turn_to(self.attempt + 1),
                Then::Look => {
                    self.then = self.look()?;
                    if self.then == Then::Look {
                        self.listen(POLL);
                    }
                }
            }
        }
    }

    fn plan_id(&self) -> String {
        self.plan.to_string()
    }

    fn exit(&self) -> Exit {
        if self.app.stop.requested().is_some() { self.signals.exit() } else { Exit::Done }
    }

    fn last_words(&self) -> Vec<String> {
        self.words.clone()
    }
}
