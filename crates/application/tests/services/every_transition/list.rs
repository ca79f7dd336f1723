//! The public methods of the lifecycle service, each with a stage at which it is legal, and a call.

use std::collections::BTreeMap;
use std::pin::Pin;

use agents_application::lifecycle::{NewChild, Strategized};
use agents_application::{LifecycleError, PlanLifecycleService};
use agents_domain::id::{IntentId, PlanId};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Failure, InterruptCause, Origin, Parked, Phase, Plan, State};
use agents_domain::subplan::{GivenUp, Subplan};
use agents_domain::workspace::Intent;

use crate::support::order;

pub(super) type Call =
    fn(PlanLifecycleService, PlanId) -> Pin<Box<dyn Future<Output = Result<Plan, LifecycleError>>>>;

/// Every transition: its name, where it is legal, and the call.
pub(super) const TRANSITIONS: [(&str, Phase, State, Call); 29] = [
    ("start", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move { s.start(p, BTreeMap::new(), true).await })
    }),
    ("complete", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.complete(p, BTreeMap::new(), None, vec![]).await })
    }),
    ("fail", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.fail(p, failure(), None, vec![]).await })
    }),
    ("park", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.park(p, later(), vec![]).await })
    }),
    ("execute", Phase::Strategize, State::Complete, |s, p| Box::pin(async move { s.execute(p).await })),
    ("apply", Phase::Execute, State::Complete, |s, p| Box::pin(async move { s.apply(p).await })),
    ("constrain", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.constrain(p, failure(), vec![]).await })
    }),
    ("retry", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.retry(p).await })),
    ("retry_from", Phase::Execute, State::Errored, |s, p| {
        let resume = [(intent().project, intent().new)].into();
        Box::pin(async move { s.retry_from(p, resume, true).await })
    }),
    ("revert", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.revert(p, None).await })),
    ("interrupt", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.interrupt(p, InterruptCause::OwnerDied, vec![]).await })
    }),
    ("adopt", Phase::Execute, State::Processing, |s, p| Box::pin(async move { s.adopt(p).await })),
    ("cancel", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.cancel(p, None, false, vec![]).await })
    }),
    ("prompt", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move { s.prompt(p, "go on".into()).await })
    }),
    ("saved", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.saved(p, 1, vec![]).await })),
    ("intend", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move {
            let held = s.hold(p, "plan apply", agents_application::Wait::No).await?;
            let outcome = s.intend(p, vec![], vec![], &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("landed", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.landed(p, intent().id).await })
    }),
    ("landed_last", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.landed_last(p, intent().id).await })
    }),
    ("pass_strategize", Phase::Strategize, State::Queued, |s, p| {
        Box::pin(async move { s.pass_strategize(p, BTreeMap::new(), vec![], true).await })
    }),
    ("begin_apply", Phase::Execute, State::Complete, |s, p| Box::pin(async move { s.begin_apply(p).await })),
    ("pass_apply", Phase::Execute, State::Complete, |s, p| {
        Box::pin(async move {
            let held = s.hold(p, "plan apply", agents_application::Wait::No).await?;
            let outcome = s.pass_apply(p, &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("applied", Phase::Apply, State::Processing, |s, p| Box::pin(async move { s.applied(p).await })),
    ("complete_strategize", Phase::Strategize, State::Processing, |s, p| {
        let made = Strategized { children: vec![child_of(p)], ..Strategized::default() };
        Box::pin(async move { s.complete_strategize(p, made).await })
    }),
    ("spawn", Phase::Strategize, State::Queued, |s, p| {
        Box::pin(async move { s.spawn(p, vec![child_of(p)], &BTreeMap::new()).await })
    }),
    ("merged", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.merged(p, child_of(p).id, "docs".into(), BTreeMap::new()).await })
    }),
    ("conflicted", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.conflicted(p, child_of(p).id, "docs".into(), failure()).await })
    }),
    ("command_started", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.command_started(p).await })
    }),
    ("give_up", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move {
            // The parent's lock in earnest; here any that is held.
            let held = s.hold(p, "plan execute", agents_application::Wait::No).await?;
            let outcome = s.give_up(p, GivenUp::Skipped { by: "docs".into() }, &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("create", Phase::Strategize, State::Queued, |s, _| {
        Box::pin(async move {
            let (plan, guard) = s.create(order(), "plan use").await?;
            guard.release().await.expect("released");
            Ok(plan)
        })
    }),
];

/// What reads, or only takes the lock.
pub(super) const OTHERS: [&str; 6] = ["hold", "load", "definition", "events", "works", "unfinished"];

fn later() -> Parked {
    Parked { until: None, input: None, cause: "later".to_owned() }
}

/// A child that is about to be stored.
fn child_of(parent: PlanId) -> NewChild {
    let subplan = Subplan {
        parent,
        root: parent,
        depth: 1,
        position: 0,
        name: "docs".into(),
        depends_on: vec![],
        failures: 0,
        given_up: None,
    };
    let origin = Origin { subplan: Some(subplan), ..origin() };
    let id = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB1").expect("valid");
    NewChild { id, origin, definition: order().definition }
}

pub(super) fn origin() -> Origin {
    Origin {
        name: None,
        action: Name::parse("fix").expect("valid"),
        automation: agents_domain::action::Automation::Review,
        projects: vec![Name::parse("api").expect("valid")],
        subplan: None,
    }
}

pub(super) fn failure() -> Failure {
    Failure { code: "x".into(), message: "x".into(), hint: None, retryable: true }
}

pub(super) fn intent() -> Intent {
    let oid = |digit: &str| Oid::parse(&digit.repeat(40)).expect("valid");
    Intent {
        id: IntentId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid"),
        project: Name::parse("api").expect("valid"),
        reference: "refs/heads/main".into(),
        old: oid("1"),
        new: oid("2"),
    }
}
