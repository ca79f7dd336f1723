//! What may go, and why not: pure.
//!
//! | left by | goes | only when asked for what is nowhere else | stays |
//! |---|---|---|---|
//! | any plan not at work | directories whose snapshot is recorded, previews, records | | |
//! | a finished plan, old enough | logs | directories without a whole snapshot, artifacts | |
//! | an applied plan, old enough | the plan branch, where a snapshot has it too | | |
//! | all others | | | everything |

use agents_domain::action::LandOn;
use agents_domain::housekeeping::{Leftover, LeftoverKind};
use agents_domain::oid::Oid;
use agents_domain::plan::{PlanRecord, Saved, State};

use crate::lifecycle::history::Works;

/// What is to become of a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go: nothing is lost by it, or nobody needs it any more.
    Goes,
    /// It is nowhere else, for this reason: it goes only if that is asked for.
    OnlyIfKept(String),
    /// It stays, for this reason.
    Stays(String),
}

impl Verdict {
    /// Whether it goes; `kept`: also what is nowhere else.
    pub fn goes(&self, kept: bool) -> bool {
        match self {
            Self::Goes => true,
            Self::OnlyIfKept(_) => kept,
            Self::Stays(_) => false,
        }
    }
}

/// What is to become of one thing that a plan left; `old`: the plan has not changed for long.
pub fn judge(plan: &PlanRecord, land: LandOn, works: &Works, old: bool, leftover: &Leftover) -> Verdict {
    if plan.state() == State::Processing {
        return stays("the plan is at work");
    }
    match &leftover.kind {
        LeftoverKind::Foreign { reason } => stays(reason),
        LeftoverKind::Record | LeftoverKind::Preview => Verdict::Goes,
        LeftoverKind::Worktree => match of_worktree(works, leftover) {
            None => Verdict::Goes,
            Some(reason) => finished(plan, old).unwrap_or(Verdict::OnlyIfKept(reason)),
        },
        LeftoverKind::Files { artifacts } => finished(plan, old).unwrap_or_else(|| match artifacts {
            true => Verdict::OnlyIfKept("the command left artifacts".to_owned()),
            false => Verdict::Goes,
        }),
        LeftoverKind::Branch { tip, checked_out } => of_branch(plan, land, leftover, tip, *checked_out)
            .or_else(|| finished(plan, old))
            .unwrap_or(Verdict::Goes),
    }
}

fn stays(reason: &str) -> Verdict {
    Verdict::Stays(reason.to_owned())
}

/// Why a directory holds what is nowhere else; `None`: its snapshot has all of it.
fn of_worktree(works: &Works, leftover: &Leftover) -> Option<String> {
    let key = leftover.attempt.zip(leftover.project.clone());
    match key.and_then(|key| works.get(&key)) {
        Some(Saved::Snapshot { kept, .. }) => kept.clone(),
        Some(Saved::Directory { reason }) => Some(format!("no snapshot could be made: {reason}")),
        Some(Saved::Pending { .. }) => Some("no snapshot was made yet; agents recover makes it".to_owned()),
        None => Some("no snapshot of it is recorded".to_owned()),
    }
}

/// Why what a plan needs, or may need, stays.
fn finished(plan: &PlanRecord, old: bool) -> Option<Verdict> {
    match (plan.state().is_terminal(), old) {
        (false, _) => Some(stays("the plan is not finished")),
        (true, false) => Some(stays("the plan finished not long ago")),
        (true, true) => None,
    }
}

