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

#[tokio::test]
async fn a_later_holder_finds_what_an_earlier_one_has_saved() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "a2\n");
    let first = fixture.snapshot().await;
    let start = fixture.head();
    let again = async || fixture.workspace.snapshot(&fixture.slot(1), &start, token(12), &[]).await;
    assert_eq!(again().await, Ok(first.clone()), "the same state is saved once");
    fs::remove_dir_all(&dir).expect("removed by somebody");
    assert_eq!(again().await, Ok(first.clone()), "what it left outlives its directory");
    let other = fixture.workspace.snapshot(&fixture.slot(2), &fixture.head(), token(12), &[]).await;
    assert!(matches!(other, Err(WorkspaceError::NoDirectory { .. })), "another attempt left nothing");
    fs::remove_dir_all(&fixture.repo).expect("removed");
    assert!(matches!(again().await, Err(WorkspaceError::NoDirectory { .. })));
}

#[tokio::test]
async fn the_newest_of_many_snapshots_is_told_by_number() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    for (value, text) in [(9, "nine\n"), (10, "ten\n")] {
        write(&dir, "a", text);
        let made = fixture.workspace.snapshot(&fixture.slot(1), &fixture.head(), token(value), &[]).await;
        made.expect("a snapshot");
    }
    fs::remove_dir_all(&dir).expect("removed by somebody");
    let left = fixture.workspace.snapshot(&fixture.slot(1), &fixture.head(), token(11), &[]).await;
    assert!(left.expect("saved before").reference.contains("/1/10/"));
}

#[tokio::test]
async fn each_lock_that_git_left_is_reported_with_its_age_and_stays() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    let reference = format!("refs/agents/{PLAN}/1/7/local/api.lock");
    for (name, in_worktree) in [("HEAD.lock", true), ("index.lock", true), (reference.as_str(), false)] {
        let lock = if in_worktree {
            std::path::PathBuf::from(git(&dir, &["rev-parse", "--git-path", name]))
        } else {
            fixture.repo.join(".git").join(name)
        };
        fs::create_dir_all(lock.parent().expect("a parent")).expect("made");
        fs::write(&lock, "").expect("written");
        let impatient = fixture.git().with_lock_wait(std::time::Duration::ZERO);
        let taken = fixture.workspace_with(impatient);
        let error = taken.snapshot(&fixture.slot(1), &fixture.head(), token(7), &[]).await;
        let error = error.expect_err("locked").to_string();
        assert!(error.contains(&lock.display().to_string()) && error.contains(" s old"), "{error}");
        assert!(lock.exists() && dir.join("a").exists(), "nothing is removed");
        fs::remove_file(&lock).expect("removed by the user");
    }
    fixture.snapshot().await;
}

#[tokio::test]
async fn a_repository_that_is_gone_leaves_the_directory() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "a2\n");
    let start = fixture.head();
    fs::rename(&fixture.repo, fixture.base().join("elsewhere")).expect("moved");
    let taken = fixture.workspace.snapshot(&fixture.slot(1), &start, token(7), &[]).await;
    let error = taken.expect_err("no repository").to_string();
    assert!(error.contains("not a git repository any more"), "{error}");
    assert_eq!(read(&dir, "a"), "a2\n");
    fs::rename(fixture.base().join("elsewhere"), &fixture.repo).expect("moved back");
    assert_eq!(fixture.snapshot().await.changed, ["a"]);
}

/// Files of git may not grow any more (`ulimit -f`): the system fails its writes, as a full disk
/// does, and anybody may do it.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    // Not to be compressed to nothing.
    let text = (0..60_000).fold(String::new(), |text, n| text + &(n * 7_919 % 104_729).to_string() + "\n");
    write(&dir, "big", &text);
    let limited = fixture.base().join("limited-git");
    // 64 blocks of 512 bytes; SIGXFSZ ignored, so that git sees the error that a full disk gives.
    write(&fixture.base(), "limited-git", "#!/bin/sh\ntrap '' XFSZ\nulimit -f 64\nexec git \"$@\"\n");
    fs::set_permissions(&limited, fs::Permissions::from_mode(0o755)).expect("set");
    let full = fixture.workspace_with(fixture.git().with_program(&limited));
    let error = full.snapshot(&fixture.slot(1), &fixture.head(), token(7), &[]).await.expect_err("no room");
    assert!(matches!(&error, WorkspaceError::Git { .. }), "{error}");
    assert!(error.to_string().contains("File too large"), "{error}");
    assert_eq!(read(&dir, "big"), text, "the directory is as it was");
    let made = fixture.snapshot().await;
    assert_eq!((made.changed, made.keep_directory), (vec!["big".to_owned()], None));
}
