//! T3 for children: what a child did is in its parent's work once if it is applied, and not at all if it
//! is not; what its log does not know of did not run. Children of a parent's past are left out: their
//! branch has gone another way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use agents_domain::plan::{Change, Event, Phase, PlanProject, State};

use super::{Evidence, Verdict};
use crate::linux::git;
use crate::linux::journal::What;

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    for (id, (_, events)) in &evidence.histories {
        known_attempts(evidence, id, events, verdict);
    }
    count(evidence, verdict);
    let past = evidence.world.oracle.past();
    let mut families: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (id, (plan, _)) in &evidence.histories {
        if let Some(parent) = plan.parent().filter(|_| !past.contains(id)) {
            families.entry(parent.to_string()).or_default().push(id);
        }
    }
    for (parent, children) in &families {
        let (plan, _) = &evidence.histories[parent];
        for project in &plan.projects {
            let work = Work::of(evidence, parent, project);
            for child in children {
                contained(evidence, child, &work, verdict);
            }
        }
    }
}

/// Every command ran for an attempt that the log knows, in the phase that it is for.
fn known_attempts(evidence: &Evidence<'_>, id: &str, events: &[Event], verdict: &mut Verdict) {
    let mut phase = Phase::Strategize;
    let mut attempts = vec![];
    for event in events {
        match &event.change {
            Change::PhaseAdvanced { to } => phase = *to,
            Change::Reverted { .. } => phase = Phase::Strategize,
            Change::PhaseStarted { .. } => attempts.push(phase),
            _ => {}
        }
    }
    for record in evidence.journal.get(id).into_iter().flatten() {
        let What::Begin(role, _) = &record.what else { continue };
        let meant = match role.as_str() {
            "execute" | "leaf" => Phase::Execute,
            "validate" => Phase::Apply,
            _ => Phase::Strategize,
        };
        let number = usize::try_from(record.attempt).expect("small");
        let known = number.checked_sub(1).and_then(|at| attempts.get(at));
        if known != Some(&meant) {
            verdict
                .violations
                .push(format!("T3 plan {id}: {role} ran in attempt {number}, which to its log is {known:?}"));
        }
    }
}

fn count(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let trees = &mut verdict.trees;
    for (plan, events) in evidence.histories.values() {
        trees.children += usize::from(plan.subplan.is_some());
        trees.given_up += usize::from(plan.given_up().is_some());
        let is = |wanted: fn(&Change) -> bool| events.iter().filter(|event| wanted(&event.change)).count();
        trees.parents += usize::from(is(|change| matches!(change, Change::Spawned { .. })) > 0);
        trees.merged += is(|change| matches!(change, Change::SubplanMerged { .. }));
        trees.conflicts += is(|change| matches!(change, Change::SubplanConflicted { .. }));
        trees.adopted += is(|change| matches!(change, Change::Adopted { .. }));
    }
}

/// What is in the work of a parent, in one project.
struct Work {
    parent: String,
    project: String,
    repository: PathBuf,
    /// Where its branch is, or was when it was recorded last.
    tip: Option<String>,
    /// Everything in it that was not there when it began.
    commits: BTreeSet<String>,
    /// Plans, once for each merge with their trailer.
    merges: Vec<String>,
    /// What it landed, unless that is one commit without a past of its own.
    landed: Option<String>,
}

impl Work {
    fn of(evidence: &Evidence<'_>, parent: &str, project: &PlanProject) -> Self {
        let name = project.name.short().to_owned();
        let repository = evidence.world.repository(&name);
        let branch = format!("refs/heads/agents/plan-{parent}");
        let found = git::run(&repository, &["rev-parse", "-q", "--verify", &branch]);
        // An applied plan's branch may have been cleared away.
        let tip = found.or_else(|| project.tip.as_ref().map(ToString::to_string));
        let range = project.base.as_ref().zip(tip.as_ref()).map(|(base, tip)| format!("{base}..{tip}"));
        let lines = |arguments: &[&str]| -> Vec<String> {
            let text = range.as_deref().map(|range| git::must(&repository, &[arguments, &[range]].concat()));
            text.unwrap_or_default().lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
        };
        let trailers = "--format=%(trailers:key=Agents-Plan,valueonly)";
        let landing = project.landing.as_ref().filter(|landing| landing.landed);
        Self {
            parent: parent.to_owned(),
            commits: lines(&["rev-list"]).into_iter().collect(),
            merges: lines(&["log", "--first-parent", trailers]),
            landed: landing.map(|landing| landing.intent.new.to_string()).filter(|new| {
                git::run(&repository, &["rev-parse", "-q", "--verify", &format!("{new}^2")]).is_some()
            }),
            project: name,
            repository,
            tip,
        }
    }

    fn holds(&self, commit: &str) -> bool {
        self.commits.contains(commit)
    }

    /// Whether what the parent landed holds it, too.
    fn landed(&self, commit: &str) -> bool {
        let Some(landed) = &self.landed else { return true };
        git::run(&self.repository, &["merge-base", "--is-ancestor", commit, landed]).is_some()
    }
}

/// What one child did is in its parent's work as often as it should be.
fn contained(evidence: &Evidence<'_>, child: &str, work: &Work, verdict: &mut Verdict) {
    let (plan, events) = &evidence.histories[child];
    let Some(facts) = plan.projects.iter().find(|facts| facts.name.short() == work.project) else { return };
    let mut wrong = |what: &str| {
        let Work { parent, project, tip, .. } = work;
        verdict.violations.push(format!("T3 plan {child} below {parent}, {project} at {tip:?}: {what}"));
    };
    let landed = facts.landing.as_ref().filter(|landing| landing.landed);
    let merges = work.merges.iter().filter(|merged| *merged == child).count();
    if merges != usize::from(landed.is_some()) {
        wrong(&format!("it is {} in {}, and merged {merges} times", plan.state(), plan.phase()));
    }
    if let Some(new) = landed.map(|landing| landing.intent.new.to_string())
        && !(work.holds(&new) && work.landed(&new))
    {
        wrong("what was merged is not in its parent's work");
    }
    let by_hand = evidence.world.by_hand.lock().expect("whole").contains(child);
    let done = completed(events);
    for record in evidence.journal.get(child).into_iter().flatten() {
        let What::Commit { project, commit } = &record.what else { continue };
        if *project != work.project || by_hand && plan.state() != State::Applied {
            continue;
        }
        let counts = plan.state() == State::Applied && done == Some(record.attempt);
        match (counts, work.holds(commit)) {
            (true, false) => wrong(&format!("its commit {commit} is not in its parent's work")),
            (false, true) => wrong(&format!(
                "commit {commit} of attempt {}, which does not count, is in its parent's work",
                record.attempt
            )),
            _ => {}
        }
    }
}

/// The attempt that completed execute last.
fn completed(events: &[Event]) -> Option<u32> {
    let (mut phase, mut attempt, mut done) = (Phase::Strategize, 0, None);
    for event in events {
        match &event.change {
            Change::PhaseAdvanced { to } => phase = *to,
            Change::Reverted { .. } => (phase, done) = (Phase::Strategize, None),
            Change::PhaseStarted { .. } => attempt += 1,
            Change::PhaseCompleted { .. } if phase == Phase::Execute => done = Some(attempt),
            _ => {}
        }
    }
    done
}