fn of_branch(
    plan: &PlanRecord,
    land: LandOn,
    leftover: &Leftover,
    tip: &Oid,
    checked_out: bool,
) -> Option<Verdict> {
    let facts = plan.projects.iter().find(|facts| Some(&facts.name) == leftover.project.as_ref());
    let recorded = facts.and_then(|facts| facts.tip.as_ref());
    let reason = if plan.state() != State::Applied {
        "it has not landed"
    } else if land == LandOn::Branch {
        "it is the plan's result"
    } else if checked_out {
        "a checkout is on it"
    } else if recorded != Some(tip) {
        "somebody has moved it"
    } else {
        return None;
    };
    Some(stays(reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents_domain::action::Automation;
    use agents_domain::id::PlanId;
    use agents_domain::name::Name;
    use agents_domain::plan::{Origin, Phase, Plan, Stage};
    use agents_domain::time::Timestamp;

    fn oid(digit: char) -> Oid {
        Oid::parse(&digit.to_string().repeat(40)).expect("valid")
    }

    fn name() -> Name {
        Name::parse("api").expect("valid")
    }

    fn plan(phase: Phase, state: State) -> PlanRecord {
        let (action, automation) = (Name::parse("fix").expect("valid"), Automation::Review);
        let origin = Origin { name: None, action, automation, projects: vec![name()], subplan: None };
        let id = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
        let mut record = Plan::create(id, &origin, Timestamp::default()).into_record();
        record.stage = Stage::new(phase, state).expect("it exists");
        record.projects[0].tip = Some(oid('a'));
        record
    }

    fn applied() -> PlanRecord {
        plan(Phase::Apply, State::Applied)
    }

    fn errored() -> PlanRecord {
        plan(Phase::Execute, State::Errored)
    }

    fn left(kind: LeftoverKind) -> Leftover {
        let plan = applied().id;
        Leftover { plan, attempt: Some(2), project: Some(name()), kind, path: "/x".into(), bytes: 1 }
    }

    fn snapshot(kept: Option<&str>) -> Works {
        let kept = kept.map(str::to_owned);
        let saved = Saved::Snapshot { reference: "refs/x".to_owned(), commit: oid('a'), kept };
        [((2, name()), saved)].into()
    }

    fn verdict(plan: &PlanRecord, works: &Works, old: bool, kind: LeftoverKind) -> Verdict {
        judge(plan, LandOn::Target, works, old, &left(kind))
    }

    fn says(verdict: &Verdict, text: &str) -> bool {
        matches!(verdict, Verdict::Stays(why) | Verdict::OnlyIfKept(why) if why.contains(text))
    }

    #[test]
    fn nothing_of_a_plan_at_work_goes() {
        let working = plan(Phase::Execute, State::Processing);
        for kind in [LeftoverKind::Worktree, LeftoverKind::Preview, LeftoverKind::Record] {
            let found = verdict(&working, &snapshot(None), true, kind);
            assert!(says(&found, "at work") && !found.goes(true), "{found:?}");
        }
    }

    #[test]
    fn a_directory_whose_snapshot_has_all_of_it_goes_whatever_the_plan_awaits() {
        for (record, old) in [(errored(), false), (applied(), false), (applied(), true)] {
            assert_eq!(verdict(&record, &snapshot(None), old, LeftoverKind::Worktree), Verdict::Goes);
        }
    }

    #[test]
    fn what_is_nowhere_else_goes_only_of_finished_plans_and_when_asked_for() {
        let unsaved = Saved::Directory { reason: "disk full".to_owned() };
        let unsaved: Works = [((2, name()), unsaved)].into();
        for (works, why) in [
            (snapshot(Some("nested repositories")), "nested"),
            (unsaved, "disk full"),
            (Works::new(), "no snapshot of it is recorded"),
        ] {
            let found = verdict(&applied(), &works, true, LeftoverKind::Worktree);
            assert!(says(&found, why) && found.goes(true) && !found.goes(false), "{found:?}");
            let young = verdict(&applied(), &works, false, LeftoverKind::Worktree);
            assert!(says(&young, "not long ago") && !young.goes(true), "{young:?}");
            let unfinished = verdict(&errored(), &works, true, LeftoverKind::Worktree);
            assert!(says(&unfinished, "not finished") && !unfinished.goes(true), "{unfinished:?}");
        }
    }

    #[test]
    fn logs_go_with_their_plan_and_artifacts_when_asked_for() {
        let files = |artifacts| LeftoverKind::Files { artifacts };
        assert_eq!(verdict(&applied(), &Works::new(), true, files(false)), Verdict::Goes);
        assert!(says(&verdict(&applied(), &Works::new(), true, files(true)), "artifacts"));
        assert!(says(&verdict(&errored(), &Works::new(), true, files(false)), "not finished"));
    }

    #[test]
    fn a_plan_branch_goes_only_where_nothing_is_lost_by_it() {
        let branch = |digit, checked_out| LeftoverKind::Branch { tip: oid(digit), checked_out };
        let none = Works::new();
        assert_eq!(verdict(&applied(), &none, true, branch('a', false)), Verdict::Goes);
        let cancelled = plan(Phase::Execute, State::Cancelled);
        for (record, kind, why) in [
            (cancelled, branch('a', false), "not landed"),
            (applied(), branch('b', false), "somebody has moved it"),
            (applied(), branch('a', true), "a checkout is on it"),
        ] {
            let found = verdict(&record, &none, true, kind);
            assert!(says(&found, why) && !found.goes(true), "{found:?}");
        }
        let result = judge(&applied(), LandOn::Branch, &none, true, &left(branch('a', false)));
        assert!(says(&result, "the plan's result"));
        assert!(says(&verdict(&applied(), &none, false, branch('a', false)), "not long ago"));
    }

    #[test]
    fn what_is_not_ours_stays() {
        let foreign = LeftoverKind::Foreign { reason: "it leads elsewhere".to_owned() };
        let found = verdict(&applied(), &Works::new(), true, foreign);
        assert!(says(&found, "elsewhere") && !found.goes(true));
        for kind in [LeftoverKind::Preview, LeftoverKind::Record] {
            assert_eq!(verdict(&errored(), &Works::new(), false, kind), Verdict::Goes);
        }
    }
}
