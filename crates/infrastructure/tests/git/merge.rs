//! Merges in the object database.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use agents_domain::action::MergeStrategy;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Landings as _, MergeRequest, Merged, Mover};

use rstest::rstest;

use crate::fixture::{Fixture, commit, files, git, write};

fn parents(fixture: &Fixture, made: &Oid) -> Vec<String> {
    let line = git(&fixture.repo, &["log", "-1", "--format=%P", made.as_str()]);
    line.split(' ').map(str::to_owned).collect()
}

async fn merge(fixture: &Fixture, tip: &Oid, strategy: MergeStrategy) -> Merged {
    fixture.workspace.merge(&fixture.request(tip, strategy)).await.expect("merged")
}

async fn merge_exclusively(fixture: &Fixture, tip: &Oid) -> Merged {
    let request = MergeRequest { exclusive: true, ..fixture.request(tip, MergeStrategy::Merge) };
    fixture.workspace.merge(&request).await.expect("merged")
}

/// Lands a tip on `main`, as a merge.
async fn land(fixture: &Fixture, tip: &Oid) {
    let Merged::Clean { new, .. } = merge(fixture, tip, MergeStrategy::Merge).await else {
        panic!("not clean")
    };
    git(&fixture.repo, &["reset", "-q", "--hard", new.as_str()]);
}

fn conflicting(merged: &Merged) -> &[String] {
    let Merged::Conflict { files, .. } = merged else { panic!("no conflict: {merged:?}") };
    files
}

#[tokio::test]
async fn both_sides_are_in_a_clean_merge() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("new file", "x\n")]);
    write(&fixture.repo, "b", "b2\n");
    commit(&fixture.repo, "the target moved");
    let Merged::Clean { old, new } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("not clean");
    };
    assert_eq!(old, fixture.head());
    assert_eq!(parents(&fixture, &new), [old.as_str(), tip.as_str()]);
    assert_eq!(files(&fixture.repo, &new), [".gitignore", "a", "b", "new file"]);
    let said = git(&fixture.repo, &["log", "-1", "--format=%an|%cn|%B", new.as_str()]);
    assert_eq!(said, "Ann|Ann|fix: it");
}

#[tokio::test]
async fn a_merge_commit_is_made_even_where_the_target_did_not_move() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    let Merged::Clean { old, new } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("not clean");
    };
    assert_eq!(parents(&fixture, &new), [old.as_str(), tip.as_str()]);
}

#[tokio::test]
async fn a_squash_has_the_target_as_its_only_parent() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    let Merged::Clean { old, new } = merge(&fixture, &tip, MergeStrategy::Squash).await else {
        panic!("not clean");
    };
    assert_eq!(parents(&fixture, &new), [old.as_str()]);
}

#[tokio::test]
async fn what_the_target_has_already_is_empty() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    let old = fixture.head();
    assert_eq!(merge(&fixture, &old, MergeStrategy::Merge).await, Merged::Empty { old });
    write(&fixture.repo, "a", "a2\n");
    let old = commit(&fixture.repo, "the same change");
    assert_eq!(merge(&fixture, &tip, MergeStrategy::Merge).await, Merged::Empty { old });
}

#[tokio::test]
async fn a_conflict_names_the_files() {
    let fixture = Fixture::new();
    let base = Some(fixture.head());
    let tip = fixture.side_commit(&[("a", "theirs\n"), ("sp ace", "theirs\n"), ("fine", "x\n")]);
    write(&fixture.repo, "a", "ours\n");
    write(&fixture.repo, "sp ace", "ours\n");
    let old = commit(&fixture.repo, "the target moved");
    let files = vec!["a".to_owned(), "sp ace".to_owned()];
    let mover = Mover { commit: old.clone(), subject: "the target moved".to_owned(), plan: None };
    let conflict = Merged::Conflict { base, old, files, movers: vec![mover] };
    assert_eq!(merge(&fixture, &tip, MergeStrategy::Squash).await, conflict);
}

#[tokio::test]
async fn a_conflict_names_who_moved_the_target_the_newest_first_and_not_too_many() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "theirs\n"), ("[b]*", "theirs\n")]);
    for round in 0..3 {
        write(&fixture.repo, "a", &format!("ours {round}\n"));
        commit(&fixture.repo, &format!("round {round}"));
    }
    write(&fixture.repo, "b", "not in the way\n");
    commit(&fixture.repo, "elsewhere");
    write(&fixture.repo, "[b]*", "ours\n");
    let plan = crate::fixture::plan();
    let landing = commit(&fixture.repo, &format!("landing\n\nAgents-Plan: {plan}"));
    write(&fixture.repo, "a", "ours, again\n");
    commit(&fixture.repo, "forged\n\nAgents-Plan: nobody");
    let Merged::Conflict { movers, .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("no conflict")
    };
    let shown: Vec<_> = movers.iter().map(|mover| (mover.subject.as_str(), mover.plan)).collect();
    assert_eq!(shown, [("forged", None), ("landing", Some(plan)), ("round 2", None)]);
    assert_eq!(movers[1].commit, landing);
}

