//! Checkouts of the branch: asked before a landing, moved along after it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Landings as _, WorkspaceError, Worktrees as _};
use rstest::rstest;

use crate::fixture::{Fixture, PLAN, commit, git, oid, plan, read, try_git, write};

/// A landing that changes `a`, removes `b`, adds `new/file`.
fn prepared() -> (Fixture, Intent) {
    let fixture = Fixture::new();
    write(&fixture.repo, "other", "o1\n");
    write(&fixture.repo, "dir/file", "d1\n");
    commit(&fixture.repo, "more files");
    git(&fixture.repo, &["worktree", "add", "-q", "--detach", "../side"]);
    let side = fixture.base().join("side");
    write(&side, "a", "a2\n");
    write(&side, "new/file", "n\n");
    fs::remove_file(side.join("b")).expect("removed");
    fs::remove_dir_all(side.join("dir")).expect("removed");
    write(&side, "dir", "a file now\n");
    let intent = fixture.intent(&commit(&side, "side"));
    (fixture, intent)
}

async fn check(fixture: &Fixture, intent: &Intent) -> Result<(), WorkspaceError> {
    fixture.workspace.check_checkout(&fixture.project, intent).await
}

async fn land_and_follow(fixture: &Fixture, intent: &Intent) -> Result<(), WorkspaceError> {
    fixture.workspace.land(&fixture.project, intent).await.expect("landed");
    fixture.workspace.follow(&fixture.project, intent).await
}

async fn in_the_way(fixture: &Fixture, intent: &Intent) -> Vec<String> {
    match check(fixture, intent).await.expect_err("dirty") {
        WorkspaceError::DirtyCheckout { path, files } => {
            assert_eq!(Path::new(&path), fixture.repo);
            files
        }
        other => panic!("{other}"),
    }
}

fn status(dir: &Path) -> String {
    git(dir, &["status", "--porcelain"])
}

#[tokio::test]
async fn a_clean_checkout_follows() {
    let (fixture, intent) = prepared();
    check(&fixture, &intent).await.expect("clean");
    land_and_follow(&fixture, &intent).await.expect("followed");
    assert_eq!((status(&fixture.repo), read(&fixture.repo, "a")), (String::new(), "a2\n".to_owned()));
    assert!(!fixture.repo.join("b").exists() && fixture.repo.join("dir").is_file());
    fixture.workspace.follow(&fixture.project, &intent).await.expect("done before");
    let left: Vec<_> = fs::read_dir(fixture.repo.join(".git")).expect("there").flatten().collect();
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().starts_with("agents-index")));
}

#[tokio::test]
async fn changes_elsewhere_stay() {
    let (fixture, intent) = prepared();
    write(&fixture.repo, "other", "mine\n");
    write(&fixture.repo, "untracked", "mine\n");
    write(&fixture.repo, "staged", "mine\n");
    git(&fixture.repo, &["add", "staged"]);
    check(&fixture, &intent).await.expect("not in the way");
    land_and_follow(&fixture, &intent).await.expect("followed");
    assert_eq!(status(&fixture.repo), " M other\nA  staged\n?? untracked");
    assert_eq!(read(&fixture.repo, "other"), "mine\n");
}

#[tokio::test]
async fn changes_in_the_way_are_named_and_nothing_is_written() {
    let (fixture, intent) = prepared();
    write(&fixture.repo, "a", "mine\n");
    write(&fixture.repo, "b", "mine\n");
    git(&fixture.repo, &["add", "b"]);
    write(&fixture.repo, "b", "b1\n");
    write(&fixture.repo, "new/file", "mine\n");
    write(&fixture.repo, "other", "mine\n");
    assert_eq!(in_the_way(&fixture, &intent).await, ["a", "b", "new/file"]);
    assert_eq!(status(&fixture.repo), " M a\nMM b\n M other\n?? new/");
    // Changed after the check: following refuses as well, and loses nothing.
    let error = land_and_follow(&fixture, &intent).await.expect_err("dirty");
    assert!(matches!(error, WorkspaceError::DirtyCheckout { .. }), "{error}");
    assert_eq!(read(&fixture.repo, "a"), "mine\n");
}

#[tokio::test]
async fn an_ignored_file_in_the_way_is_not_overwritten() {
    let fixture = Fixture::new();
    let new = fixture.side_commit(&[(".gitignore", "nothing\n"), (".env", "theirs\n")]);
    write(&fixture.repo, ".env", "mine\n");
    assert_eq!(in_the_way(&fixture, &fixture.intent(&new)).await, [".env"]);
}

