//! Snapshots: what an attempt left behind, safe in a ref.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use agents_domain::workspace::{WorkspaceError, Worktrees as _};

use crate::fixture::{Fixture, PLAN, commit, files, git, oid, read, repository, token, try_git, write};

#[tokio::test]
async fn everything_but_ignored_files_is_kept() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "a2\n");
    fs::remove_file(dir.join("b")).expect("removed");
    write(&dir, "with space/new\nline", "x");
    fs::write(dir.join(OsStr::from_bytes(b"latin-\xe9")), "x").expect("written");
    write(&dir, "run.sh", "#!/bin/sh\n");
    fs::set_permissions(dir.join("run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    symlink("nowhere", dir.join("link")).expect("linked");
    write(&dir, "target/cache", "x");
    let snapshot = fixture.snapshot().await;
    let kept = [".gitignore", "a", "latin-\u{fffd}", "link", "run.sh", "with space/new\nline"];
    assert_eq!(files(&fixture.repo, &snapshot.commit), kept);
    assert_eq!(snapshot.changed, ["a", "b", "latin-\u{fffd}", "link", "run.sh", "with space/new\nline"]);
    assert_eq!(snapshot.keep_directory, None);
    let modes = git(&fixture.repo, &["ls-tree", snapshot.commit.as_str(), "run.sh", "link"]);
    assert!(modes.contains("100755 blob") && modes.contains("120000 blob"), "{modes}");
    assert_eq!(snapshot.reference, format!("refs/agents/{PLAN}/1/7/local/api"));
    assert_eq!(oid(&fixture.repo, &snapshot.reference), snapshot.commit);
    assert_eq!(oid(&fixture.repo, &format!("{}^", snapshot.commit)), fixture.head());
    // The directory is as it was, with nothing staged and nothing of ours in it.
    assert_eq!(git(&dir, &["diff", "--cached", "--name-only"]), "");
    assert_eq!(read(&dir, "a"), "a2\n");
    assert!(!git(&fixture.repo, &["log", "-1", "--format=%B", snapshot.commit.as_str()]).is_empty());
}

#[tokio::test]
async fn a_change_of_the_same_size_right_after_checkout_is_seen() {
    for _ in 0..5 {
        let fixture = Fixture::new();
        let dir = fixture.open().await;
        write(&dir, "a", "a2\n");
        assert_eq!(fixture.snapshot().await.changed, ["a"]);
    }
}

#[tokio::test]
async fn commits_of_the_child_are_the_history_of_the_snapshot() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "committed\n");
    let own = commit(&dir, "by the child");
    let clean = fixture.snapshot().await;
    assert_eq!((clean.commit, clean.changed), (own.clone(), vec!["a".to_owned()]));
    write(&dir, "b", "left\n");
    let later =
        fixture.workspace.snapshot(&fixture.slot(1), &fixture.head(), token(8), &[]).await.expect("taken");
    assert_eq!(oid(&fixture.repo, &format!("{}^", later.commit)), own);
    assert_eq!(later.changed, ["a", "b"]);
}

#[tokio::test]
async fn an_attempt_that_changed_nothing_is_its_start() {
    let fixture = Fixture::new();
    fixture.open().await;
    let snapshot = fixture.snapshot().await;
    assert_eq!((snapshot.commit, snapshot.changed), (fixture.head(), vec![]));
    assert_eq!(oid(&fixture.repo, &snapshot.reference), fixture.head());
}

#[tokio::test]
async fn repeating_returns_the_first_until_the_directory_changes() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "a2\n");
    let first = fixture.snapshot().await;
    assert_eq!(fixture.snapshot().await, first);
    write(&dir, "a", "a3\n");
    let error = fixture.try_snapshot(&[]).await.expect_err("changed");
    assert!(
        matches!(&error, WorkspaceError::RefMoved { reference, .. } if *reference == first.reference),
        "{error}"
    );
    assert_eq!(oid(&fixture.repo, &first.reference), first.commit);
    // The same tree on top of another commit is another state too.
    write(&dir, "a", "a2\n");
    commit(&dir, "the child goes on");
    commit(&dir, "and on");
    fixture.try_snapshot(&[]).await.expect_err("another history");
}

#[tokio::test]
async fn copied_files_stay_out_even_if_staged() {
    let fixture = Fixture::new();
    for file in [".env", "plain.txt", "b", "all.ignored/key"] {
        write(&fixture.repo, file, "secret\n");
    }
    let copy = [".env", "./plain.txt", "b", "all.ignored/key"];
    let names = copy.map(str::to_owned);
    let dir = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &names).await.expect("opened");
    git(&dir, &["add", "-f", ".env", "b"]);
    write(&dir, "new", "x");
    let snapshot = fixture.try_snapshot(&copy).await.expect("a snapshot");
    assert_eq!((snapshot.changed, snapshot.keep_directory), (vec!["new".to_owned()], None));
    assert_eq!(git(&fixture.repo, &["show", &format!("{}:b", snapshot.commit)]), "b1");
}