#[rstest]
#[case(false)]
#[case(true)]
#[tokio::test]
async fn a_landing_that_is_a_merge_is_named_and_not_the_commits_that_it_brought(#[case] moved: bool) {
    let fixture = Fixture::new();
    let (tip, other) = (fixture.side_commit(&[("a", "theirs\n")]), fixture.side_commit(&[("a", "others\n")]));
    if moved {
        write(&fixture.repo, "b", "b2\n");
        commit(&fixture.repo, "elsewhere");
    }
    land(&fixture, &other).await;
    let Merged::Conflict { movers, .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("no conflict")
    };
    assert_eq!(movers.iter().map(|mover| &mover.commit).collect::<Vec<_>>(), [&fixture.head()]);
}

#[tokio::test]
async fn the_base_of_a_conflict_moves_on_with_what_was_merged() {
    let fixture = Fixture::new();
    let first = fixture.side_commit(&[("a", "first\n")]);
    land(&fixture, &first).await;
    let base = fixture.head();
    let tip = fixture.side_commit(&[("a", "theirs\n")]);
    write(&fixture.repo, "a", "ours\n");
    commit(&fixture.repo, "the target moved");
    let Merged::Conflict { base: told, .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("no conflict")
    };
    assert_eq!(told, Some(base));
}

#[rstest]
#[case::at_other_places("top 2\n2\n3\n4\nend\n", "top\n2\n3\n4\nend 2\n")]
#[case::to_the_same_content("top\n2\n3\n4\nend 2\n", "top\n2\n3\n4\nend 2\n")]
#[tokio::test]
async fn an_exclusive_merge_refuses_a_file_that_both_sides_changed(#[case] ours: &str, #[case] theirs: &str) {
    let fixture = Fixture::new();
    write(&fixture.repo, "sp ace", "top\n2\n3\n4\nend\n");
    let base = Some(commit(&fixture.repo, "the base"));
    let tip = fixture.side_commit(&[("sp ace", theirs), ("a", "theirs alone\n")]);
    write(&fixture.repo, "sp ace", ours);
    write(&fixture.repo, "b", "ours alone\n");
    let old = commit(&fixture.repo, "the target moved");
    let Merged::Clean { .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("it would merge")
    };
    let mover = Mover { commit: old.clone(), subject: "the target moved".to_owned(), plan: None };
    let conflict = Merged::Conflict { base, old, files: vec!["sp ace".to_owned()], movers: vec![mover] };
    assert_eq!(merge_exclusively(&fixture, &tip).await, conflict);
}

#[tokio::test]
async fn the_same_change_alone_is_empty_but_refused_by_an_exclusive_merge() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    write(&fixture.repo, "a", "a2\n");
    let old = commit(&fixture.repo, "the same change");
    assert_eq!(merge(&fixture, &tip, MergeStrategy::Merge).await, Merged::Empty { old });
    assert_eq!(conflicting(&merge_exclusively(&fixture, &tip).await), ["a"]);
}

#[tokio::test]
async fn an_exclusive_merge_tells_conflicts_and_shared_files_together() {
    let fixture = Fixture::new();
    write(&fixture.repo, "z", "top\n2\n3\n4\nend\n");
    commit(&fixture.repo, "the base");
    let tip = fixture.side_commit(&[("z", "top 2\n2\n3\n4\nend\n"), ("a", "theirs\n")]);
    write(&fixture.repo, "z", "top\n2\n3\n4\nend 2\n");
    write(&fixture.repo, "a", "ours\n");
    commit(&fixture.repo, "the target moved");
    assert_eq!(conflicting(&merge(&fixture, &tip, MergeStrategy::Merge).await), ["a"]);
    assert_eq!(conflicting(&merge_exclusively(&fixture, &tip).await), ["a", "z"]);
}