#[tokio::test]
async fn what_git_alone_can_judge_is_in_the_way_too() {
    // A file where the landing has a directory.
    let (fixture, intent) = prepared();
    write(&fixture.repo, "new", "mine\n");
    assert_eq!(in_the_way(&fixture, &intent).await, ["new"]);
    // A link there.
    fs::remove_file(fixture.repo.join("new")).expect("removed");
    symlink("other", fixture.repo.join("new")).expect("linked");
    assert_eq!(in_the_way(&fixture, &intent).await.len(), 1);
    fs::remove_file(fixture.repo.join("new")).expect("removed");
    // An untracked file in a directory that becomes a file.
    write(&fixture.repo, "dir/untracked", "mine\n");
    assert_eq!(in_the_way(&fixture, &intent).await, ["dir"]);
}

#[tokio::test]
async fn an_unfinished_merge_is_in_the_way() {
    let (fixture, intent) = prepared();
    git(&fixture.repo, &["checkout", "-q", "-b", "topic"]);
    write(&fixture.repo, "other", "theirs\n");
    commit(&fixture.repo, "topic");
    git(&fixture.repo, &["checkout", "-q", "main"]);
    write(&fixture.repo, "other", "ours\n");
    commit(&fixture.repo, "main");
    assert!(!try_git(&fixture.repo, &["merge", "topic"]).status.success());
    assert_eq!(in_the_way(&fixture, &intent).await, ["other"]);
}

#[tokio::test]
async fn a_follow_that_was_cut_off_is_carried_on() {
    let (fixture, intent) = prepared();
    fixture.workspace.land(&fixture.project, &intent).await.expect("landed");
    // As git leaves it when it is killed: files written, the index not.
    write(&fixture.repo, "a", "a2\n");
    write(&fixture.repo, "new/file", "n\n");
    fs::remove_file(fixture.repo.join("b")).expect("removed");
    check(&fixture, &intent).await.expect("as in the landing is fine");
    fixture.workspace.follow(&fixture.project, &intent).await.expect("followed");
    assert_eq!(status(&fixture.repo), "");
}

#[tokio::test]
async fn edits_made_after_following_stay_when_it_is_repeated() {
    let (fixture, intent) = prepared();
    land_and_follow(&fixture, &intent).await.expect("followed");
    write(&fixture.repo, "a", "edited since\n");
    git(&fixture.repo, &["rm", "-q", "--cached", "dir"]);
    fixture.workspace.follow(&fixture.project, &intent).await.expect("nothing to do");
    assert_eq!(status(&fixture.repo), " M a\nD  dir\n?? dir");
    // A branch that has moved on is nothing to follow.
    commit(&fixture.repo, "moved on");
    fixture.workspace.follow(&fixture.project, &intent).await.expect("nothing to do");
    assert_eq!(status(&fixture.repo), "");
}

#[tokio::test]
async fn a_landing_that_only_adds_is_followed_once() {
    let fixture = Fixture::new();
    let intent = fixture.intent(&fixture.side_commit(&[("x", "x\n"), ("y", "y\n")]));
    land_and_follow(&fixture, &intent).await.expect("followed");
    assert_eq!(status(&fixture.repo), "");
    git(&fixture.repo, &["rm", "-q", "x"]);
    fixture.workspace.follow(&fixture.project, &intent).await.expect("nothing to do");
    assert_eq!(status(&fixture.repo), "D  x");
}

#[tokio::test]
async fn linked_worktrees_follow_and_other_branches_stay() {
    let (mut fixture, mut intent) = prepared();
    git(&fixture.repo, &["branch", "target", "main"]);
    git(&fixture.repo, &["worktree", "add", "-q", "../linked", "target"]);
    git(&fixture.repo, &["worktree", "add", "-q", "-b", "gone", "../gone"]);
    fs::remove_dir_all(fixture.base().join("gone")).expect("removed");
    fixture.project.branch = "target".to_owned();
    intent.reference = fixture.project.target_ref();
    let linked = fixture.base().join("linked");
    write(&linked, "a", "mine\n");
    check(&fixture, &intent).await.expect_err("dirty there");
    git(&linked, &["checkout", "-q", "a"]);
    check(&fixture, &intent).await.expect("clean");
    land_and_follow(&fixture, &intent).await.expect("followed");
    assert_eq!((read(&linked, "a"), status(&linked)), ("a2\n".to_owned(), String::new()));
    assert_eq!(read(&fixture.repo, "a"), "a1\n");
}

