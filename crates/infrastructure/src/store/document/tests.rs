//! Every change survives its payload, and nothing else is taken for one.

use super::*;

fn oid(digit: &str) -> Oid {
    Oid::parse(&digit.repeat(40)).expect("valid")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

fn holder() -> Holder {
    Holder {
        host: "h".into(),
        boot_id: "b".into(),
        pid_namespace: "n".into(),
        pid: 7,
        started: u64::MAX,
        user: "u\"\n".into(),
        operation: "plan execute".into(),
    }
}

fn work() -> Vec<Work> {
    let snapshot = Saved::Snapshot { reference: "refs/x".into(), commit: oid("a"), kept: None };
    let directory = Saved::Directory { reason: "disk full".into() };
    let pending = Saved::Pending { host: "far".into() };
    [snapshot, directory, pending].map(|saved| Work { project: name("api"), saved }).into()
}

fn failure() -> Failure {
    Failure { code: "c".into(), message: "m".into(), hint: Some("h".into()), retryable: true }
}

fn plan(last: char) -> PlanId {
    PlanId::parse(&format!("01ARZ3NDEKTSV4RRFFQ69G5FA{last}")).expect("valid")
}

fn subplan() -> Subplan {
    Subplan {
        parent: plan('P'),
        root: plan('R'),
        depth: 2,
        position: 1,
        name: "api".into(),
        depends_on: vec!["web".into(), "db".into()],
        failures: 3,
        given_up: None,
    }
}

fn spawned(replaces: Option<PlanId>) -> Spawned {
    Spawned { plan: plan('A'), name: "api".into(), action: name("port"), replaces }
}

fn given_up(why: GivenUp) -> Change {
    Change::Cancelled { reason: Some(why.reason()), keep_landed: false, work: vec![], given_up: Some(why) }
}

fn retried() -> Change {
    Change::Retried { resume: BTreeMap::new(), anew: false }
}

fn every_change() -> Vec<Change> {
    let intent_id = IntentId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let intent = Intent {
        id: intent_id,
        project: name("api"),
        reference: "refs/heads/main".into(),
        old: oid("1"),
        new: oid("2"),
    };
    let validation = Validation {
        name: "tests".into(),
        project: name("api"),
        required: true,
        passed: false,
        message: None,
    };
    let origin = Origin {
        name: Some("n".into()),
        action: name("port"),
        automation: Automation::Auto,
        projects: vec![name("api"), name("web")],
        subplan: Some(subplan()),
    };
    let oids: BTreeMap<_, _> = [(name("api"), oid("3"))].into();
    vec![
        Change::Created(origin),
        Change::PhaseStarted { driver: holder(), bases: oids.clone(), commanded: true },
        Change::PhaseCompleted { tips: oids.clone(), strategy: Some("s".into()), work: work() },
        Change::PhaseFailed { failure: failure(), exit: None, work: work() },
        Change::PhaseFailed { failure: failure(), exit: Some(Exit::Code(3)), work: vec![] },
        Change::PhaseFailed { failure: failure(), exit: Some(Exit::Signal(9)), work: vec![] },
        Change::Parked {
            until: Some(Timestamp::from_millis(-5)),
            input: Some("which?".into()),
            cause: "c".into(),
            work: work(),
        },
        Change::PhaseAdvanced { to: Phase::Apply },
        Change::Applied,
        Change::Constrained { failure: failure(), validations: vec![validation.clone()] },
        retried(),
        Change::Retried { resume: oids.clone(), anew: true },
        Change::Reverted { reason: None },
        Change::Interrupted { cause: InterruptCause::LeaseLost, work: vec![] },
        Change::Adopted { driver: holder() },
        Change::Cancelled { reason: Some("r".into()), keep_landed: false, work: vec![], given_up: None },
        given_up(GivenUp::Skipped { by: "api".into() }),
        given_up(GivenUp::FailFast { by: "web".into() }),
        Change::Prompted { text: "t".into() },
        Change::LandingIntended { intents: vec![intent], validations: vec![validation] },
        Change::Landed { intent: intent_id },
        Change::Spawned { children: vec![spawned(None), spawned(Some(plan('B')))] },
        Change::SubplanMerged { child: plan('A'), name: "api".into(), tips: oids },
        Change::SubplanConflicted { child: plan('A'), name: "api".into(), failure: failure() },
        Change::WorkSaved { attempt: 3, work: work() },
        Change::CommandStarted,
    ]
}

#[test]
fn every_change_survives_its_payload_under_the_name_of_its_event() {
    for change in every_change() {
        let json = change_to_json(&change);
        assert_eq!(change_from_json(&json).expect("reads back"), change, "{json}");
        assert!(json.contains(&format!("\"kind\":\"{}\"", change.event_name())), "{json}");
    }
}

#[test]
fn payloads_of_the_first_release_are_read_and_plain_ones_are_still_written_like_them() {
    let old = r#"{"kind":"plan.retried"}"#;
    assert_eq!(change_from_json(old).expect("old"), retried());
    assert_eq!(change_to_json(&retried()), old);
    let failed = r#"{"kind":"plan.phase_failed","failure":{"code":"c","message":"m","hint":null,"retryable":false},"work":[]}"#;
    let change = change_from_json(failed).expect("old");
    assert!(matches!(&change, Change::PhaseFailed { exit: None, .. }));
    assert_eq!(change_to_json(&change), failed);
    let created = r#"{"kind":"plan.created","name":null,"action":"local/port","automation":"review","projects":["local/api"],"parent":null}"#;
    let change = change_from_json(created).expect("old");
    assert!(matches!(&change, Change::Created(origin) if origin.subplan.is_none()));
    assert_eq!(change_to_json(&change), created);
}

#[test]
fn payloads_of_the_second_release_are_read_and_plain_ones_are_still_written_like_them() {
    let resumed = format!(r#"{{"kind":"plan.retried","resume":{{"local/api":"{}"}}}}"#, oid("3"));
    let change = change_from_json(&resumed).expect("old");
    assert!(matches!(&change, Change::Retried { anew: false, .. }));
    assert_eq!(change_to_json(&change), resumed);
    let cancelled = r#"{"kind":"plan.cancelled","reason":"r","keep_landed":true,"work":[]}"#;
    let change = change_from_json(cancelled).expect("old");
    assert!(matches!(&change, Change::Cancelled { given_up: None, .. }));
    assert_eq!(change_to_json(&change), cancelled);
}

#[test]
fn a_child_knows_whose_it_is_in_its_first_payload() {
    let origin = Origin {
        name: None,
        action: name("port"),
        automation: Automation::Auto,
        projects: vec![],
        subplan: Some(Subplan { given_up: Some(GivenUp::Skipped { by: "db".into() }), ..subplan() }),
    };
    let json = change_to_json(&Change::Created(origin.clone()));
    let child = r#""parent":{"parent":"01ARZ3NDEKTSV4RRFFQ69G5FAP","root":"01ARZ3NDEKTSV4RRFFQ69G5FAR","depth":2,"position":1,"name":"api","depends_on":["web","db"],"failures":3,"given_up":{"skipped":{"by":"db"}}}"#;
    assert!(json.contains(child), "{json}");
    assert_eq!(change_from_json(&json).expect("reads back"), Change::Created(origin));
}

#[test]
fn payloads_are_flat_and_plain() {
    let json = change_to_json(&Change::PhaseAdvanced { to: Phase::Execute });
    assert_eq!(json, r#"{"kind":"plan.phase_advanced","to":"execute"}"#);
    assert_eq!(change_to_json(&Change::Applied), r#"{"kind":"plan.applied"}"#);
}

#[test]
fn what_the_domain_cannot_express_is_refused() {
    for json in [
        "",
        "{}",
        r#"{"kind":"plan.exploded"}"#,
        r#"{"kind":"plan.prompted"}"#,
        r#"{"kind":"plan.prompted","text":"t","later":1}"#,
        r#"{"kind":"plan.phase_advanced","to":"nowhere"}"#,
        r#"{"kind":"plan.landed","intent":"short"}"#,
        r#"{"kind":"subplan.spawned","children":[{"plan":"short","name":"n","action":"local/a","replaces":null}]}"#,
        r#"{"kind":"plan.cancelled","reason":null,"keep_landed":false,"work":[],"given_up":{"tired":{"by":"api"}}}"#,
    ] {
        assert!(change_from_json(json).is_err(), "{json}");
    }
    assert!(validations_from_json("[{}]").is_err());
}
