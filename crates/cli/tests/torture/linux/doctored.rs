//! Evidence that is doctored: after a run in which all is well, one thing after another is made to look
//! as if it had gone wrong, and the checker must say so each time. What it cannot see it does not prove.

mod trees;

use std::io::Write as _;

use crate::linux::checker;
use crate::linux::git;
use crate::linux::options::Options;
use crate::linux::place::On;
use crate::linux::runs::Run;
use crate::linux::summary::Report;
use crate::linux::world::World;

/// What is done to the evidence, and what the checker must say then.
type Doctoring = (&'static str, fn(&World, &str), &'static str);

const DOCTORINGS: [Doctoring; 12] = [
    (
        "a token is granted twice",
        |world, plan| {
            let row = format!("INSERT INTO witness (kind, key, token) VALUES ('grant', 'plan/{plan}', 1)");
            world.oracle.doctor(&row);
        },
        "token 1 after",
    ),
    (
        "a row says what its log does not",
        |world, plan| {
            world.oracle.doctor(&format!("UPDATE plans SET strategy = 'another' WHERE id = '{plan}'"));
        },
        "T2 plan/",
    ),
    (
        "an answer that is not in the log",
        |world, plan| {
            said(world, |run| run.out = run.out.replace("\"version\":1", "\"version\":99"), plan);
        },
        "which is not in the history",
    ),
    ("an answer from the past", |world, plan| said(world, |_| (), plan), "saw version 1, though"),
    (
        "words of the database",
        |world, plan| {
            said(world, |run| "error: database is locked".clone_into(&mut run.err), plan);
            said(world, |run| "error: deadlock detected".clone_into(&mut run.err), plan);
        },
        "says `deadlock detected`",
    ),
    (
        "two attempts at once",
        |world, plan| {
            let path = world.journal().join(plan);
            let text = std::fs::read_to_string(&path).expect("a journal");
            let last = text.lines().last().expect("a line").replacen(" 2 ", " 1 ", 1);
            append(&path, &format!("{last}\n"));
        },
        "beside attempt",
    ),
    (
        "work that is done twice",
        |world, plan| {
            append(&world.journal().join(plan), "1 1 2 begin execute \n");
        },
        "ran execute twice",
    ),
    (
        "work for an attempt of which nobody knows",
        |world, plan| {
            append(&world.journal().join(plan), "1 1 9 begin execute \n");
        },
        "which to its log is None",
    ),
    (
        "a command without a lease",
        |world, plan| {
            append(&world.journal().join(plan), "1 1 1 beat\n");
        },
        "lived without a lease",
    ),
    (
        "a marker that is gone",
        |world, _| {
            drop_refs(world, "refs/agents/landed/");
        },
        "has the marker None",
    ),
    (
        "work that is gone",
        |world, _| {
            drop_refs(world, "refs/agents/");
            drop_refs(world, "refs/heads/agents/");
            git::must(&world.repository("api"), &["reset", "-q", "--hard", "main~1"]);
        },
        "is in no ref",
    ),
    (
        "a lock that stays",
        |world, plan| {
            world.oracle.doctor(&format!(
                "UPDATE locks SET owner_id = 'nobody', acquired_at = 0, expires_at = 0, boot_id = '',
                 expires_boottime_ms = 0, pid = 0 WHERE resource_id = '{plan}'"
            ));
        },
        "stays held",
    ),
];

/// What there is on a server besides.
const ON_A_SERVER: Doctoring = (
    "a write that is committed after the next grant",
    |world, plan| {
        world.oracle.doctor(&format!(
            "INSERT INTO witness (kind, key, lock_key, owner, token, lock_owner, lock_token, seq)
             VALUES ('event', 'plan/{plan}', 'plan/{plan}', 'ada', 1, 'ada', 1, 9)"
        ));
    },
    "event 9 at token 1 was committed after",
);

/// Doctors the evidence of one plan, step by step.
pub(crate) fn run(options: &Options) -> Vec<Report> {
    let _quiet = crate::linux::weather::QUIET.read();
    let world = World::new(options, None, None);
    world.tell(crate::linux::child::CALM, "");
    let made = world.run(&["plan", "use", "quick", "api"]);
    let document = made.document().unwrap_or_default();
    let plan = document["data"]["plan_id"].as_str().expect("a plan").to_owned();
    world.run(&["plan", "execute", &plan]);
    world.run(&["plan", "apply", &plan, "--yes"]);
    let mut violations = checker::check(&world).violations;
    let more = (options.on == On::Postgres).then_some(ON_A_SERVER);
    for doctoring in DOCTORINGS.into_iter().chain(more) {
        violations.extend(unseen(&world, &plan, doctoring));
    }
    let kept = world.end(options.keep || !violations.is_empty());
    let mut report = Report::of(&format!("doctored evidence on {}", options.on.name()), &violations, kept);
    report.lines.push(format!("{} kinds of it", DOCTORINGS.len() + usize::from(more.is_some())));
    vec![report, trees::run(options)]
}

/// What the checker did not notice.
fn unseen(world: &World, plan: &str, (what, doctor, expected): Doctoring) -> Option<String> {
    doctor(world, plan);
    let mut found = checker::check(world).violations;
    found.extend(checker::settled(world));
    found.extend(crate::linux::drain::left(world));
    let seen = found.iter().any(|found| found.contains(expected));
    (!seen).then(|| format!("doctored: {what}, and the checker did not say `{expected}`"))
}

/// The answer that made the plan, amended, and given once more now.
fn said(world: &World, amend: impl FnOnce(&mut Run), plan: &str) {
    let now = crate::linux::clock::now();
    let mut runs = world.runs.lock().expect("whole");
    let made = runs.iter().find(|run| run.out.contains(plan)).expect("it was made");
    let mut again = Run { number: runs.len(), from: now, to: now, ..made.clone() };
    amend(&mut again);
    runs.push(again);
}

fn append(path: &std::path::Path, line: &str) {
    let file = std::fs::OpenOptions::new().append(true).open(path);
    file.expect("it is there").write_all(line.as_bytes()).expect("written");
}

fn drop_refs(world: &World, below: &str) {
    let repository = world.repository("api");
    for name in git::must(&repository, &["for-each-ref", "--format=%(refname)", below]).lines() {
        git::must(&repository, &["update-ref", "-d", name]);
    }
}
