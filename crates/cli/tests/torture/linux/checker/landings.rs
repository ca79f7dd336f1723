//! T3: every landing happened once, also that of a child on its parent's branch. One marker, one move
//! in the branch's log; and of a plan without a parent one commit with its trailer: what it says is
//! applied is there. What was given up moved nothing, and is marked so that it never can.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use agents_domain::plan::{Change, Event, Plan, State};
use agents_domain::workspace::Intent;

use super::{Evidence, Verdict};
use crate::linux::git;
use crate::linux::world::PROJECTS;

/// What git knows of the landings in one repository.
struct Repository {
    path: PathBuf,
    /// Intent to commit.
    markers: BTreeMap<String, String>,
    /// Branch, intent and commit, once for each move; what a branch that is gone has seen is gone with it.
    moves: Vec<Move>,
    branches: BTreeSet<String>,
    /// Plans, once for each commit with their trailer.
    trailers: Vec<String>,
}

/// Where a branch went, by its log.
struct Move {
    branch: String,
    commit: String,
    /// What a remote logs of a push does not say which it was.
    intent: Option<String>,
}

impl Move {
    /// One line of the log: who moved the branch, to which commit, and why.
    fn read(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once('@')?;
        let (commit, why) = rest.split_once("} ")?.1.split_once(' ')?;
        let intent = why.strip_prefix("agents: landing ").map(|intent| intent.trim().to_owned());
        let landing = intent.is_some() || why.trim() == "push";
        landing.then(|| Self { branch: format!("refs/heads/{name}"), commit: commit.to_owned(), intent })
    }

    fn is(&self, intent: &Intent) -> bool {
        match &self.intent {
            Some(id) => *id == intent.id.to_string(),
            None => self.commit == intent.new.as_str() && !self.branch.starts_with("refs/heads/agents/"),
        }
    }
}

impl Repository {
    fn read(path: PathBuf) -> Self {
        let refs = git::must(
            &path,
            &[
                "for-each-ref",
                "--format=%(refname:lstrip=3) %(objectname) %(*objectname)",
                "refs/agents/landed/",
            ],
        );
        // On a remote the marker is a tag, another one for each try; what it leads to is the commit.
        let marker = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(((*words.first()?).to_owned(), (*words.last()?).to_owned()))
        };
        let log = git::must(&path, &["log", "--walk-reflogs", "--format=%gD %H %gs", "--branches"]);
        let branches = git::must(&path, &["for-each-ref", "--format=%(refname)", "refs/heads/"]);
        let format = "--format=%(trailers:key=Agents-Plan,valueonly)";
        let trailers = git::must(&path, &["log", "--first-parent", format, "main"]);
        Self {
            markers: refs.lines().filter_map(marker).collect(),
            moves: log.lines().filter_map(Move::read).collect(),
            branches: branches.lines().map(str::to_owned).collect(),
            trailers: trailers
                .lines()
                .filter(|line| !line.is_empty())
                .map(|line| line.trim().to_owned())
                .collect(),
            path,
        }
    }
}

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let read = |name: &str| (format!("local/{name}"), Repository::read(evidence.world.repository(name)));
    let repositories: BTreeMap<_, _> = PROJECTS.into_iter().map(read).collect();
    let mut known = BTreeSet::new();
    for (id, (plan, events)) in &evidence.histories {
        let (intents, landed) = decisions(events);
        for intent in &intents {
            known.insert(intent.id.to_string());
            let repository = &repositories[intent.project.as_str()];
            one(id, intent, landed.contains(&intent.id.to_string()), repository, verdict);
        }
        for intent in given_up(events) {
            let marker = repositories[intent.project.as_str()].markers.get(&intent.id.to_string());
            if marker.map(String::as_str) != Some(intent.old.as_str()) {
                let (project, intent) = (&intent.project, intent.id);
                verdict
                    .violations
                    .push(format!("T3 plan {id}, {project}: {intent} is given up, not marked so"));
            }
        }
        // What a child comes to is its parent's.
        if plan.subplan.is_none() {
            content(id, plan, &landed, &repositories, verdict);
        }
    }
    for (name, repository) in &repositories {
        let seen =
            repository.markers.keys().chain(repository.moves.iter().filter_map(|to| to.intent.as_ref()));
        let strangers = seen.filter(|intent| !known.contains(*intent));
        for intent in strangers.collect::<BTreeSet<_>>() {
            verdict.violations.push(format!("T3 {name}: a landing {intent} of which no history knows"));
        }
    }
}

