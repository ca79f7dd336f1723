//! Commands that come to what a test wrote down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use agents_domain::id::PlanId;
use agents_domain::runner::{
    Children, Ended, Invocation, PhaseRunner, RunError, RunReport, StopSignal, Urgency,
};
use async_trait::async_trait;

use super::{Gate, locked};

/// What one command comes to.
///
/// ```
/// use agents_infrastructure::scripted::{Gate, Scripted};
///
/// let gate = Gate::default();
/// let slow_failure = Scripted::exits(3).saying("no such file").behind(&gate);
/// # let _ = slow_failure;
/// ```
#[derive(Debug, Clone)]
pub struct Scripted {
    outcome: Result<RunReport, RunError>,
    gate: Option<Gate>,
    deaf: bool,
}

impl Scripted {
    /// It exits by itself with this code.
    pub fn exits(code: i32) -> Self {
        Self::ends(Ended::Exited(code))
    }

    /// It ends in this way.
    pub fn ends(ended: Ended) -> Self {
        Self { outcome: Ok(RunReport { ended, tail: String::new() }), gate: None, deaf: false }
    }

    /// It does not even start.
    pub fn does_not_run(error: RunError) -> Self {
        Self { outcome: Err(error), gate: None, deaf: false }
    }

    /// Its last output.
    #[must_use]
    pub fn saying(mut self, tail: &str) -> Self {
        if let Ok(report) = &mut self.outcome {
            tail.clone_into(&mut report.tail);
        }
        self
    }

    /// It runs on until this gate is opened, or it is stopped.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// It does not heed the stop signal; only dropping it ends it.
    #[must_use]
    pub fn deaf(self) -> Self {
        Self { deaf: true, ..self }
    }
}

type Effect = Box<dyn Fn(&Invocation) + Send>;

/// Runs no process. A command whose purpose is not scripted (any more) exits 0. Clones are the
/// same runner.
///
/// ```
/// use agents_infrastructure::scripted::{Scripted, ScriptedRunner};
///
/// let runner = ScriptedRunner::default();
/// runner.on("execute", Scripted::exits(1)); // the first; the second succeeds
/// runner.on("setup", Scripted::exits(0));
/// assert!(runner.invocations().is_empty());
/// ```
#[derive(Clone, Default)]
pub struct ScriptedRunner(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    script: BTreeMap<String, VecDeque<Scripted>>,
    effects: Vec<Effect>,
    invocations: Vec<Invocation>,
    ended: Vec<(PlanId, Urgency)>,
    running: usize,
}

impl ScriptedRunner {
    /// What the next command of this purpose comes to, after those said before.
    pub fn on(&self, purpose: &str, scripted: Scripted) {
        locked(&self.0).script.entry(purpose.to_owned()).or_default().push_back(scripted);
    }

    /// What the next command of this purpose comes to of the plan of that name; goes before
    /// [`Self::on`].
    pub fn on_plan(&self, name: &str, purpose: &str, scripted: Scripted) {
        self.on(&of(name, purpose), scripted);
    }

    /// Something that every command does when it starts; must not use this runner.
    pub fn each_time(&self, effect: impl Fn(&Invocation) + Send + 'static) {
        locked(&self.0).effects.push(Box::new(effect));
    }

    /// The commands so far, in the order in which they started.
    pub fn invocations(&self) -> Vec<Invocation> {
        locked(&self.0).invocations.clone()
    }

    /// Their purposes.
    pub fn purposes(&self) -> Vec<String> {
        locked(&self.0).invocations.iter().map(|invocation| invocation.purpose.clone()).collect()
    }

    /// What a heartbeat thread was told to end so far, and how urgently.
    pub fn ended(&self) -> Vec<(PlanId, Urgency)> {
        locked(&self.0).ended.clone()
    }

    /// How many commands run now; one whose future was dropped does not.
    pub fn running(&self) -> usize {
        locked(&self.0).running
    }

    fn start(&self, invocation: Invocation) -> (Scripted, Running) {
        let mut state = locked(&self.0);
        state.effects.iter().for_each(|effect| effect(&invocation));
        let its_own = of(&invocation.context.plan_name, &invocation.purpose);
        let keys = [&its_own, &invocation.purpose];
        let scripted = keys.into_iter().find_map(|key| state.script.get_mut(key)?.pop_front());
        state.invocations.push(invocation);
        state.running += 1;
        (scripted.unwrap_or_else(|| Scripted::exits(0)), Running(self.clone()))
    }
}

fn of(plan: &str, purpose: &str) -> String {
    format!("{purpose} of {plan}")
}

/// Counts a command for as long as it runs.
struct Running(ScriptedRunner);

impl Drop for Running {
    fn drop(&mut self) {
        locked(&self.0.0).running -= 1;
    }
}

/// Notes what is to end; the commands themselves end by their stop signal.
impl Children for ScriptedRunner {
    fn end(&self, plan: PlanId, urgency: Urgency) {
        locked(&self.0).ended.push((plan, urgency));
    }
}

#[async_trait]
impl PhaseRunner for ScriptedRunner {
    async fn run(&self, invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError> {
        let (scripted, _running) = self.start(invocation);
        let at_gate = async {
            if let Some(gate) = &scripted.gate {
                gate.pass().await;
            }
        };
        if scripted.deaf {
            at_gate.await;
            return scripted.outcome;
        }
        tokio::select! {
            biased;
            cause = stop => Ok(RunReport { ended: Ended::Stopped(cause), tail: String::new() }),
            () = at_gate => scripted.outcome,
        }
    }
}
