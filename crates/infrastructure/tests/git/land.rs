//! Landing: once, or not at all.

use std::fs;
use std::time::Duration;

use agents_domain::action::MergeStrategy;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Landing, Landings as _, Merged, WorkspaceError, Worktrees as _};

use agents_infrastructure::git::GitWorkspace;

use crate::fixture::{Fixture, commit, fifo, git, oid, plan, read, script, write, written};

fn prepared() -> (Fixture, Intent) {
    let fixture = Fixture::new();
    let new = fixture.side_commit(&[("a", "a2\n")]);
    let intent = fixture.intent(&new);
    (fixture, intent)
}

async fn land(fixture: &Fixture, intent: &Intent) -> Result<Landing, WorkspaceError> {
    fixture.workspace.land(&fixture.project, intent).await
}

fn marker(fixture: &Fixture, intent: &Intent) -> Oid {
    oid(&fixture.repo, &intent.marker())
}

#[tokio::test]
async fn landing_twice_moves_once() {
    let (fixture, intent) = prepared();
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::Landed));
    assert_eq!((fixture.head(), marker(&fixture, &intent)), (intent.new.clone(), intent.new.clone()));
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::Landed));
    let moves = git(&fixture.repo, &["reflog", "show", "--format=%gs", "main"]);
    assert_eq!(moves.lines().next(), Some("agents: landing 01BX5ZZKBKACTAV9WEVGEMMVRZ"));
    assert_eq!(moves.lines().filter(|line| line.contains("landing")).count(), 1);
}

#[tokio::test]
async fn a_branch_reset_after_landing_is_not_moved_again() {
    let (fixture, intent) = prepared();
    land(&fixture, &intent).await.expect("landed");
    git(&fixture.repo, &["reset", "-q", "--hard", intent.old.as_str()]);
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::Landed));
    assert_eq!(fixture.head(), intent.old);
}

#[tokio::test]
async fn a_branch_that_somebody_moved_stays() {
    let (fixture, intent) = prepared();
    let found = commit(&fixture.repo, "elsewhere");
    let away = Landing::MovedAway { found: Some(found.clone()) };
    assert_eq!(land(&fixture, &intent).await, Ok(away));
    assert_eq!(fixture.head(), found);
    assert_eq!(marker(&fixture, &intent), intent.old, "given up, for good");
}

#[tokio::test]
async fn what_was_given_up_does_not_land_once_the_branch_is_back() {
    let (fixture, intent) = prepared();
    commit(&fixture.repo, "elsewhere");
    land(&fixture, &intent).await.expect("looked");
    git(&fixture.repo, &["reset", "-q", "--hard", intent.old.as_str()]);
    // Also whoever dies before it has recorded that finds it given up.
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    assert_eq!(land(&fixture, &intent).await, Ok(back));
    assert_eq!(fixture.head(), intent.old);
}

/// Something that happens once, right before the ref transaction of a landing.
fn meddling(fixture: &Fixture, what: &str) -> GitWorkspace {
    let once = fixture.base().join("once");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *'agents: landing'*) if mkdir {once} 2>/dev/null; then {what}; fi;; esac\n\
         exec git \"$@\"\n",
        once = once.display()
    );
    let script = script(&fixture.base().join("meddling-git"), &text);
    fixture.workspace_with(fixture.git().with_program(script))
}

/// The history in which a lander freezes, its plan is given up, and somebody resets the branch.
#[tokio::test]
async fn a_frozen_process_that_thaws_after_its_landing_was_given_up_moves_nothing() {
    let (fixture, intent) = prepared();
    let theirs = commit(&fixture.repo, "elsewhere");
    git(&fixture.repo, &["reset", "-q", "--hard", intent.old.as_str()]);
    let (git_dir, state) = (fixture.repo.join(".git"), fixture.base());
    let at = format!("unset GIT_DIR; git --git-dir={}", git_dir.display());
    let (away, gone) = (fifo(&state.join("away")), fifo(&state.join("given-up")));
    // It stops where it would move the branch, until the other has looked.
    let what = format!(
        "{at} update-ref refs/heads/main {theirs}; echo > {}; read x < {}; {at} update-ref refs/heads/main {}",
        away.display(),
        gone.display(),
        intent.old
    );
    let frozen = meddling(&fixture, &what);
    let (project, decided) = (fixture.project.clone(), intent.clone());
    let late = tokio::spawn(async move { frozen.land(&project, &decided).await });
    written(away).await;
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::MovedAway { found: Some(theirs) }));
    fs::write(&gone, "\n").expect("it waits");
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    assert_eq!(late.await.expect("ran"), Ok(back));
    assert_eq!((fixture.head(), marker(&fixture, &intent)), (intent.old.clone(), intent.old));
}

#[tokio::test]
async fn one_that_lands_while_another_gives_up_has_landed() {
    let (fixture, intent) = prepared();
    let theirs = commit(&fixture.repo, "elsewhere");
    // Between the look of who gives up and the mark of it the branch is put back, and it lands.
    let once = fixture.base().join("once");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *'agents: giving up'*) if mkdir {once} 2>/dev/null; then unset GIT_DIR; \
         git --git-dir={git} update-ref refs/heads/main {new}; \
         git --git-dir={git} update-ref {marker} {new}; fi;; esac\nexec git \"$@\"\n",
        once = once.display(),
        git = fixture.repo.join(".git").display(),
        marker = intent.marker(),
        new = intent.new
    );
    let script = script(&fixture.base().join("meddling-git"), &text);
    let slow = fixture.workspace_with(fixture.git().with_program(script));
    assert_eq!(fixture.head(), theirs);
    assert_eq!(slow.land(&fixture.project, &intent).await, Ok(Landing::Landed));
    assert_eq!(fixture.head(), intent.new);
}

