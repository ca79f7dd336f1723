//! Everything before the point of no return: merges, checks, and whether checkouts can follow.
//! Writes nothing but objects in git.

use agents_domain::action::LandOn;
use agents_domain::id::IntentId;
use agents_domain::oid::Oid;
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Definition, Failure, Plan, Validation};
use agents_domain::runner::StopCause;
use agents_domain::workspace::{Intent, MergeRequest, Merged, Mover, Project, WorkspaceError};

use crate::driver::attempt::facts;
use crate::driver::{PhaseDriver, Under, context, failures, stop_cause};

use super::Terms;

/// Why apply does not go on.
pub(super) enum Obstacle {
    /// The work cannot land as things are.
    Constrained(Failure, Vec<Validation>),
    /// Something failed that another try may mend.
    Failed(Failure),
    /// No place is free for a command.
    NoPlace(Box<PlacesCensus>),
    /// A command was stopped: the plan's lock is lost, or this process is to end.
    Stopped(StopCause),
}

/// What is ready to be decided.
pub(super) struct Prepared {
    pub(super) intents: Vec<Intent>,
    pub(super) validations: Vec<Validation>,
}

/// A merge that could land.
pub(super) struct Ready {
    pub(super) project: Project,
    pub(super) intent: Intent,
}

impl PhaseDriver {
    pub(super) async fn prepare_landing(
        &self,
        plan: &Plan,
        definition: &Definition,
        under: Under<'_>,
        terms: Terms,
    ) -> Result<Prepared, Obstacle> {
        let mut ready = Vec::new();
        for project in &definition.projects {
            let landed = plan.landings().any(|l| l.landed && l.intent.project == project.name);
            if !landed {
                let merge = self.merge(plan, definition, project, terms).await?;
                if merge.is_none() && definition.projects.len() > 1 {
                    self.warn(&format!("{}: the plan changed nothing there", project.name));
                }
                ready.extend(merge);
            }
        }
        if ready.is_empty() && !terms.allow_empty && !plan.has_landed() {
            return Err(empty(plan));
        }
        let mut validations = Vec::new();
        for merge in &ready {
            self.validate(plan, definition, merge, under, &mut validations).await?;
        }
        // The work of a child is its parent's, wherever that lands.
        if definition.action.apply.land == LandOn::Branch && plan.subplan.is_none() {
            ready.clear();
        }
        for merge in &ready {
            let checked = self.parts.landings.check_checkout(&merge.project, &merge.intent).await;
            checked.map_err(|error| failed(plan, &error))?;
        }
        for merge in ready.iter().filter(|merge| merge.project.remote.is_some()) {
            let shared = self.parts.landings.share(&merge.project, &merge.intent).await;
            shared.map_err(|error| failed(plan, &error))?;
        }
        // The last moment at which it changes nothing.
        if let Some(request) = under.request() {
            return Err(Obstacle::Stopped(stop_cause(&request)));
        }
        let intents = ready.into_iter().map(|ready| ready.intent).collect();
        Ok(Prepared { intents, validations })
    }

    /// The merge of one project; `None` if the plan changes nothing there.
    async fn merge(
        &self,
        plan: &Plan,
        definition: &Definition,
        project: &Project,
        terms: Terms,
    ) -> Result<Option<Ready>, Obstacle> {
        let recorded = facts(plan, project).tip.clone();
        if recorded.is_none() {
            return Ok(None);
        }
        let tip = self.tip(project, plan.id, recorded).await;
        let Some(tip) = tip.map_err(|error| failed(plan, &error))? else { return Ok(None) };
        let request = MergeRequest {
            plan: plan.id,
            project: project.clone(),
            tip,
            strategy: definition.action.apply.strategy,
            message: self.message(plan, definition)?,
            exclusive: terms.exclusive,
        };
        match self.parts.landings.merge(&request).await.map_err(|error| failed(plan, &error))? {
            Merged::Empty { .. } => Ok(None),
            Merged::Clean { old, new } => {
                let id = IntentId::from(self.parts.ids.ulid());
                let reference = project.target_ref();
                let intent = Intent { id, project: project.name.clone(), reference, old, new };
                Ok(Some(Ready { project: project.clone(), intent }))
            }
            Merged::Conflict { old, base, files, movers } => {
                let theirs = request.tip;
                Err(refuse(plan, project, &Collision { ours: old, theirs, base, files, movers }))
            }
        }
    }