/// What a plan decided to land, and what of it has landed.
fn decisions(events: &[Event]) -> (Vec<Intent>, BTreeSet<String>) {
    let (mut intents, mut landed) = (Vec::new(), BTreeSet::new());
    for event in events {
        match &event.change {
            Change::LandingIntended { intents: made, .. } => intents.extend(made.iter().cloned()),
            Change::Landed { intent } => drop(landed.insert(intent.to_string())),
            _ => {}
        }
    }
    (intents, landed)
}

/// What a plan decided to land, and could not, since somebody had moved the branch. Of several projects
/// it is the first that was open: nobody comes to those behind it.
fn given_up(events: &[Event]) -> Vec<&Intent> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for event in events {
        match &event.change {
            Change::LandingIntended { intents, .. } => open = intents.iter().collect(),
            Change::Landed { intent } => open.retain(|one| one.id != *intent),
            Change::Constrained { .. } => found.extend(std::mem::take(&mut open).first().copied()),
            _ => {}
        }
    }
    found
}

/// One decision: carried out once if it is recorded as landed, else not at all.
fn one(plan: &str, intent: &Intent, landed: bool, repository: &Repository, verdict: &mut Verdict) {
    let id = intent.id.to_string();
    let ours = |to: &&Move| to.is(intent);
    let moves = repository.moves.iter().filter(ours).count();
    let elsewhere = repository.moves.iter().filter(ours).any(|to| to.branch != intent.reference);
    let marker = repository.markers.get(&id);
    let in_place = marker.map(String::as_str) == Some(intent.new.as_str());
    let mut wrong = |what: &str| {
        verdict.violations.push(format!("T3 plan {plan}, {}: landing {id} {what}", intent.project));
    };
    if moves > 1 {
        wrong(&format!("moved the branch {moves} times"));
    }
    if elsewhere {
        wrong("moved another branch");
    }
    match (landed, moves) {
        (true, 0) if repository.branches.contains(&intent.reference) => {
            wrong("is recorded and moved nothing");
        }
        (true, _) if !in_place => wrong(&format!("has the marker {marker:?}, not one at {}", intent.new)),
        (false, 1..) => wrong("moved the branch and is not recorded"),
        // At `old` it says that it was given up.
        (false, 0) if marker.is_some_and(|at| at != intent.old.as_str()) => {
            wrong("is marked and not recorded");
        }
        _ => {}
    }
}

/// A plan's work is on the branch once if it landed, and not if it did not.
fn content(
    id: &str,
    plan: &Plan,
    landed: &BTreeSet<String>,
    repositories: &BTreeMap<String, Repository>,
    verdict: &mut Verdict,
) {
    for project in &plan.projects {
        let repository = &repositories[project.name.as_str()];
        let commits = repository.trailers.iter().filter(|trailer| *trailer == id).count();
        let lands =
            project.landing.as_ref().filter(|landing| landed.contains(&landing.intent.id.to_string()));
        if commits != usize::from(lands.is_some()) {
            verdict.violations.push(format!("T3 plan {id}, {}: {commits} commits landed", project.name));
        }
        let Some(landing) = lands else {
            // The branch of a plan with children is there before any has done anything.
            let has_work = project.tip.is_some() && project.tip != project.base;
            if plan.state() == State::Applied && has_work {
                verdict.violations.push(format!("T3 plan {id}, {}: applied without its work", project.name));
            }
            continue;
        };
        let new = landing.intent.new.as_str();
        if git::run(&repository.path, &["merge-base", "--is-ancestor", new, "main"]).is_none() {
            verdict.violations.push(format!("T3 plan {id}, {}: what landed is not on main", project.name));
        }
    }
}
