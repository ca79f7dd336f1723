//! What plans left: found, and removed only if it is ours and still what it was.

use std::fs;
use std::os::unix::fs::symlink;

use agents_domain::housekeeping::{Leftover, LeftoverKind, Leftovers as _};
use agents_domain::workspace::{Landings as _, Worktrees as _};

use crate::fixture::{Fixture, PLAN, git, oid, plan, read, write};

async fn found(fixture: &Fixture) -> Vec<Leftover> {
    fixture.workspace.of(plan(), std::slice::from_ref(&fixture.project)).await.expect("found")
}

async fn remove(fixture: &Fixture, leftover: &Leftover) -> Result<(), String> {
    let projects = std::slice::from_ref(&fixture.project);
    fixture.workspace.remove(leftover, projects).await.map_err(|error| error.to_string())
}

async fn plans(fixture: &Fixture) -> usize {
    fixture.workspace.plans(std::slice::from_ref(&fixture.project)).await.expect("listed").len()
}

fn attempt_files(fixture: &Fixture) -> std::path::PathBuf {
    fixture.base().join(format!("state/attempts/{PLAN}/1"))
}

#[tokio::test]
async fn all_that_a_plan_left_is_found_and_removed_and_again() {
    let fixture = Fixture::new();
    assert_eq!((plans(&fixture).await, found(&fixture).await), (0, vec![]));
    write(&fixture.open().await, "big", &"x".repeat(5000));
    fixture.workspace.preview(&fixture.slot(1), &fixture.head()).await.expect("made");
    fixture.workspace.advance(&fixture.project, plan(), None, &fixture.head()).await.expect("moved");
    write(&attempt_files(&fixture), "output.log", "0123456789");
    write(&attempt_files(&fixture), "artifacts/report", "x");
    let all = found(&fixture).await;
    let kinds: Vec<_> = all.iter().map(|one| one.kind.clone()).collect();
    let tip = fixture.head();
    let branch = LeftoverKind::Branch { tip, checked_out: false };
    let files = LeftoverKind::Files { artifacts: true };
    assert_eq!(kinds, [LeftoverKind::Worktree, LeftoverKind::Preview, branch, files]);
    assert!(all[0].bytes > 5000 && all[3].bytes == 11, "{all:?}");
    assert_eq!(plans(&fixture).await, 1);
    for one in all.iter().chain(&all) {
        remove(&fixture, one).await.expect("removed, or gone already");
    }
    assert_eq!((plans(&fixture).await, found(&fixture).await), (0, vec![]));
    assert!(!git(&fixture.repo, &["worktree", "list"]).contains("local~api"));
}

#[tokio::test]
async fn a_directory_that_somebody_deleted_leaves_a_record_that_goes() {
    for marker_too in [false, true] {
        let fixture = Fixture::new();
        let dir = fixture.open().await;
        fs::remove_dir_all(&dir).expect("deleted");
        if marker_too {
            fs::remove_dir_all(fixture.base().join(format!("state/worktrees/{PLAN}"))).expect("deleted");
        }
        let all = found(&fixture).await;
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!((all[0].kind.clone(), plans(&fixture).await), (LeftoverKind::Record, 1));
        remove(&fixture, &all[0]).await.expect("removed");
        assert_eq!((plans(&fixture).await, found(&fixture).await), (0, vec![]));
        assert!(!git(&fixture.repo, &["worktree", "list"]).contains("local~api"));
    }
}

#[tokio::test]
async fn what_is_not_ours_is_found_and_stays() {
    let fixture = Fixture::new();
    write(&fixture.place(1), "precious", "x");
    let all = found(&fixture).await;
    assert!(
        matches!(&all[0].kind, LeftoverKind::Foreign { reason } if reason.contains("not made by agents"))
    );
    remove(&fixture, &all[0]).await.expect_err("refused");
    let as_worktree = Leftover { kind: LeftoverKind::Worktree, ..all[0].clone() };
    remove(&fixture, &as_worktree).await.expect_err("refused by its marker");
    let as_record = Leftover { kind: LeftoverKind::Record, ..all[0].clone() };
    remove(&fixture, &as_record).await.expect_err("it is there");
    let nowhere = Leftover { project: None, ..as_worktree };
    remove(&fixture, &nowhere).await.expect_err("of no project");
    assert_eq!(read(&fixture.place(1), "precious"), "x");
}

#[tokio::test]
async fn files_of_an_attempt_go_by_name_and_never_through_a_link() {
    let fixture = Fixture::new();
    let outside = fixture.base().join("outside");
    write(&outside, "output.log", "precious");
    fs::create_dir_all(attempt_files(&fixture).parent().expect("a parent")).expect("made");
    symlink(&outside, attempt_files(&fixture)).expect("linked");
    let all = found(&fixture).await;
    let error = remove(&fixture, &all[0]).await.expect_err("elsewhere");
    assert!(error.contains("it leads elsewhere"), "{error}");
    assert_eq!(read(&outside, "output.log"), "precious");
    fs::remove_file(attempt_files(&fixture)).expect("removed");
    write(&attempt_files(&fixture), "output.log", "x");
    write(&attempt_files(&fixture), "by-hand", "precious");
    remove(&fixture, &all[0]).await.expect_err("something else is in there");
    assert_eq!(read(&attempt_files(&fixture), "by-hand"), "precious");
    assert!(!attempt_files(&fixture).join("output.log").exists());
}

#[tokio::test]
async fn a_branch_that_was_moved_or_is_checked_out_is_told_and_a_moved_one_stays() {
    let fixture = Fixture::new();
    fixture.workspace.advance(&fixture.project, plan(), None, &fixture.head()).await.expect("moved");
    let before = found(&fixture).await.remove(0);
    let branch = format!("agents/plan-{PLAN}");
    git(&fixture.repo, &["worktree", "add", "-q", "../mine", &branch]);
    let now = found(&fixture).await.remove(0);
    assert!(matches!(now.kind, LeftoverKind::Branch { checked_out: true, .. }));
    let more = fixture.side_commit(&[("a", "more\n")]);
    git(&fixture.repo, &["update-ref", &format!("refs/heads/{branch}"), more.as_str()]);
    remove(&fixture, &before).await.expect_err("it is elsewhere");
    assert_eq!(oid(&fixture.repo, &branch), more);
}

#[tokio::test]
async fn a_repository_that_is_gone_hides_no_directory() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    fs::remove_dir_all(&fixture.repo).expect("removed");
    let all = found(&fixture).await;
    assert_eq!((plans(&fixture).await, all.len(), &all[0].path), (1, 1, &dir));
}
