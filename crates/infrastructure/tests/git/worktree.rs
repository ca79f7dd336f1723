//! Directories of attempts: made once, removed only if ours; and the plan branch.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Landings as _, WorkspaceError, Worktrees as _};
use agents_infrastructure::git::GitWorkspace;

use crate::fixture::{Fixture, PLAN, git, oid, plan, read, write};

#[tokio::test]
async fn head_says_where_the_branch_is_and_whether_the_checkout_differs() {
    let fixture = Fixture::new();
    let head = fixture.workspace.head(&fixture.project).await.expect("there");
    assert_eq!((head.commit, head.dirty), (fixture.head(), false));
    write(&fixture.repo, "new", "x");
    assert!(fixture.workspace.head(&fixture.project).await.expect("there").dirty);
    let mut gone = fixture.project.clone();
    gone.branch = "gone".to_owned();
    let error = fixture.workspace.head(&gone).await.expect_err("no branch");
    assert_eq!(error.to_string(), "local/api has no branch `gone`");
}

#[tokio::test]
async fn an_attempt_gets_a_detached_worktree_of_its_own() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    assert_eq!(dir, fixture.place(1));
    assert_eq!(oid(&dir, "HEAD"), fixture.head());
    assert_eq!(git(&dir, &["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD");
    let again = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &[]).await.expect_err("in use");
    assert!(again.to_string().contains("never used by two attempts"), "{again}");
    let other = fixture.workspace.open(&fixture.slot(2), &fixture.head(), &[]).await.expect("opened");
    assert_ne!(dir, other);
}

#[tokio::test]
async fn names_that_refs_do_not_allow_work_as_projects() {
    let mut fixture = Fixture::new();
    for (number, name) in (1..).zip(["x.lock", "x.", "a.lock/b"]) {
        fixture.project.name = Name::parse(name).expect("valid");
        let slot = fixture.slot(number);
        let dir = fixture.workspace.open(&slot, &fixture.head(), &[]).await.expect("opened");
        write(&dir, "new", name);
        let token = crate::fixture::token(1);
        let made = fixture.workspace.snapshot(&slot, &fixture.head(), token, &[]).await.expect("a snapshot");
        assert_eq!(oid(&fixture.repo, &made.reference), made.commit);
    }
}

#[tokio::test]
async fn a_worktree_that_cannot_be_made_leaves_nothing() {
    let fixture = Fixture::new();
    let nowhere = Oid::parse(&"1".repeat(40)).expect("valid");
    let error = fixture.workspace.open(&fixture.slot(1), &nowhere, &[]).await.expect_err("no such commit");
    assert!(matches!(&error, WorkspaceError::Git { command, .. } if command == "worktree add"), "{error}");
    assert!(!fixture.base().join("state/worktrees").join(PLAN).exists());
}

#[tokio::test]
async fn files_to_copy_come_from_the_checkout_with_their_permissions() {
    let fixture = Fixture::new();
    write(&fixture.repo, ".env", "secret");
    write(&fixture.repo, "conf/deep/key.ignored", "key");
    fs::set_permissions(fixture.repo.join(".env"), fs::Permissions::from_mode(0o600)).expect("set");
    let copy = ["./.env".to_owned(), "conf/deep/key.ignored".to_owned()];
    let dir = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &copy).await.expect("opened");
    assert_eq!((read(&dir, ".env"), read(&dir, "conf/deep/key.ignored")), ("secret".into(), "key".into()));
    assert_eq!(fs::metadata(dir.join(".env")).expect("there").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn files_that_cannot_be_copied_are_named_before_anything_is_made() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.repo.join("dir")).expect("made");
    for (name, why) in [
        ("missing", "missing cannot be used: `worktree.copy` names it, but: No such file"),
        ("dir", "names files only"),
        ("../x", "inside of the checkout"),
        ("/etc/passwd", "inside of the checkout"),
        (".", "inside of the checkout"),
    ] {
        let copy = [name.to_owned()];
        let error =
            fixture.workspace.open(&fixture.slot(1), &fixture.head(), &copy).await.expect_err("refused");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(!fixture.place(1).exists());
}

#[tokio::test]
async fn a_tracked_link_does_not_lead_a_copy_out_of_the_worktree() {
    let fixture = Fixture::new();
    let outside = fixture.base().join("outside");
    fs::create_dir(&outside).expect("made");
    let start = {
        symlink(&outside, fixture.repo.join("conf")).expect("linked");
        let made = crate::fixture::commit(&fixture.repo, "a link");
        fs::remove_file(fixture.repo.join("conf")).expect("removed");
        made
    };
    write(&fixture.repo, "conf/key", "secret");
    let copy = ["conf/key".to_owned()];
    let error = fixture.workspace.open(&fixture.slot(1), &start, &copy).await.expect_err("refused");
    assert!(error.to_string().contains("a link is where"), "{error}");
    assert!(!outside.join("key").exists());
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed");
}

#[tokio::test]
async fn closing_removes_the_worktree_and_gits_record_of_it() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "junk", "x");
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed");
    assert!(!fixture.base().join("state/worktrees").join(PLAN).exists());
    assert!(!git(&fixture.repo, &["worktree", "list"]).contains("local~api"));
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed before");
}

