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
    [snapshot, directory].map(|saved| Work { project: name("api"), saved }).into()
}

fn every_change() -> Vec<Change> {
    let failure = Failure { code: "c".into(), message: "m".into(), hint: Some("h".into()), retryable: true };
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
        parent: Some(PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid")),
    };
    let oids: BTreeMap<_, _> = [(name("api"), oid("3"))].into();
    vec![
        Change::Created(origin),
        Change::PhaseStarted { driver: holder(), bases: oids.clone(), commanded: true },
        Change::PhaseCompleted { tips: oids.clone(), strategy: Some("s".into()), work: work() },
        Change::PhaseFailed { failure: failure.clone(), exit: None, work: work() },
        Change::PhaseFailed { failure: failure.clone(), exit: Some(Exit::Code(3)), work: vec![] },
        Change::PhaseFailed { failure: failure.clone(), exit: Some(Exit::Signal(9)), work: vec![] },
        Change::Parked {
            until: Some(Timestamp::from_millis(-5)),
            input: Some("which?".into()),
            cause: "c".into(),
            work: work(),
        },
        Change::PhaseAdvanced { to: Phase::Apply },
        Change::Applied,
        Change::Constrained { failure, validations: vec![validation.clone()] },
        Change::retried(),
        Change::Retried { resume: oids.clone() },
        Change::Reverted { reason: None },
        Change::Interrupted { cause: InterruptCause::LeaseLost, work: vec![] },
        Change::Adopted { driver: holder() },
        Change::Cancelled { reason: Some("r".into()), keep_landed: false, work: vec![] },
        Change::Prompted { text: "t".into() },
        Change::LandingIntended { intents: vec![intent], validations: vec![validation] },
        Change::Landed { intent: intent_id },
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
    let retried = r#"{"kind":"plan.retried"}"#;
    assert_eq!(change_from_json(retried).expect("old"), Change::retried());
    assert_eq!(change_to_json(&Change::retried()), retried);
    let failed = r#"{"kind":"plan.phase_failed","failure":{"code":"c","message":"m","hint":null,"retryable":false},"work":[]}"#;
    let change = change_from_json(failed).expect("old");
    assert!(matches!(&change, Change::PhaseFailed { exit: None, .. }));
    assert_eq!(change_to_json(&change), failed);
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
    ] {
        assert!(change_from_json(json).is_err(), "{json}");
    }
    assert!(validations_from_json("[{}]").is_err());
}