#[tokio::test]
async fn a_branch_that_is_gone_stays_gone() {
    let (fixture, intent) = prepared();
    git(&fixture.repo, &["checkout", "-q", "--detach"]);
    git(&fixture.repo, &["branch", "-q", "-D", "main"]);
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::MovedAway { found: None }));
}

#[tokio::test]
async fn a_marker_lost_in_a_crash_is_made_up_for() {
    let (fixture, intent) = prepared();
    git(&fixture.repo, &["reset", "-q", "--hard", intent.new.as_str()]);
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::Landed));
    assert_eq!(marker(&fixture, &intent), intent.new);
    // Also where somebody has built on it.
    git(&fixture.repo, &["update-ref", "-d", &intent.marker()]);
    let later = commit(&fixture.repo, "on top");
    assert_eq!(land(&fixture, &intent).await, Ok(Landing::Landed));
    assert_eq!((fixture.head(), marker(&fixture, &intent)), (later, intent.new.clone()));
}

#[tokio::test]
async fn a_marker_that_cannot_be_made_up_for_is_an_error() {
    let (fixture, intent) = prepared();
    git(&fixture.repo, &["reset", "-q", "--hard", intent.new.as_str()]);
    git(&fixture.repo, &["update-ref", "refs/agents/landed", "HEAD"]);
    let error = land(&fixture, &intent).await.expect_err("in the way");
    assert!(matches!(error, WorkspaceError::Git { .. }), "{error}");
}

#[tokio::test]
async fn a_marker_at_another_commit_is_an_error() {
    let (fixture, intent) = prepared();
    let another = fixture.side_commit(&[("b", "b2\n")]);
    git(&fixture.repo, &["update-ref", &intent.marker(), another.as_str()]);
    let error = land(&fixture, &intent).await.expect_err("another commit");
    assert!(matches!(&error, WorkspaceError::RefMoved { reference, .. } if *reference == intent.marker()));
}

#[tokio::test]
async fn a_lock_left_on_the_branch_is_reported_and_nothing_moves() {
    let (fixture, intent) = prepared();
    let lock = fixture.repo.join(".git/refs/heads/main.lock");
    fs::write(&lock, "").expect("written");
    let impatient = fixture.git().with_lock_wait(Duration::ZERO);
    let error = fixture.workspace_with(impatient).land(&fixture.project, &intent).await.expect_err("locked");
    assert!(error.to_string().contains("main.lock (") && error.to_string().contains(" s old)"), "{error}");
    assert!(lock.exists());
    assert_eq!(fixture.head(), intent.old);
}

#[tokio::test]
async fn two_at_once_move_it_once() {
    for _ in 0..5 {
        let (fixture, intent) = prepared();
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let workspace = fixture.workspace_with(fixture.git());
            let (project, intent) = (fixture.project.clone(), intent.clone());
            tasks.push(tokio::spawn(async move { workspace.land(&project, &intent).await }));
        }
        for task in tasks {
            assert_eq!(task.await.expect("ran"), Ok(Landing::Landed));
        }
        assert_eq!(fixture.head(), intent.new);
        let moves = git(&fixture.repo, &["reflog", "show", "--format=%gs", "main"]);
        assert_eq!(moves.lines().filter(|line| line.contains("landing")).count(), 1);
    }
}

#[tokio::test]
async fn a_plan_goes_all_the_way_in_a_sha256_repository() {
    let mut fixture = Fixture::new();
    let repo = fixture.base().join("sha256");
    fs::create_dir(&repo).expect("made");
    git(&repo, &["init", "-q", "--object-format=sha256", "-b", "main"]);
    write(&repo, "a", "a1\n");
    let start = commit(&repo, "first");
    fixture.project.common_dir = repo.join(".git");
    fixture.project.path.clone_from(&repo);
    fixture.repo = repo;
    let (at, project) = (fixture.workspace.clone(), fixture.project.clone());
    write(&fixture.open().await, "a", "a2\n");
    let tip = fixture.snapshot().await.commit;
    at.advance(&project, plan(), None, &tip).await.expect("advanced");
    at.close(&fixture.slot(1)).await.expect("closed");
    let merged = at.merge(&fixture.request(&tip, MergeStrategy::Merge)).await.expect("merged");
    let Merged::Clean { old, new } = merged else { panic!("{merged:?}") };
    assert_eq!((&old, new.as_str().len()), (&start, 64));
    let preview = at.preview(&fixture.slot(1), &new).await.expect("made");
    assert_eq!(read(&preview, "a"), "a2\n");
    at.close_preview(&fixture.slot(1)).await.expect("closed");
    let intent = fixture.intent(&new);
    at.check_checkout(&project, &intent).await.expect("clean");
    assert_eq!(at.land(&project, &intent).await, Ok(Landing::Landed));
    at.follow(&project, &intent).await.expect("followed");
    assert_eq!((fixture.head(), read(&fixture.repo, "a")), (new, "a2\n".to_owned()));
    assert_eq!(git(&fixture.repo, &["status", "--porcelain"]), "");
}