#[tokio::test]
async fn closing_works_after_the_child_broke_git_and_after_the_repository_is_gone() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    fs::remove_file(dir.join(".git")).expect("removed");
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed");
    assert!(!git(&fixture.repo, &["worktree", "list"]).contains("local~api"));
    let dir = fixture.workspace.open(&fixture.slot(2), &fixture.head(), &[]).await.expect("opened");
    fs::remove_dir_all(&fixture.repo).expect("removed");
    fixture.workspace.close(&fixture.slot(2)).await.expect("closed");
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_removal_that_was_cut_off_is_carried_on() {
    let fixture = Fixture::new();
    let slot = fixture.slot(1);
    let first = fixture.workspace.preview(&slot, &fixture.head()).await.expect("made");
    fs::remove_dir_all(&first).expect("removed");
    fixture.workspace.preview(&slot, &fixture.head()).await.expect("made again");
    fs::remove_dir_all(&first).expect("removed");
    fixture.workspace.close_preview(&slot).await.expect("closed");
    assert!(!git(&fixture.repo, &["worktree", "list"]).contains("preview"));
}

#[tokio::test]
async fn a_directory_that_is_not_ours_is_never_removed() {
    let fixture = Fixture::new();
    write(&fixture.place(1), "precious", "x");
    let error = fixture.workspace.close(&fixture.slot(1)).await.expect_err("not ours");
    assert!(error.to_string().ends_with("it was not made by agents"), "{error}");
    // Neither by a link put where ours was.
    let dir = fixture.workspace.open(&fixture.slot(2), &fixture.head(), &[]).await.expect("opened");
    fs::remove_dir_all(&dir).expect("removed");
    symlink(fixture.place(1), &dir).expect("linked");
    let error = fixture.workspace.close(&fixture.slot(2)).await.expect_err("elsewhere");
    assert!(error.to_string().ends_with("it leads elsewhere"), "{error}");
    assert_eq!(read(&fixture.place(1), "precious"), "x");
}

#[tokio::test]
async fn a_link_out_of_the_state_directory_is_not_followed() {
    let fixture = Fixture::new();
    let root = fixture.base().join("state/worktrees");
    fs::create_dir_all(&root).expect("made");
    fs::create_dir(fixture.base().join("outside")).expect("made");
    symlink(fixture.base().join("outside"), root.join(PLAN)).expect("linked");
    let error = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &[]).await.expect_err("refused");
    assert!(error.to_string().contains("leads out of the state directory"), "{error}");
}

#[tokio::test]
async fn paths_that_cannot_be_used_are_named() {
    let fixture = Fixture::new();
    // A link to itself, where the directory would be.
    let place = fixture.place(1);
    fs::create_dir_all(place.parent().expect("a parent")).expect("made");
    symlink(&place, &place).expect("linked");
    let error = fixture.workspace.close(&fixture.slot(1)).await.expect_err("a loop");
    assert!(error.to_string().contains("local~api cannot be used"), "{error}");
    // A directory where the marker would be.
    fs::remove_file(&place).expect("removed");
    fs::create_dir(place.with_file_name("local~api~made")).expect("made");
    let error = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &[]).await.expect_err("no file");
    assert!(error.to_string().contains("local~api~made cannot be used"), "{error}");
    // A directory where the lock would be.
    let lock = fixture.repo.join(".git/agents-worktrees.lock");
    fs::remove_file(&lock).expect("removed");
    fs::create_dir(&lock).expect("made");
    let error = fixture.workspace.open(&fixture.slot(2), &fixture.head(), &[]).await.expect_err("no lock");
    assert!(error.to_string().contains("agents-worktrees.lock"), "{error}");
}

#[tokio::test]
async fn worktrees_are_added_by_many_at_once() {
    let fixture = Fixture::new();
    let mut tasks = Vec::new();
    for attempt in 1..=4 {
        let (workspace, slot, start) = (fixture.workspace.clone(), fixture.slot(attempt), fixture.head());
        tasks.push(tokio::spawn(async move { workspace.open(&slot, &start, &[]).await }));
    }
    for task in tasks {
        task.await.expect("ran").expect("opened");
    }
}

/// A workspace whose git says, before each command, what that is; and what it has said.
fn talkative(fixture: &Fixture) -> (GitWorkspace, Receiver<String>) {
    let (pipe, program) = (fixture.base().join("said"), fixture.base().join("talkative-git"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo").success());
    fs::write(&program, format!("#!/bin/sh\necho \"$*\" >'{}'\nexec git \"$@\"\n", pipe.display()))
        .expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    // Open for writing, too, so that it never ends.
    let pipe = File::options().read(true).write(true).open(&pipe).expect("opened");
    let (sender, said) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    (fixture.workspace_with(fixture.git().with_program(program)), said)
}

/// Waits until git is told that.
fn told(said: &Receiver<String>, command: &str) {
    const LONG: Duration = Duration::from_secs(30);
    while !said.recv_timeout(LONG).unwrap_or_else(|_| panic!("never: {command}")).contains(command) {}
}

#[test]
fn whoever_waits_for_the_lock_of_worktrees_has_only_git_left_to_ask() {
    let fixture = Fixture::new();
    let (workspace, said) = talkative(&fixture);
    let lock = File::create(fixture.repo.join(".git/agents-worktrees.lock")).expect("made");
    lock.lock().expect("free");
    let (slot, start) = (fixture.slot(1), fixture.head());
    let opening = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("no resources");
        runtime.block_on(workspace.open(&slot, &start, &[]))
    });
    for role in ["var GIT_AUTHOR_IDENT", "var GIT_COMMITTER_IDENT"] {
        told(&said, role);
    }
    assert!(said.try_recv().is_err(), "it waits for the lock");
    lock.unlock().expect("held");
    assert!(opening.join().expect("no panic").expect("opened").is_dir());
    told(&said, "worktree add");
}

