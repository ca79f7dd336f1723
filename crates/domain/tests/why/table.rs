//! The table: every stage in every situation has an answer, and its command is legal.

use agents_domain::action::Automation;
use agents_domain::id::PlanId;
use agents_domain::lock::{Liveness, LockKey};
use agents_domain::plan::{Parked, Phase, Stage, State, Verb, target};
use agents_domain::request::Wish;
use agents_domain::subplan::Mode;
use agents_domain::why::{Above, Below, Cause, Facts, Waiting, causes};

use crate::support::{
    NOW, Told, asking, cancel, child, facts, full, name, part, plan_held, plan_id, project_held, request,
    stage, token, told,
};

/// Everything that can be known of a plan beside its own facts, in all combinations.
fn situations() -> Vec<impl Fn(Facts) -> Facts> {
    let living = [Liveness::Alive, Liveness::Dead, Liveness::Unknown];
    let holders = living.into_iter().flat_map(|l| [false, true].map(|stale| Some(plan_held(stale, l))));
    let holders: Vec<_> = holders.chain([None]).collect();
    let projects = [vec![], vec![project_held(1, Liveness::Alive)], vec![project_held(2, Liveness::Alive)]];
    let line = |ahead| Waiting {
        key: LockKey::Project(name("api")),
        position: Some(2),
        ahead,
        holder: Some(project_held(2, Liveness::Unknown)),
    };
    let lines = [vec![], vec![line(vec![plan_held(false, Liveness::Alive).lock.holder])]];
    let places = [None, Some(full(None)), Some(full(Some(plan_id())))];
    let let_go = request(Wish::LetGo { token: token(1) });
    let asked = [vec![], vec![cancel()], vec![let_go.clone(), cancel()], vec![let_go]];
    let parked = |until, input: Option<&str>| Parked {
        until,
        input: input.map(str::to_owned),
        cause: "quota".to_owned(),
    };
    let parkings =
        [None, Some(parked(None, None)), Some(parked(Some(NOW), None)), Some(parked(None, Some("?")))];
    let mut all = Vec::new();
    for holder in &holders {
        for projects in &projects {
            for waiting in &lines {
                for places in &places {
                    for requests in &asked {
                        for parked in &parkings {
                            let (holder, projects, waiting) =
                                (holder.clone(), projects.clone(), waiting.clone());
                            let (places, requests, parked) =
                                (places.clone(), requests.clone(), parked.clone());
                            all.push(move |mut facts: Facts| {
                                facts.plan.parked.clone_from(&parked);
                                Facts {
                                    holder: holder.clone(),
                                    projects: projects.clone(),
                                    waiting: waiting.clone(),
                                    places: places.clone(),
                                    requests: requests.clone(),
                                    ..facts
                                }
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

/// Whether the command of a remedy is legal for the plan that it names, by the table of transitions.
/// Commands that only read are legal everywhere, `recover` where there is something to recover.
fn is_legal(remedy: &str, facts: &Facts) -> bool {
    let plans = told(facts);
    let words: Vec<&str> = remedy.split(' ').collect();
    match words[1..] {
        ["recover"] => plans.values().any(|plan| plan.stage.state() == State::Processing),
        ["lock", "explain", _] | ["plan", "list", ..] => true,
        ["plan", command, id, ..] => {
            let plan = PlanId::parse(id).ok().and_then(|id| plans.get(&id));
            may(command, *plan.unwrap_or_else(|| panic!("`{remedy}` is about a stranger")))
        }
        _ => panic!("what is `{remedy}`?"),
    }
}

/// A part of another plan is not run before its time, and only its parent applies it.
fn may(command: &str, plan: Told) -> bool {
    let Told { stage, part } = plan;
    let can = |verb| target(verb, stage).is_some();
    match command {
        "wait" | "diff" | "events" | "tree" | "why" => true,
        "execute" => {
            stage.phase() != Phase::Apply && (can(Verb::Execute) || can(Verb::Start)) && part != Some(false)
        }
        "apply" => {
            part.is_none() && (can(Verb::Apply) || (stage.phase() == Phase::Apply && can(Verb::Start)))
        }
        "retry" => can(Verb::Retry) && part != Some(false),
        "cancel" => can(Verb::Cancel),
        "prompt" => can(Verb::Prompt),
        _ => panic!("what is `{command}`?"),
    }
}

fn check(facts: &Facts) {
    let found = causes(facts);
    assert!(!found.is_empty(), "{facts:?}");
    for Cause { why, remedy } in found {
        assert!(is_legal(&remedy, facts), "{} {}: {remedy}: {facts:?}", facts.plan.stage, why.code());
    }
}

#[test]
fn every_stage_has_an_answer_in_every_situation_and_its_command_is_legal_there() {
    let busy = child(1, stage(Phase::Execute, State::Processing), &[]);
    let conflicted = child(3, stage(Phase::Apply, State::Constrained), &[]);
    let families = [Below::default(), Below::of([&busy, &asking(2), &conflicted])];
    for stage in Stage::all() {
        // Children are run at execute; elsewhere those that are there change nothing.
        let families = if stage.phase() == Phase::Execute { &families[..] } else { &families[1..] };
        for level in Automation::ALL {
            for situation in situations() {
                for below in families {
                    let mut facts = Facts { below: below.clone(), ..situation(facts(stage)) };
                    facts.plan.automation = level;
                    check(&facts);
                }
            }
        }
    }
}

/// A parent in every stage: driven or not, with children that ask or without.
fn parents() -> Vec<Facts> {
    let below = [Below::default(), Below::of([&asking(2)])];
    let holders = [None, Some(plan_held(false, Liveness::Alive)), Some(plan_held(false, Liveness::Dead))];
    let parents = Stage::all().flat_map(|stage| holders.clone().map(|holder| (stage, holder)));
    let parents =
        parents.flat_map(|(stage, holder)| below.clone().map(|below| (stage, holder.clone(), below)));
    parents.map(|(stage, holder, below)| Facts { holder, below, ..facts(stage) }).collect()
}

#[test]
fn every_stage_of_a_child_has_an_answer_whatever_its_parent_does_and_its_command_is_legal() {
    let parked =
        |input: Option<&str>| Parked { until: None, input: input.map(str::to_owned), cause: String::new() };
    let parkings = [None, Some(parked(None)), Some(parked(Some("?")))];
    let sibling = child(0, stage(Phase::Execute, State::Queued), &[]);
    for parent in parents() {
        for own in Stage::all() {
            for (needs, level) in
                [&[][..], &["part-0"]].into_iter().flat_map(|n| Automation::ALL.map(|l| (n, l)))
            {
                for parked in &parkings {
                    let mut record = child(1, own, needs);
                    (record.automation, record.parked) = (level, parked.clone());
                    let above = Above::new(&record, parent.clone(), [&sibling], Mode::Dependency);
                    let at_rest = part(record, above);
                    check(&Facts { holder: Some(plan_held(false, Liveness::Alive)), ..at_rest.clone() });
                    check(&at_rest);
                }
            }
        }
    }
}

#[test]
fn a_command_that_is_not_legal_is_seen() {
    let complete = facts(stage(Phase::Execute, State::Complete));
    let legal =
        |command: &str, facts: &Facts| is_legal(&format!("agents plan {command} {}", facts.plan.id), facts);
    assert!(legal("apply", &complete) && !legal("execute", &complete) && !legal("retry", &complete));
    assert!(!is_legal("agents recover", &complete));
    let begun = facts(stage(Phase::Execute, State::Processing));
    let part = |phase, state, needs: &[&str]| {
        let (record, other) = (child(1, stage(phase, state), needs), child(0, Stage::FIRST, &[]));
        let above = Above::new(&record, begun.clone(), [&other], Mode::Dependency);
        part(record, above)
    };
    assert!(!legal("apply", &part(Phase::Execute, State::Complete, &[])), "only its parent does");
    assert!(legal("retry", &part(Phase::Execute, State::Errored, &[])));
    assert!(!legal("retry", &part(Phase::Execute, State::Errored, &["part-0"])), "not before its time");
}
