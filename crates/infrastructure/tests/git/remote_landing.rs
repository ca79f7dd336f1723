//! Landing on a remote: once, or given up for good, whatever freezes, breaks or is refused meanwhile.

use std::fs;

use agents_domain::oid::Oid;
use agents_domain::workspace::{Landing, Landings as _, WorkspaceError, Worktrees as _};
use agents_infrastructure::git::GitWorkspace;

use crate::fixture::{fifo, git, script, written};
use crate::remote::{Shared, machine};

#[tokio::test]
async fn a_landing_is_one_push_of_branch_and_marker_and_the_checkout_stays() {
    let shared = Shared::new();
    let before = shared.fixture.head();
    let intent = shared.ready(&shared.one).await;
    assert_eq!(shared.at(&intent.shared()), Some(intent.new.clone()));
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.new.clone(), Some(intent.new.clone())));
    assert_eq!(shared.at(&intent.shared()), None, "not needed any more");
    shared.one.follow(&shared.project, &intent).await.expect("nothing to do");
    assert_eq!(shared.fixture.head(), before);
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed), "it has happened");
}

#[tokio::test]
async fn a_branch_reset_after_the_landing_is_not_moved_again() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    shared.land(&shared.one, &intent).await.expect("landed");
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.old);
}

/// A script in place of git that does something once, right before the first push of a landing.
fn meddling(shared: &Shared, what: &str) -> GitWorkspace {
    let once = shared.fixture.base().join("once");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *push*refs/agents/landed*) if mkdir {once} 2>/dev/null; then {what}; fi;; esac\n\
         exec git \"$@\"\n",
        once = once.display()
    );
    let script = script(&shared.fixture.base().join("meddling-git"), &text);
    let state = shared.fixture.base().join("state");
    GitWorkspace::new(shared.fixture.git().with_program(script), &state).on(machine("one"), &state)
}

/// The history in which a push that finds the marker in place would skip it, and move the branch.
#[tokio::test]
async fn a_frozen_process_that_thaws_after_landing_and_reset_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let bare = shared.bare.display();
    // Another lands, and a person resets the branch, between the look of this one and its push.
    let marker = intent.marker();
    let what = format!(
        "unset GIT_DIR; git --git-dir={bare} update-ref {marker} {new}; \
         git --git-dir={bare} update-ref refs/heads/main {old}",
        new = intent.new,
        old = intent.old
    );
    let frozen = meddling(&shared, &what);
    let outcome = shared.land(&frozen, &intent).await;
    assert!(shared.fixture.base().join("once").exists(), "it was interfered with");
    assert_eq!(shared.main(), intent.old, "{outcome:?}");
}

#[tokio::test]
async fn a_branch_that_somebody_moved_stays_and_one_that_moved_at_the_last_moment_too() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let away = Ok(Landing::MovedAway { found: Some(theirs.clone()) });
    assert_eq!(shared.land(&shared.one, &intent).await, away);
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let (bare, theirs) = (shared.bare.display(), {
        let tree = git(&shared.bare, &["rev-parse", "main^{tree}"]);
        git(&shared.bare, &["commit-tree", &tree, "-p", "main", "-m", "theirs"])
    });
    let rival = meddling(&shared, &format!("git --git-dir={bare} update-ref refs/heads/main {theirs}"));
    let found = Some(Oid::parse(&theirs).expect("an id"));
    assert_eq!(shared.land(&rival, &intent).await, Ok(Landing::MovedAway { found }));
    assert_eq!(shared.at(&intent.marker()), Some(intent.old.clone()), "given up, for good");
    assert_eq!(shared.at(&intent.shared()), None, "not needed any more");
}

#[tokio::test]
async fn what_was_given_up_does_not_land_once_the_remotes_branch_is_back() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    shared.pushed("x");
    shared.land(&shared.one, &intent).await.expect("looked");
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    for workspace in [&shared.one, &shared.two] {
        assert_eq!(shared.land(workspace, &intent).await, Ok(back.clone()));
    }
    assert_eq!(shared.main(), intent.old);
}

/// The history in which a lander freezes, its plan is given up, and somebody resets the branch.
#[tokio::test]
async fn a_frozen_process_that_thaws_after_its_landing_was_given_up_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let bare = shared.bare.display();
    let scratch = shared.fixture.base();
    let (away, given_up) = (fifo(&scratch.join("away")), fifo(&scratch.join("given-up")));
    let what = format!(
        "unset GIT_DIR; git --git-dir={bare} update-ref refs/heads/main {theirs}; echo > {}; read x < {}; \
         git --git-dir={bare} update-ref refs/heads/main {}",
        away.display(),
        given_up.display(),
        intent.old
    );
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    let frozen = meddling(&shared, &what);
    let (project, decided) = (shared.project.clone(), intent.clone());
    let late = tokio::spawn(async move { frozen.land(&project, &decided).await });
    written(away).await;
    let gone = Landing::MovedAway { found: Some(theirs) };
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(gone));
    fs::write(&given_up, "\n").expect("it waits");
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    assert_eq!(late.await.expect("ran"), Ok(back));
    assert_eq!(shared.main(), intent.old);
}