    /// The action's template, or the plan's name and the action's description; with a trailer
    /// that names the plan.
    fn message(&self, plan: &Plan, definition: &Definition) -> Result<String, Obstacle> {
        let facts = context::facts(plan, definition);
        let subject = match &definition.action.apply.message {
            Some(template) => (self.parts.message)(template, &facts).map_err(|error| {
                Obstacle::Failed(failures::of_run_error(failures::landed_by(plan), "apply", &error))
            })?,
            None if facts.description.is_empty() => {
                format!("{}: {}", facts.plan_name, definition.action.name)
            }
            None => format!("{}: {}", facts.plan_name, facts.description),
        };
        Ok(format!("{}\n\nAgents-Plan: {}\n", subject.trim_end(), plan.id))
    }
}

pub(super) fn failed(plan: &Plan, error: &WorkspaceError) -> Obstacle {
    Obstacle::Failed(failures::of_workspace(failures::landed_by(plan), error))
}

fn empty(plan: &Plan) -> Obstacle {
    let hint = format!("agents plan retry {} --allow-empty", plan.id);
    let failure = failures::failure("empty", "the plan changed nothing".to_owned(), hint, false);
    Obstacle::Constrained(failure, Vec::new())
}

/// Work that does not go together.
struct Collision {
    /// Where the target is.
    ours: Oid,
    /// Where the plan's work is.
    theirs: Oid,
    /// Where both come from.
    base: Option<Oid>,
    /// What both changed.
    files: Vec<String>,
    /// Who changed it on the target.
    movers: Vec<Mover>,
}

fn refuse(plan: &Plan, project: &Project, collision: &Collision) -> Obstacle {
    let Collision { ours, theirs, base, files, movers } = collision;
    let (name, branch, files) = (&project.name, &project.branch, some_of(files));
    let by = if movers.is_empty() {
        String::new()
    } else {
        format!("; on {branch} by {}", movers.iter().map(mover).collect::<Vec<_>>().join(", and by "))
    };
    let base = base.as_ref().map_or_else(|| "no base".to_owned(), |base| format!("base {}", base.short()));
    let message = format!(
        "{name}: {branch} (now at {}) and the plan both changed {files}{by} ({base}, ours {}, theirs {})",
        ours.short(),
        ours.short(),
        theirs.short()
    );
    // Of a child it is resolved where all of it comes together, and its parent goes on.
    let (ours, again) = (plan.branch(), plan.parent().unwrap_or(plan.id));
    let (from, into) = if plan.parent().is_some() { (&ours, branch) } else { (branch, &ours) };
    let merge = failures::merge_by_hand(project.remote.as_ref(), from, into);
    let hint = format!("{merge}, then: agents plan retry {again}");
    Obstacle::Constrained(failures::failure("conflict", message, hint, false), Vec::new())
}

/// As many names as a person reads.
fn some_of(files: &[String]) -> String {
    const MOST: usize = 10;
    let shown = files.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    match files.len().saturating_sub(MOST) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// `plan 01… (commit 1234abcd “subject”)`, or the commit alone.
fn mover(mover: &Mover) -> String {
    let commit = format!("commit {} \u{201c}{}\u{201d}", mover.commit.short(), mover.subject);
    match mover.plan {
        Some(plan) => format!("plan {plan} ({commit})"),
        None => commit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_files_is_cut() {
        let files: Vec<String> = (0..12).map(|n| n.to_string()).collect();
        assert_eq!(some_of(&files), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more");
        assert_eq!(some_of(&files[..2]), "0, 1");
    }

    #[test]
    fn who_moved_a_branch_is_a_plan_or_a_commit() {
        let commit = Oid::parse(&"a".repeat(40)).expect("valid");
        let plan = agents_domain::id::PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
        let by_hand = Mover { commit, subject: "fix".to_owned(), plan: None };
        assert_eq!(mover(&by_hand), "commit aaaaaaaaaa \u{201c}fix\u{201d}");
        let landed = Mover { plan: Some(plan), ..by_hand };
        assert_eq!(mover(&landed), format!("plan {plan} (commit aaaaaaaaaa \u{201c}fix\u{201d})"));
    }
}