#[tokio::test]
async fn a_checkout_with_its_git_directory_elsewhere_follows() {
    let (mut fixture, intent) = prepared();
    git(&fixture.repo, &["init", "-q", "--separate-git-dir", "../elsewhere"]);
    fixture.project.common_dir = fixture.base().join("elsewhere");
    check(&fixture, &intent).await.expect("clean");
    land_and_follow(&fixture, &intent).await.expect("followed");
    assert_eq!((read(&fixture.repo, "a"), status(&fixture.repo)), ("a2\n".to_owned(), String::new()));
}

#[tokio::test]
async fn a_locked_index_is_found_before_anything_moves() {
    let (fixture, intent) = prepared();
    let lock = fixture.repo.join(".git/index.lock");
    fs::write(&lock, "").expect("written");
    let error = check(&fixture, &intent).await.expect_err("locked").to_string();
    assert!(error.contains("index.lock (") && error.contains("remove it"), "{error}");
    assert!(lock.exists(), "it is not ours to remove");
    fs::remove_file(lock).expect("removed");
    check(&fixture, &intent).await.expect("clean");
}

#[tokio::test]
async fn a_lock_in_the_checkout_is_no_dirty_file() {
    let (fixture, intent) = prepared();
    fixture.workspace.land(&fixture.project, &intent).await.expect("landed");
    fs::write(fixture.repo.join(".git/index.lock"), "").expect("written");
    let error = fixture.workspace.follow(&fixture.project, &intent).await.expect_err("locked");
    assert!(error.to_string().contains("index.lock ("), "{error}");
    fs::remove_file(fixture.repo.join(".git/index.lock")).expect("removed");
    fixture.workspace.follow(&fixture.project, &intent).await.expect("followed");
}

/// A plan whose branch is checked out at its first result, by the user in the main checkout, or in a linked one;
/// and its second result.
async fn standing_on_the_plan_branch(linked: bool) -> (Fixture, PathBuf, [Oid; 2]) {
    let (fixture, intent) = prepared();
    let branch = format!("agents/plan-{PLAN}");
    fixture.workspace.advance(&fixture.project, plan(), None, &intent.old).await.expect("made");
    let place = if linked { fixture.base().join("linked") } else { fixture.repo.clone() };
    if linked {
        git(&fixture.repo, &["worktree", "add", "-q", "../linked", &branch]);
    } else {
        git(&fixture.repo, &["checkout", "-q", &branch]);
    }
    (fixture, place, [intent.old, intent.new])
}

#[rstest]
#[tokio::test]
async fn a_checkout_of_the_plan_branch_follows_it(#[values(false, true)] linked: bool) {
    let (fixture, place, [old, new]) = standing_on_the_plan_branch(linked).await;
    write(&place, "other", "mine\n");
    fixture.workspace.advance(&fixture.project, plan(), Some(old), &new).await.expect("moved");
    assert_eq!(oid(&place, "HEAD"), new);
    assert_eq!((status(&place), read(&place, "a")), (" M other".to_owned(), "a2\n".to_owned()));
}

#[rstest]
#[tokio::test]
async fn the_plan_branch_waits_for_who_has_changes_in_its_way(#[values(false, true)] linked: bool) {
    let (fixture, place, [old, new]) = standing_on_the_plan_branch(linked).await;
    write(&place, "a", "mine\n");
    let moved = fixture.workspace.advance(&fixture.project, plan(), Some(old.clone()), &new).await;
    assert!(matches!(moved, Err(WorkspaceError::DirtyCheckout { .. })), "{moved:?}");
    // The result is recorded by then, and whoever goes on brings the branch up to it.
    let settle = async || fixture.workspace.settle(&fixture.project, plan(), Some(new.clone()), &[]).await;
    let settled = settle().await;
    assert!(matches!(settled, Err(WorkspaceError::DirtyCheckout { .. })), "{settled:?}");
    assert_eq!((oid(&place, "HEAD"), read(&place, "a")), (old, "mine\n".to_owned()));
    git(&place, &["checkout", "-q", "a"]);
    assert_eq!(settle().await, Ok(Some(new.clone())));
    assert_eq!((oid(&place, "HEAD"), status(&place)), (new.clone(), String::new()));
}