#[tokio::test]
async fn who_cannot_mark_that_a_landing_is_given_up_does_not_give_it_up() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let hook = shared.bare.join("hooks/update");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    script(&hook, "#!/bin/sh\ncase $1 in refs/agents/landed/*) echo 'no marks'; exit 1;; esac\n");
    let refused = shared.land(&shared.one, &intent).await;
    assert!(
        matches!(&refused, Err(WorkspaceError::RemoteRefused { reason, .. }) if reason.contains("no marks"))
    );
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.new.as_str()]);
    let refused = shared.land(&shared.one, &intent).await;
    assert!(
        matches!(&refused, Err(WorkspaceError::RemoteRefused { .. })),
        "nor does it say landed: {refused:?}"
    );
    git(&shared.bare, &["update-ref", "refs/heads/main", theirs.as_str()]);
    fs::remove_file(&hook).expect("gone");
    // The remote goes away between the look and the mark, which it may have got or not.
    let aside = shared.fixture.base().join("aside.git");
    let cut = meddling(&shared, &format!("mv {} {}", shared.bare.display(), aside.display()));
    let unknown = shared.land(&cut, &intent).await;
    assert!(matches!(unknown, Err(WorkspaceError::LandingUnknown { .. })), "{unknown:?}");
    fs::rename(&aside, &shared.bare).expect("back");
    let away = Landing::MovedAway { found: Some(theirs) };
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(away));
}

#[tokio::test]
async fn another_machine_finishes_a_landing_that_was_decided() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
    let preview = shared.two.preview(&shared.slot(1), &intent.new).await.expect("made");
    assert!(preview.join("made").exists());
}

#[tokio::test]
async fn a_reply_that_was_lost_is_asked_of_the_remote() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    // The push happens, and whoever asked for it is told that it failed.
    let text = "#!/bin/sh\ncase \"$*\" in *push*refs/agents/landed*) git \"$@\" >/dev/null 2>&1; \
                echo 'fatal: the remote end hung up' >&2; exit 128;; esac\nexec git \"$@\"\n";
    let script = script(&shared.fixture.base().join("deaf-git"), text);
    let state = shared.fixture.base().join("state");
    let deaf =
        GitWorkspace::new(shared.fixture.git().with_program(script), &state).on(machine("one"), &state);
    assert_eq!(shared.land(&deaf, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
}

#[tokio::test]
async fn a_remote_out_of_reach_makes_a_landing_unknown_and_everything_else_an_error() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let aside = shared.fixture.base().join("aside.git");
    fs::rename(&shared.bare, &aside).expect("moved");
    let landed = shared.land(&shared.one, &intent).await;
    assert!(matches!(&landed, Err(WorkspaceError::LandingUnknown { .. })), "{landed:?}");
    let head = shared.one.head(&shared.project).await;
    assert!(matches!(&head, Err(WorkspaceError::Remote { url, .. }) if url.contains("far.git")), "{head:?}");
    fs::rename(&aside, &shared.bare).expect("back");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_push_that_a_hook_refuses_says_so_and_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let hook = shared.bare.join("hooks/update");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    let text = "#!/bin/sh\n[ \"$1\" = refs/heads/main ] && { echo 'main is protected'; exit 1; }\nexit 0\n";
    fs::write(&hook, text).expect("written");
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let landed = shared.land(&shared.one, &intent).await;
    let Err(WorkspaceError::RemoteRefused { reason, remedy, .. }) = &landed else { panic!("{landed:?}") };
    assert!(
        reason.starts_with("remote: main is protected; ") && reason.contains("(hook declined)"),
        "{reason}"
    );
    assert_eq!(remedy, "see to what the hook of the remote wants");
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.old.clone(), None), "none of the two");
    fs::remove_file(&hook).expect("gone");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_ref_that_is_locked_there_is_no_refusal_for_good() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let lock = shared.bare.join("refs/heads/main.lock");
    fs::write(&lock, "").expect("locked");
    let landed = shared.land(&shared.one, &intent).await;
    assert!(matches!(&landed, Err(WorkspaceError::Remote { .. })), "{landed:?}");
    fs::remove_file(&lock).expect("there");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_remote_in_which_somebody_works_on_the_branch_refuses_for_good() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    git(&shared.bare, &["config", "core.bare", "false"]);
    let landed = shared.land(&shared.one, &intent).await;
    let Err(WorkspaceError::RemoteRefused { remedy, .. }) = &landed else { panic!("{landed:?}") };
    assert!(remedy.contains("a bare repository"), "{remedy}");
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.old.clone(), None), "none of the two");
}

#[tokio::test]
async fn a_marker_that_the_remote_lost_in_a_crash_is_made_up_for() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.new.as_str()]);
    shared.pushed("x");
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.at(&intent.marker()), Some(intent.new));
}
