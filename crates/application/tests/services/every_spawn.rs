//! No public method of the service of subplans commits without holding the parent's lock.

use std::pin::Pin;
use std::sync::Arc;

use agents_application::lifecycle::LifecycleError;
use agents_application::subplan_service::{SpawnError, SubplanParts, SubplanProblem};
use agents_application::{SubplanService, Wait};
use agents_domain::catalogue::{MockActionStore, StoredAction};
use agents_domain::name::Name;
use agents_domain::plan::{CommitOutcome, Phase, Plan, State, StoreError};
use agents_domain::reads::MockPlanReads;
use agents_domain::subplan::{MAX_DEPTH, SubplanItem};
use agents_domain::time::Timestamp;
use agents_infrastructure::ids::CountingIds;
use rstest::rstest;

use crate::every_transition::{Stage1, methods, stage};
use crate::support::order;

type Call = fn(SubplanService, Plan) -> Pin<Box<dyn Future<Output = Result<(), SpawnError>>>>;

/// Every public method, what it asks of locks and store, and the call.
const METHODS: [(&str, &[&str], Call); 4] = [
    ("spawn", &["acquire", "load", "load", "commit", "release"], |service, plan| {
        Box::pin(async move { service.spawn(plan.id, &[item("docs")], Wait::No).await.map(drop) })
    }),
    ("prepare", &[], |service, plan| {
        Box::pin(async move {
            let made = service.prepare(&plan, &order().definition, &[item("docs")]).await?;
            assert_eq!(made.len(), 1);
            Ok(())
        })
    }),
    ("family", &[], |service, plan| Box::pin(async move { Ok(service.family(plan.id).await.map(drop)?) })),
    ("successors", &[], |service, _| Box::pin(async move { Ok(service.successors(&[]).await.map(drop)?) })),
];

fn item(name: &str) -> SubplanItem {
    let action = Name::parse("fix").expect("valid");
    SubplanItem { name: name.into(), action, args: [].into(), depends_on: vec![], projects: vec![] }
}

/// The service on mocks, and its parent plan, which is at strategize/queued.
async fn service(
    commit: impl Fn() -> Result<CommitOutcome, StoreError> + Send + 'static,
) -> (SubplanService, Plan, Stage1) {
    let stage = stage("spawn", Phase::Strategize, State::Queued, commit);
    let (mut reads, mut actions) = (MockPlanReads::new(), MockActionStore::new());
    reads.expect_family().returning(|_| Ok(Vec::new()));
    actions.expect_get().returning(|name| {
        let action = order().definition.action;
        let there = action.name == *name;
        Ok(there.then(|| StoredAction { action, source: String::new(), updated_at: Timestamp::default() }))
    });
    let service = SubplanService::new(SubplanParts {
        lifecycle: stage.service.clone(),
        reads: Arc::new(reads),
        actions: Arc::new(actions),
        ids: Arc::new(CountingIds::default()),
        max_depth: MAX_DEPTH,
    });
    let plan = stage.service.load(stage.plan).await.expect("there");
    stage.trace.lock().expect("unpoisoned").clear();
    (service, plan, stage)
}

fn trace(stage: &Stage1) -> Vec<&'static str> {
    stage.trace.lock().expect("unpoisoned").clone()
}

#[tokio::test]
async fn every_public_method_commits_only_while_it_holds() {
    for (name, expected, call) in METHODS {
        let (service, plan, stage) = service(|| Ok(CommitOutcome::Applied)).await;
        call(service, plan).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(trace(&stage), expected, "{name}");
    }
}

#[test]
fn no_public_method_is_missing_from_the_list() {
    let mut listed = METHODS.map(|method| method.0);
    listed.sort_unstable();
    let found = methods(&[
        include_str!("../../src/subplan_service.rs"),
        include_str!("../../src/subplan_service/check.rs"),
        include_str!("../../src/subplan_service/family.rs"),
    ]);
    assert_eq!(found, listed);
}

#[rstest]
#[case::lost(Ok(CommitOutcome::Stale))]
#[case::gone(Ok(CommitOutcome::Missing))]
#[case::out_of_reach(Err(StoreError::Unavailable { reason: "x".into() }))]
#[tokio::test]
async fn the_lock_is_released_when_the_write_is_refused(#[case] outcome: Result<CommitOutcome, StoreError>) {
    let (service, plan, stage) = service(move || outcome.clone()).await;
    let refused = service.spawn(plan.id, &[item("docs")], Wait::No).await;
    assert!(matches!(refused, Err(SpawnError::Lifecycle(_))), "{refused:?}");
    assert_eq!(trace(&stage).last(), Some(&"release"));
}

#[tokio::test]
async fn what_is_invalid_is_told_at_once_and_nothing_is_written() {
    let (service, plan, stage) = service(|| panic!("nothing to commit")).await;
    let mut stranger = item("docs");
    stranger.projects = vec![Name::parse("web").expect("valid")];
    let mut unknown = item("docs");
    unknown.action = Name::parse("nothing").expect("valid");
    let refused = service.spawn(plan.id, &[stranger, unknown], Wait::No).await;
    let Err(SpawnError::Invalid(invalid)) = refused else { panic!("{refused:?}") };
    assert!(matches!(
        &invalid.problems[..],
        [SubplanProblem::Graph(_), SubplanProblem::NotAProject { .. }, SubplanProblem::NoSuchAction { .. }]
    ));
    let said = invalid.to_string();
    assert!(said.contains("3 things are wrong") && said.contains("no action local/nothing"), "{said}");
    assert_eq!(trace(&stage), ["acquire", "load", "release"]);
}

#[tokio::test]
async fn no_child_at_all_is_refused() {
    let (service, plan, _) = service(|| panic!("nothing to commit")).await;
    let refused = service.spawn(plan.id, &[], Wait::No).await;
    assert!(matches!(refused, Err(SpawnError::Lifecycle(LifecycleError::Refused(_)))), "{refused:?}");
}
