//! `plan tree`: a plan with all that are below it.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, Liveness};
use agents_domain::plan::{PlanRecord, State};
use agents_domain::reads::PlanView;
use agents_domain::subplan::GivenUp;
use serde_json::{Value, json};

use crate::render::changing::{Change, Seen};
use crate::render::plan::{first_line, plan_view};
use crate::render::{Body, Grid, LivenessOf, Report};

/// A plan and all that are below it, at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// The plan at its top; it may have a parent itself.
    pub head: &'a PlanView,
    /// The others, each after its parent, siblings in the order of their places.
    pub below: &'a [PlanView],
}

impl<'a> Tree<'a> {
    fn children(self, of: PlanId) -> impl Iterator<Item = &'a PlanView> {
        self.below.iter().filter(move |view| view.record.parent() == Some(of))
    }

    /// Everybody in the order of the drawing, each with its names from the top, the head's left out.
    fn rows(self) -> Vec<(&'a PlanView, Vec<&'a str>)> {
        let mut rows = vec![(self.head, Vec::new())];
        self.descend(self.head.record.id, &[], &mut rows);
        rows
    }

    fn descend(self, of: PlanId, above: &[&'a str], rows: &mut Vec<(&'a PlanView, Vec<&'a str>)>) {
        for child in self.children(of) {
            let path: Vec<&str> = above.iter().copied().chain([name(&child.record)]).collect();
            rows.push((child, path.clone()));
            self.descend(child.record.id, &path, rows);
        }
    }

    /// All of it for people.
    fn grid(self, liveness: LivenessOf<'_>) -> Grid {
        let mut grid = Grid::new(&["TREE", "PLAN", "STAGE", "ATTEMPT", "FAILED", "AT WORK", "WHY"]);
        for (view, path) in self.rows() {
            let record = &view.record;
            let failures = record.subplan.as_ref().map_or(0, |subplan| subplan.failures);
            grid.row([
                format!(
                    "{}{}",
                    "  ".repeat(path.len()),
                    path.last().copied().unwrap_or_else(|| title(record))
                ),
                record.id.to_string(),
                record.stage.to_string(),
                record.attempt.to_string(),
                if failures > 0 { failures.to_string() } else { String::new() },
                view.lock.as_ref().map(|lock| at_work(lock, liveness(&lock.holder))).unwrap_or_default(),
                why(record).unwrap_or_default(),
            ]);
        }
        grid
    }

    /// All of it for programs.
    fn view(self, view: &PlanView, liveness: LivenessOf<'_>) -> Value {
        let mut data = plan_view(view, liveness);
        data["children"] =
            self.children(view.record.id).map(|child| self.view(child, liveness)).collect::<Vec<_>>().into();
        data
    }

    /// This look, and what is new in it; `known` holds what was seen so far.
    pub fn seen(self, known: &mut BTreeMap<PlanId, u64>, liveness: LivenessOf<'_>) -> Seen {
        let is_new = |view: &PlanView, known: &mut BTreeMap<PlanId, u64>| {
            known.insert(view.record.id, view.record.version) != Some(view.record.version)
        };
        let rows = self.rows().into_iter().filter(|(view, _)| is_new(view, known));
        let changes = rows.map(|(view, path)| change(view, &path.join("/"), liveness)).collect();
        Seen { whole: self.grid(liveness), changes }
    }
}

fn change(view: &PlanView, path: &str, liveness: LivenessOf<'_>) -> Change {
    let record = &view.record;
    let who =
        if path.is_empty() { format!("plan {}", record.id) } else { format!("`{path}` ({})", record.id) };
    let why = why(record).map(|why| format!(": {why}")).unwrap_or_default();
    let mut object = plan_view(view, liveness);
    object["path"] = path.into();
    Change { id: record.id.to_string(), line: format!("{who} {}{why}", record.stage), object }
}

fn name(record: &PlanRecord) -> &str {
    record.subplan.as_ref().map_or("", |subplan| subplan.name.as_str())
}

fn title(record: &PlanRecord) -> &str {
    record.name.as_deref().unwrap_or_else(|| record.action.as_str())
}

fn at_work(lock: &HeldLock, liveness: Liveness) -> String {
    let holder = &lock.holder;
    let stale = if lock.stale { ", stale" } else { "" };
    let alive = if liveness == Liveness::Alive { String::new() } else { format!(", {liveness}") };
    format!("{} (pid {} on {}{alive}{stale})", holder.user, holder.pid, holder.host)
}

/// Why it is given up, has failed, or waits.
fn why(record: &PlanRecord) -> Option<String> {
    let given_up = record.given_up().map(GivenUp::reason);
    let cancelled = || record.cancel_reason.clone().filter(|_| record.state() == State::Cancelled);
    let failed = || {
        record.failure.as_ref().map(|failure| format!("{}: {}", failure.code, first_line(&failure.message)))
    };
    let asks =
        || record.parked.as_ref().map(|parked| parked.input.clone().unwrap_or_else(|| parked.cause.clone()));
    given_up.or_else(cancelled).or_else(failed).or_else(asks)
}

/// `plan tree`.
pub fn tree_report(tree: Tree<'_>, liveness: LivenessOf<'_>) -> Report {
    let ids = tree.rows().iter().map(|(view, _)| view.record.id.to_string()).collect();
    let data = json!({ "tree": tree.view(tree.head, liveness) });
    Report { body: Body::Table(tree.grid(liveness)), ids, ..Report::of(data) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_domain::plan::{Phase, Stage};

    const ALIVE: LivenessOf<'static> = &|_| Liveness::Alive;

    /// A head with the child of the samples.
    fn family() -> (PlanView, PlanView) {
        let child = samples::full_view();
        let mut head = samples::view();
        head.record.id = child.record.parent().expect("a child");
        (head, child)
    }

    #[test]
    fn a_look_tells_what_has_moved_since_the_last() {
        let (head, mut child) = family();
        let mut known = BTreeMap::new();
        let mut look = |child: &PlanView| {
            let below = [child.clone()];
            let seen = Tree { head: &head, below: &below }.seen(&mut known, ALIVE);
            seen.changes
                .into_iter()
                .map(|change| (change.line, change.object["path"].clone()))
                .collect::<Vec<_>>()
        };
        let first = look(&child);
        assert_eq!((first[0].1.as_str(), first[1].1.as_str()), (Some(""), Some("client")));
        assert!(first[0].0.ends_with(" strategize/queued"), "{first:?}");
        assert_eq!(look(&child), []);
        child.record.version += 1;
        child.record.stage = Stage::new(Phase::Execute, State::Errored).expect("exists");
        let id = samples::plan_id();
        let line = format!("`client` ({id}) execute/errored: exit_code: the command ended with 1");
        assert_eq!(look(&child), [(line, "client".into())]);
    }

    #[test]
    fn a_row_says_who_is_at_it_and_why_it_rests() {
        let (head, child) = family();
        let below = [child];
        let report = tree_report(Tree { head: &head, below: &below }, &|_| Liveness::Dead);
        let Body::Table(grid) = report.body else { panic!("no table") };
        let (plan, why) = (samples::plan_id(), "exit_code: the command ended with 1");
        let row = format!("  client\t{plan}\tapply/errored\t2\t1\tada (pid 4711 on box, dead)\t{why}\n");
        assert!(grid.plain().ends_with(&row), "{}", grid.plain());
        assert_eq!(report.data["tree"]["children"][0]["plan_id"], plan.as_str());
        assert_eq!(report.ids.len(), 2);
    }
}
