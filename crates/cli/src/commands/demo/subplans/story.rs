//! What is done, step by step, and what is told of it.

use agents_domain::id::PlanId;
use agents_domain::plan::State;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::render::Progress;

use super::super::scene::{self, Scene};
use super::actions::{MENU, RATES};
use super::family::{self, Family};

/// A step that was done.
struct Step {
    done: String,
    /// Of a command of this program.
    exit: Option<i32>,
    why: String,
}

/// The demo so far.
pub(super) struct Story<'a> {
    scene: &'a Scene,
    progress: &'a Progress,
    steps: Vec<Step>,
    told: Vec<String>,
}

impl<'a> Story<'a> {
    pub(super) const fn new(scene: &'a Scene, progress: &'a Progress) -> Self {
        Self { scene, progress, steps: Vec::new(), told: Vec::new() }
    }

    /// Runs this program to whatever end.
    pub(super) fn agents(&mut self, why: &str, words: &[&str]) -> Result<(), Failure> {
        self.progress.transition(&format!("demo: {why}"));
        let exit = scene::wait(self.scene.start(words)?)?;
        self.step(format!("agents {}", words.join(" ")), Some(exit), why);
        Ok(())
    }

    fn step(&mut self, done: String, exit: Option<i32>, why: &str) {
        let told = exit.map_or_else(|| "by hand".to_owned(), |exit| format!("exit {exit}"));
        self.told.push(format!("{done}   # {told}: {why}"));
        self.steps.push(Step { done, exit, why: why.to_owned() });
    }

    /// What `agents plan tree` shows at this moment.
    pub(super) fn tree(&mut self, plan: PlanId) -> Result<(), Failure> {
        let tree = self.scene.agents(&["plan", "tree", plan.as_str()])?;
        self.told.push(format!("agents plan tree {plan}"));
        self.told.extend(tree.lines().map(|line| format!("    {line}")));
        Ok(())
    }

    /// What a person does about a conflict: the subplan's work is merged into the plan's branch, and
    /// both entries stay.
    pub(super) fn resolve(&mut self, plan: PlanId, family: &Family) -> Result<(), Failure> {
        self.progress.transition("demo: a person resolves the conflict, with git");
        let Some(child) = family.of(State::Constrained).next() else { return Ok(()) };
        let (branch, checkout) = (format!("agents/plan-{plan}"), self.scene.root.join("checkout"));
        let path = checkout.display().to_string();
        self.scene.git(&["worktree", "add", "-q", &path, &branch], &self.scene.repository)?;
        // It ends badly: that is the conflict.
        let merged = self.scene.git_ends(&["merge", "-q", &child.branch()], &checkout);
        merged.map_err(|error| Failure::internal("git cannot be started").caused_by(&error))?;
        self.scene.write(&checkout.join(MENU.0), MENU.1)?;
        self.scene.git(&["commit", "-q", "-a", "-m", "both entries"], &checkout)?;
        self.scene.git(&["worktree", "remove", &path], &self.scene.repository)?;
        let why =
            format!("`{}` wrote {}, as another one had; both entries stay", family::name(child), MENU.0);
        self.step(format!("git merge {}   (on {branch})", child.branch()), None, &why);
        Ok(())
    }

    /// What a person does about a failure: what was missing is there.
    pub(super) fn mend(&mut self) -> Result<(), Failure> {
        self.scene.write(&self.scene.root.join(RATES), "1 each\n")?;
        self.step(format!("echo \"1 each\" > {RATES}"), None, "`billing` failed for want of it");
        Ok(())
    }

    pub(super) fn messages(&self) -> Vec<String> {
        self.told.clone()
    }

    /// For programs.
    pub(super) fn data(&self) -> Vec<Value> {
        let of = |step: &Step| json!({ "done": step.done, "exit": step.exit, "why": step.why });
        self.steps.iter().map(of).collect()
    }
}
