//! What came of a plan: compared with its start, and put into a directory of plain files.

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, Worktrees as _};
use agents_infrastructure::git::{changed_files, diff, export, plan_tip, snapshots};

use crate::fixture::{Fixture, git, plan, read, repository, write};

const LATIN: &[u8] = b"latin-\xe9";

/// An attempt that changed, removed, added, made executable, and named a file in Latin-1.
async fn worked(fixture: &Fixture) -> Oid {
    let dir = fixture.open().await;
    write(&dir, "a", "a1\na2\n");
    fs::remove_file(dir.join("b")).expect("removed");
    write(&dir, "sub/run.sh", "#!/bin/sh\n");
    fs::set_permissions(dir.join("sub/run.sh"), fs::Permissions::from_mode(0o755)).expect("set");
    fs::write(dir.join(OsStr::from_bytes(LATIN)), b"\0\xff").expect("written");
    symlink("a", dir.join("link")).expect("linked");
    fixture.snapshot().await.commit
}

fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("readable").flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains(".agents-restore")).collect()
}

#[tokio::test]
async fn changes_are_listed_with_their_counts_whatever_their_names() {
    let fixture = Fixture::new();
    let made = worked(&fixture).await;
    let found = changed_files(&fixture.git(), &fixture.project, &fixture.head(), &made).expect("listed");
    let shown: Vec<_> =
        found.iter().map(|one| (one.path.as_os_str().as_bytes(), one.status, one.lines)).collect();
    let expected = [
        (&b"a"[..], 'M', Some((1, 0))),
        (b"b", 'D', Some((0, 1))),
        (LATIN, 'A', None),
        (b"link", 'A', Some((1, 0))),
        (b"sub/run.sh", 'A', Some((1, 0))),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn the_difference_is_gits_own_and_comes_in_colour_when_asked() {
    let fixture = Fixture::new();
    let made = worked(&fixture).await;
    let shown = |stat, color| {
        let mut text = String::new();
        let range = (&fixture.head(), &made);
        let mut reader = diff(&fixture.git(), &fixture.project, range, stat, color).expect("started");
        reader.read_to_string(&mut text).expect("read");
        text
    };
    assert!(shown(false, false).contains("\n+a2\n") && shown(true, false).contains("5 files changed"));
    assert!(shown(false, true).contains("\u{1b}["));
    let nowhere = Oid::parse(&"1".repeat(40)).expect("valid");
    let range = (&nowhere, &made);
    let mut broken = diff(&fixture.git(), &fixture.project, range, false, false).expect("started");
    let error = broken.read_to_end(&mut Vec::new()).expect_err("no such commit");
    assert!(error.to_string().contains("git diff"), "{error}");
    drop(diff(&fixture.git(), &fixture.project, (&fixture.head(), &made), false, false).expect("started"));
}

#[tokio::test]
async fn snapshots_and_the_plan_branch_are_found_by_their_refs() {
    let fixture = Fixture::new();
    let made = worked(&fixture).await;
    let found = snapshots(&fixture.git(), &fixture.project, plan()).expect("listed");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].attempt, found[0].token, &found[0].commit), (1, 7, &made));
    let tip =
        |recorded: &Oid| plan_tip(&fixture.git(), &fixture.project, plan(), recorded).map(|tip| tip.commit);
    assert_eq!(tip(&fixture.head()), Ok(fixture.head()), "there is no branch");
    fixture.workspace.advance(&fixture.project, plan(), None, &made).await.expect("moved");
    assert_eq!(tip(&fixture.head()), Ok(made));
}

#[tokio::test]
async fn what_an_attempt_left_is_restored_as_plain_files() {
    let fixture = Fixture::new();
    let made = worked(&fixture).await;
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed");
    let dir = fixture.base().join("found");
    fs::create_dir(&dir).expect("an empty one will do");
    let commits = [(&fixture.project, made)];
    assert_eq!(export(&fixture.git(), &commits, &dir), Ok(dir.clone()));
    assert_eq!(read(&dir, "a"), "a1\na2\n");
    assert!(!dir.join("b").exists() && !dir.join(".git").exists());
    assert_eq!(fs::read(dir.join(OsStr::from_bytes(LATIN))).expect("there"), b"\0\xff");
    assert_eq!(fs::read_link(dir.join("link")).expect("a link"), Path::new("a"));
    assert_ne!(fs::metadata(dir.join("sub/run.sh")).expect("there").permissions().mode() & 0o100, 0);
    assert_eq!(git(&fixture.repo, &["status", "--porcelain"]), "", "no checkout was touched");
    assert_eq!(read(&fixture.repo, "a"), "a1\n");
    assert_eq!(leftovers(&fixture.base()), Vec::<PathBuf>::new());
    let error = export(&fixture.git(), &commits, &dir).expect_err("it is not empty now");
    assert!(error.to_string().contains("new or empty"), "{error}");
}

#[tokio::test]
async fn several_projects_get_a_directory_each() {
    let fixture = Fixture::new();
    let web = fixture.base().join("web");
    repository(&web);
    write(&web, "a", "of web\n");
    let of_web = crate::fixture::commit(&web, "more");
    let name = Name::parse("web").expect("valid");
    let web = Project {
        name,
        path: web.clone(),
        common_dir: web.join(".git"),
        branch: "main".to_owned(),
        machine: None,
        remote: None,
    };
    let dir = fixture.base().join("both");
    let commits = [(&fixture.project, fixture.head()), (&web, of_web)];
    export(&fixture.git(), &commits, &dir).expect("restored");
    assert_eq!((read(&dir, "local/api/a"), read(&dir, "local/web/a")), ("a1\n".into(), "of web\n".into()));
}

#[tokio::test]
async fn a_restore_that_fails_leaves_nothing() {
    let fixture = Fixture::new();
    let nowhere = Oid::parse(&"1".repeat(40)).expect("valid");
    let dir = fixture.base().join("found");
    let commits = [(&fixture.project, fixture.head()), (&fixture.project, nowhere)];
    export(&fixture.git(), &commits, &dir).expect_err("the second is not there");
    assert!(!dir.exists());
    assert_eq!(leftovers(&fixture.base()), Vec::<PathBuf>::new());
    let good = [(&fixture.project, fixture.head())];
    for (place, why) in [
        (fixture.repo.join("inside"), "inside of the project"),
        (fixture.base().join("missing/dir"), "does not exist"),
        (fixture.repo.join("a"), "new or empty"),
        (PathBuf::from("/"), "new or empty"),
        (fixture.base().join("x/.."), ""),
    ] {
        let error = export(&fixture.git(), &good, &place).expect_err("refused");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(snapshots(&fixture.git(), &fixture.project, plan()).expect("listed").is_empty());
}
