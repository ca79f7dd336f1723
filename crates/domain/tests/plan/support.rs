//! Values and short cuts for the tests of the lifecycle.

use std::collections::BTreeMap;

use agents_domain::action::Automation;
use agents_domain::id::{EventId, IntentId, PlanId};
use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{
    Change, Event, Failure, InterruptCause, Origin, Phase, Plan, Refusal, Saved, Spawned, Step, Validation,
    Work, next,
};
use agents_domain::subplan::{GivenUp, Subplan};
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;

/// A moment.
pub(crate) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn plan_id(n: u32) -> PlanId {
    PlanId::parse(&format!("01PAN{n:021}")).expect("a ULID")
}

pub(crate) fn intent_id(n: u32) -> IntentId {
    IntentId::parse(&format!("01NTENT{n:019}")).expect("a ULID")
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub(crate) fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).expect("an object id")
}

pub(crate) fn holder(pid: u32) -> Holder {
    Holder {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid_namespace: "pid:[1]".to_owned(),
        pid,
        started: 9,
        user: "ada".to_owned(),
        operation: "plan execute".to_owned(),
    }
}

pub(crate) fn failure(message: &str) -> Failure {
    Failure { code: "exit_code".to_owned(), message: message.to_owned(), hint: None, retryable: false }
}

pub(crate) fn validation(passed: bool) -> Validation {
    Validation { name: "clippy".to_owned(), project: name("api"), required: true, passed, message: None }
}

fn work() -> Vec<Work> {
    vec![snapshot("api", 'a')]
}

/// Work of which there is a snapshot.
pub(crate) fn snapshot(project: &str, digit: char) -> Work {
    let saved = Saved::Snapshot { reference: "refs/agents/x".to_owned(), commit: oid(digit), kept: None };
    Work { project: name(project), saved }
}

/// Work that is only in its directory.
pub(crate) fn directory(project: &str) -> Work {
    Work { project: name(project), saved: Saved::Directory { reason: "disk full".to_owned() } }
}

/// A failure that left this work.
pub(crate) fn fail_with(work: Vec<Work>) -> Change {
    Change::PhaseFailed { failure: failure("broken"), exit: None, work }
}

/// The order of another attempt, which goes on from commits that are all made of these digits.
pub(crate) fn go_on(from: &[(&str, char)]) -> Change {
    Change::Retried { resume: commits(from), anew: true }
}

/// The order of another attempt by a policy or a scheduler.
pub(crate) fn try_again() -> Change {
    Change::Retried { resume: BTreeMap::new(), anew: false }
}

/// Commits that are all made of these digits.
fn commits(of: &[(&str, char)]) -> BTreeMap<Name, Oid> {
    of.iter().map(|(project, digit)| (name(project), oid(*digit))).collect()
}

/// The order of a plan with two projects, `api` and `web`.
pub(crate) fn origin() -> Origin {
    Origin {
        name: Some("lint".to_owned()),
        action: name("fix-lint"),
        automation: Automation::Review,
        projects: vec![name("api"), name("web")],
        subplan: None,
    }
}

/// The same order as the third part of plan 2, itself a part of plan 3.
pub(crate) fn origin_of_child() -> Origin {
    let subplan = Subplan {
        parent: plan_id(2),
        root: plan_id(3),
        depth: 2,
        position: 2,
        name: "docs".to_owned(),
        depends_on: vec!["api".to_owned()],
        failures: 0,
        given_up: None,
    };
    Origin { subplan: Some(subplan), ..origin() }
}

pub(crate) fn start() -> Change {
    start_from('0', true)
}

/// A start whose bases are all made of that digit.
pub(crate) fn start_from(digit: char, commanded: bool) -> Change {
    let bases = BTreeMap::from([(name("api"), oid(digit)), (name("web"), oid(digit))]);
    Change::PhaseStarted { driver: holder(1), bases, commanded }
}

pub(crate) fn complete() -> Change {
    Change::PhaseCompleted { tips: BTreeMap::new(), strategy: None, work: work() }
}

pub(crate) fn fail(message: &str) -> Change {
    Change::PhaseFailed { failure: failure(message), exit: None, work: work() }
}

pub(crate) fn park(input: Option<&str>) -> Change {
    let input = input.map(str::to_owned);
    Change::Parked { until: Some(at(99)), input, cause: "quota".to_owned(), work: Vec::new() }
}

pub(crate) fn advance(to: Phase) -> Change {
    Change::PhaseAdvanced { to }
}

pub(crate) fn constrain() -> Change {
    Change::Constrained { failure: failure("conflict"), validations: vec![validation(false)] }
}

pub(crate) fn revert(reason: &str) -> Change {
    Change::Reverted { reason: Some(reason.to_owned()) }
}

pub(crate) fn interrupt(cause: InterruptCause) -> Change {
    Change::Interrupted { cause, work: work() }
}

pub(crate) fn adopt(pid: u32) -> Change {
    Change::Adopted { driver: holder(pid) }
}

pub(crate) fn cancel(keep_landed: bool) -> Change {
    let reason = Some("enough".to_owned());
    Change::Cancelled { reason, keep_landed, work: Vec::new(), given_up: None }
}

/// What a scheduler records of a child that it gives up.
pub(crate) fn give_up(given_up: GivenUp) -> Change {
    let reason = Some(given_up.reason());
    Change::Cancelled { reason, keep_landed: false, work: Vec::new(), given_up: Some(given_up) }
}