#[tokio::test]
async fn a_file_that_one_side_renamed_is_changed_by_both() {
    let fixture = Fixture::new();
    write(&fixture.repo, "long", "1\n2\n3\n4\n5\n6\n");
    commit(&fixture.repo, "the base");
    let tip = fixture.side_commit(&[("long", "1\n2\n3\n4\n5\n6\n7\n")]);
    git(&fixture.repo, &["mv", "long", "renamed"]);
    commit(&fixture.repo, "the target moved");
    let Merged::Clean { .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("git follows the rename")
    };
    assert_eq!(conflicting(&merge_exclusively(&fixture, &tip).await), ["long"]);
}

#[tokio::test]
async fn an_exclusive_merge_of_other_files_is_clean() {
    let fixture = Fixture::new();
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    let old = fixture.head();
    assert_eq!(merge_exclusively(&fixture, &old).await, Merged::Empty { old });
    write(&fixture.repo, "b", "b2\n");
    commit(&fixture.repo, "the target moved");
    assert!(matches!(merge_exclusively(&fixture, &tip).await, Merged::Clean { .. }));
    land(&fixture, &tip).await;
    let old = fixture.head();
    assert_eq!(merge_exclusively(&fixture, &tip).await, Merged::Empty { old });
    // Its successor, which began on what was merged, may change the same file again.
    let successor = fixture.side_commit(&[("a", "a3\n")]);
    write(&fixture.repo, "b", "b3\n");
    commit(&fixture.repo, "the target moved on");
    assert!(matches!(merge_exclusively(&fixture, &successor).await, Merged::Clean { .. }));
}

#[tokio::test]
async fn what_both_sides_merged_by_themselves_is_shared_by_neither() {
    let fixture = Fixture::new();
    let (one, two) = (fixture.side_commit(&[("a", "a2\n")]), fixture.side_commit(&[("b", "b2\n")]));
    land(&fixture, &one).await;
    // A child that depends on both began on a merge of its own: there are two bases.
    let both = [one.as_str(), two.as_str()];
    let tree = git(&fixture.repo, &["merge-tree", "--write-tree", both[0], both[1]]);
    let merge = git(&fixture.repo, &["commit-tree", "-m", "x", "-p", both[0], "-p", both[1], &tree]);
    land(&fixture, &two).await;
    let dir = fixture.base().join("child");
    git(&fixture.repo, &["worktree", "add", "-q", "--detach", "../child", &merge]);
    write(&dir, "new", "x\n");
    let tip = commit(&dir, "child");
    assert_eq!(git(&fixture.repo, &["merge-base", "--all", "main", tip.as_str()]).lines().count(), 2);
    assert!(matches!(merge_exclusively(&fixture, &tip).await, Merged::Clean { .. }));
    write(&fixture.repo, "new", "y\n");
    commit(&fixture.repo, "the target moved");
    assert_eq!(conflicting(&merge_exclusively(&fixture, &tip).await), ["new"]);
}

#[tokio::test]
async fn landings_are_signed_if_commits_are() {
    let fixture = Fixture::new();
    let signer = fixture.base().join("signer");
    let script = "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho 'SIGNED BY TEST'\n";
    fs::write(&signer, script).expect("written");
    fs::set_permissions(&signer, fs::Permissions::from_mode(0o755)).expect("set");
    git(&fixture.repo, &["config", "gpg.program", signer.to_str().expect("UTF-8")]);
    git(&fixture.repo, &["config", "commit.gpgSign", "true"]);
    let tip = fixture.side_commit(&[("a", "a2\n")]);
    let Merged::Clean { new, .. } = merge(&fixture, &tip, MergeStrategy::Merge).await else {
        panic!("not clean");
    };
    let object = git(&fixture.repo, &["cat-file", "commit", new.as_str()]);
    assert!(object.contains("gpgsig SIGNED BY TEST"), "{object}");
    // Snapshots are not signed.
    write(&fixture.open().await, "a", "a3\n");
    let snapshot = fixture.snapshot().await.commit;
    assert!(!git(&fixture.repo, &["cat-file", "commit", snapshot.as_str()]).contains("gpgsig"));
}

#[tokio::test]
async fn unrelated_histories_and_missing_branches_are_errors() {
    let mut fixture = Fixture::new();
    let tree = git(&fixture.repo, &["rev-parse", "HEAD^{tree}"]);
    let orphan = Oid::parse(&git(&fixture.repo, &["commit-tree", "-m", "x", &tree])).expect("an id");
    let error = fixture.workspace.merge(&fixture.request(&orphan, MergeStrategy::Merge)).await;
    assert!(error.expect_err("unrelated").to_string().contains("unrelated histories"));
    fixture.project.branch = "gone".to_owned();
    fixture.workspace.merge(&fixture.request(&orphan, MergeStrategy::Merge)).await.expect_err("no branch");
}