#[tokio::test]
async fn a_preview_replaces_one_left_behind() {
    let fixture = Fixture::new();
    let slot = fixture.slot(1);
    let first = fixture.workspace.preview(&slot, &fixture.head()).await.expect("made");
    write(&first, "built", "x");
    let second = fixture.workspace.preview(&slot, &fixture.head()).await.expect("made again");
    assert!(first == second && !second.join("built").exists() && second.join("a").exists());
    let attempt = fixture.open().await;
    fixture.workspace.close_preview(&slot).await.expect("closed");
    assert!(!second.exists() && attempt.exists());
}

#[tokio::test]
async fn the_plan_branch_moves_by_compare_and_swap() {
    let fixture = Fixture::new();
    let (old, new) = (fixture.head(), fixture.side_commit(&[("a", "a2\n")]));
    let advance = async |from: Option<&Oid>, to: &Oid| {
        fixture.workspace.advance(&fixture.project, plan(), from.cloned(), to).await
    };
    advance(None, &old).await.expect("created");
    advance(None, &old).await.expect("done before");
    advance(Some(&old), &new).await.expect("moved");
    advance(Some(&old), &new).await.expect("done before");
    let branch = format!("refs/heads/agents/plan-{PLAN}");
    assert_eq!(oid(&fixture.repo, &branch), new);
    let error = advance(None, &old).await.expect_err("elsewhere");
    let (expected, found) = ("absent".to_owned(), new.to_string());
    assert_eq!(error, WorkspaceError::RefMoved { reference: branch.clone(), expected, found });
    git(&fixture.repo, &["update-ref", "-d", &branch]);
    let error = advance(Some(&old), &new).await.expect_err("gone");
    assert!(matches!(&error, WorkspaceError::RefMoved { found, .. } if found == "absent"), "{error}");
}

#[tokio::test]
async fn a_plan_branch_that_cannot_be_written_is_an_error_of_git() {
    let fixture = Fixture::new();
    git(&fixture.repo, &["branch", "agents"]);
    let head = fixture.head();
    let error =
        fixture.workspace.advance(&fixture.project, plan(), None, &head).await.expect_err("in the way");
    assert!(matches!(&error, WorkspaceError::Git { .. }), "{error}");
}

#[tokio::test]
async fn a_plan_branch_left_behind_by_a_crash_catches_up_with_the_record() {
    let fixture = Fixture::new();
    let (old, new) = (fixture.head(), fixture.side_commit(&[("a", "a2\n")]));
    let settle = async |recorded: Option<&Oid>| {
        fixture.workspace.settle(&fixture.project, plan(), recorded.cloned(), &[]).await
    };
    let branch = format!("refs/heads/agents/plan-{PLAN}");
    assert_eq!(settle(None).await, Ok(None), "nothing recorded, nothing there");
    assert_eq!(settle(Some(&old)).await, Ok(Some(old.clone())), "made where it was gone");
    assert_eq!(settle(Some(&new)).await, Ok(Some(new.clone())), "brought up to the record");
    assert_eq!(oid(&fixture.repo, &branch), new);
    assert_eq!(settle(Some(&old)).await, Ok(Some(new.clone())), "what a person added on top wins");
    assert_eq!(settle(None).await, Ok(Some(new.clone())));
    let elsewhere = fixture.side_commit(&[("b", "b2\n")]);
    let error = settle(Some(&elsewhere)).await.expect_err("neither before nor after");
    assert!(matches!(&error, WorkspaceError::RefMoved { .. }), "{error}");
    assert_eq!(oid(&fixture.repo, &branch), new, "left alone");
}

#[tokio::test]
async fn a_directory_that_was_set_aside_to_be_removed_is_removed_by_the_next() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    let aside = dir.with_file_name("local~api~removed");
    fs::rename(&dir, &aside).expect("as if cut off right there");
    fs::remove_file(aside.join("a")).expect("and halfway");
    let half = fixture.try_snapshot(&[]).await.expect_err("half a directory is nothing the attempt left");
    assert!(matches!(half, WorkspaceError::NoDirectory { .. }), "{half}");
    fixture.workspace.close(&fixture.slot(1)).await.expect("carried on");
    assert!(!aside.exists() && !fixture.base().join("state/worktrees").join(PLAN).exists());
}