#[tokio::test]
async fn a_copied_file_that_the_child_committed_is_refused() {
    let fixture = Fixture::new();
    write(&fixture.repo, ".env", "secret\n");
    let copy = [".env".to_owned()];
    let dir = fixture.workspace.open(&fixture.slot(1), &fixture.head(), &copy).await.expect("opened");
    git(&dir, &["add", "-f", ".env"]);
    commit(&dir, "oops");
    git(&dir, &["rm", "-q", "--cached", ".env"]);
    commit(&dir, "does not help");
    let error = fixture.try_snapshot(&[".env"]).await.expect_err("in the history");
    assert!(error.to_string().contains("committed it"), "{error}");
}

#[tokio::test]
async fn what_a_snapshot_cannot_hold_keeps_the_directory() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "result.ignored", "x");
    write(&dir, "sub/target/cache", "x");
    write(&dir, "all.ignored/target/cache", "x");
    repository(&dir.join("nested"));
    git(&dir, &["init", "-q", "unborn"]);
    fs::File::create(dir.join("large")).and_then(|file| file.set_len(100 * 1024 * 1024 + 1)).expect("sparse");
    let snapshot = fixture.snapshot().await;
    let reason = snapshot.keep_directory.expect("a reason");
    assert_eq!(
        reason,
        "not in the snapshot: ignored files outside of caches (result.ignored); \
         nested repositories (nested/, unborn/); untracked files above 100 MiB (large)"
    );
    assert_eq!(snapshot.changed, Vec::<String>::new());
}

#[tokio::test]
async fn a_repository_that_the_child_committed_as_a_link_keeps_the_directory() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    repository(&dir.join("nested"));
    commit(&dir, "with a link");
    let snapshot = fixture.snapshot().await;
    assert!(snapshot.keep_directory.expect("a reason").contains("nested repositories (nested)"));
}

#[tokio::test]
async fn files_and_directories_may_change_places() {
    let fixture = Fixture::new();
    write(&fixture.repo, "dir/file", "x");
    commit(&fixture.repo, "with a directory");
    let dir = fixture.open().await;
    fs::remove_file(dir.join("a")).expect("removed");
    write(&dir, "a/inside", "x");
    fs::remove_dir_all(dir.join("dir")).expect("removed");
    write(&dir, "dir", "now a file");
    assert_eq!(fixture.snapshot().await.changed, ["a", "a/inside", "dir", "dir/file"]);
}

#[tokio::test]
async fn an_unfinished_merge_of_the_child_is_kept_as_it_lies() {
    let fixture = Fixture::new();
    let theirs = fixture.side_commit(&[("a", "theirs\n")]);
    let dir = fixture.open().await;
    write(&dir, "a", "ours\n");
    commit(&dir, "ours");
    assert!(!try_git(&dir, &["merge", theirs.as_str()]).status.success());
    let made = fixture.snapshot().await.commit;
    assert!(git(&fixture.repo, &["show", &format!("{made}:a")]).contains("<<<<<<<"));
}

#[tokio::test]
async fn a_missing_index_is_read_from_head() {
    let fixture = Fixture::new();
    write(&fixture.repo, "kept.ignored", "tracked though ignored");
    git(&fixture.repo, &["add", "-f", "kept.ignored"]);
    commit(&fixture.repo, "tracked");
    let dir = fixture.open().await;
    fs::remove_file(git(&dir, &["rev-parse", "--git-path", "index"])).expect("removed");
    write(&dir, "a", "a2\n");
    assert_eq!(fixture.snapshot().await.changed, ["a"]);
}

#[tokio::test]
async fn a_lock_left_by_git_is_reported_and_stays() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    let lock = git(&dir, &["rev-parse", "--git-path", "index.lock"]);
    fs::write(&lock, "").expect("written");
    let error = fixture.try_snapshot(&[]).await.expect_err("locked").to_string();
    assert!(error.contains(&lock) && error.contains(" s old"), "{error}");
    assert!(fs::exists(&lock).expect("asked"));
}

#[tokio::test]
async fn a_worktree_that_is_no_longer_the_projects_is_refused() {
    let fixture = Fixture::new();
    let error = fixture.try_snapshot(&[]).await.expect_err("not there");
    assert!(matches!(error, WorkspaceError::NoDirectory { .. }), "{error}");
    let dir = fixture.open().await;
    fs::remove_file(dir.join(".git")).expect("removed");
    // Not even if a repository is further up.
    git(&fixture.base(), &["init", "-q", "."]);
    let error = fixture.try_snapshot(&[]).await.expect_err("no repository");
    assert!(error.to_string().contains("not a git repository"), "{error}");
    git(&dir, &["init", "-q", "."]);
    let error = fixture.try_snapshot(&[]).await.expect_err("another repository");
    assert!(error.to_string().contains("no longer belongs"), "{error}");
}

#[tokio::test]
async fn a_ref_that_cannot_be_written_is_an_error_of_git() {
    let fixture = Fixture::new();
    fixture.open().await;
    git(&fixture.repo, &["update-ref", &format!("refs/agents/{PLAN}/1"), "HEAD"]);
    let error = fixture.try_snapshot(&[]).await.expect_err("in the way");
    assert!(matches!(&error, WorkspaceError::Git { command, .. } if command == "update-ref -m"), "{error}");
}