/// So many children.
pub(crate) fn spawn(children: u32) -> Change {
    let child = |n| Spawned {
        plan: plan_id(100 + n),
        name: format!("part-{n}"),
        action: name("fix-lint"),
        replaces: (n == 2).then(|| plan_id(99)),
    };
    Change::Spawned { children: (0..children).map(child).collect() }
}

/// The work of a child, merged into these commits.
pub(crate) fn merge(tips: &[(&str, char)]) -> Change {
    Change::SubplanMerged { child: plan_id(100), name: "part-0".to_owned(), tips: commits(tips) }
}

pub(crate) fn conflict() -> Change {
    let failure = failure("both changed README");
    Change::SubplanConflicted { child: plan_id(100), name: "part-0".to_owned(), failure }
}

pub(crate) fn prompt(text: &str) -> Change {
    Change::Prompted { text: text.to_owned() }
}

/// The decision to move the branches of these projects, by intents with these numbers.
pub(crate) fn intend(projects: &[(&str, u32)]) -> Change {
    let intent = |&(project, id): &(&str, u32)| Intent {
        id: intent_id(id),
        project: name(project),
        reference: "refs/heads/main".to_owned(),
        old: oid('1'),
        new: oid('2'),
    };
    let intents = projects.iter().map(intent).collect();
    Change::LandingIntended { intents, validations: vec![validation(true)] }
}

pub(crate) fn land(id: u32) -> Change {
    Change::Landed { intent: intent_id(id) }
}

/// At least one change for each verb and each guard; several for some.
pub(crate) fn samples() -> Vec<Change> {
    let mut samples =
        vec![Change::Created(origin()), Change::Applied, Change::retried(), constrain(), complete()];
    samples.extend([start(), start_from('4', false), fail("broken"), park(None), park(Some("which?"))]);
    samples.extend(Phase::ALL.map(advance));
    samples.extend([revert("wrong way"), Change::Reverted { reason: None }]);
    samples.extend(InterruptCause::ALL.map(interrupt));
    samples.push(go_on(&[("api", '7')]));
    samples.push(fail_with(vec![snapshot("api", 'b'), directory("web")]));
    samples.extend([1, 2].map(|attempt| Change::WorkSaved { attempt, work: vec![snapshot("api", 'e')] }));
    samples.extend([adopt(2), cancel(false), cancel(true), prompt("smaller")]);
    samples.extend([
        intend(&[]),
        intend(&[("api", 1)]),
        intend(&[("web", 2)]),
        intend(&[("api", 3), ("web", 4)]),
    ]);
    samples.extend([intend(&[("elsewhere", 5)]), land(1), land(2), land(3), land(4), land(9)]);
    samples.extend([start_from('5', false), try_again(), give_up(GivenUp::Skipped { by: "api".to_owned() })]);
    samples.extend([spawn(0), spawn(3), merge(&[]), merge(&[("api", '8')]), merge(&[("elsewhere", '8')])]);
    samples.extend([conflict(), Change::CommandStarted]);
    samples
}

/// A plan and its log, driven by changes that must all be legal.
#[derive(Clone)]
pub(crate) struct Story {
    pub(crate) plan: Plan,
    pub(crate) events: Vec<Event>,
}

impl Story {
    pub(crate) fn new() -> Self {
        Self::ordered(origin())
    }

    /// The story of a plan that is a part of another one.
    pub(crate) fn child() -> Self {
        Self::ordered(origin_of_child())
    }

    fn ordered(origin: Origin) -> Self {
        let plan = Plan::create(plan_id(1), &origin, at(0));
        let mut story = Self { plan, events: Vec::new() };
        story.record(Change::Created(origin), at(0));
        story
    }

    /// A plan to which these changes happened, one a millisecond.
    pub(crate) fn of(changes: impl IntoIterator<Item = Change>) -> Self {
        Self::new().and(changes)
    }

    /// The same plan after these changes, one a millisecond.
    pub(crate) fn and(self, changes: impl IntoIterator<Item = Change>) -> Self {
        changes.into_iter().fold(self, |mut story, change| {
            story.go(change);
            story
        })
    }

    /// A plan in execute/processing, to which these changes happened.
    pub(crate) fn executing(changes: impl IntoIterator<Item = Change>) -> Self {
        Self::of([start(), complete(), advance(Phase::Execute), start()].into_iter().chain(changes))
    }

    /// A plan in apply/processing, to which these changes happened.
    pub(crate) fn applying(changes: impl IntoIterator<Item = Change>) -> Self {
        let road = [start(), complete(), advance(Phase::Execute), start(), complete(), advance(Phase::Apply)];
        Self::of(road.into_iter().chain([start()]).chain(changes))
    }

    /// One more change, which must move the plan.
    pub(crate) fn go(&mut self, change: Change) -> &mut Self {
        let now = at(i64::try_from(self.plan.version).expect("small"));
        match next(&self.plan, &change, now) {
            Ok(Step::Moved(plan)) => self.plan = plan,
            other => panic!("{change:?} did not move {}: {other:?}", self.plan.stage),
        }
        self.record(change, now);
        self
    }

    /// What the function says to a change.
    pub(crate) fn try_change(&self, change: &Change) -> Result<Step, Refusal> {
        next(&self.plan, change, at(500))
    }

    /// The refusal of a change that must be refused.
    pub(crate) fn refusal(&self, change: &Change) -> Refusal {
        self.try_change(change).expect_err("an illegal change")
    }

    fn record(&mut self, change: Change, at: Timestamp) {
        let seq = self.plan.version;
        let id = EventId::parse(&format!("01EVENT{seq:019}")).expect("a ULID");
        self.events.push(Event { id, plan: self.plan.id, seq, at, owner: None, token: None, change });
    }
}
