//! What becomes a project, and what is refused with which reason.

use std::fs;
use std::path::{Path, PathBuf};

use agents_infrastructure::git::{Found, inspect, locate};

use crate::fixture::{Fixture, commit, git, repository, write};

fn refusal(fixture: &Fixture, path: &Path, branch: Option<&str>) -> String {
    inspect(&fixture.git(), path, branch).expect_err("refused").to_string()
}

fn reason(fixture: &Fixture) -> String {
    refusal(fixture, &fixture.repo, None)
}

#[test]
fn a_repository_is_found_from_any_path_inside() {
    let fixture = Fixture::new();
    write(&fixture.repo, "deep/er/file", "x");
    let found = inspect(&fixture.git(), &fixture.repo.join("deep/er"), None).expect("usable");
    let (root, common_dir) = (fixture.repo.clone(), fixture.repo.join(".git"));
    assert_eq!(found, Found { root, common_dir: common_dir.clone(), branch: "main".to_owned() });
    assert_eq!(locate(&fixture.git(), &fixture.repo.join("deep")).expect("asked"), Some(common_dir));
}

#[test]
fn a_linked_worktree_is_its_own_root_of_the_same_repository() {
    let fixture = Fixture::new();
    git(&fixture.repo, &["worktree", "add", "-q", "-b", "side", "../linked"]);
    let linked = fixture.base().join("linked");
    let found = inspect(&fixture.git(), &linked, None).expect("usable");
    let common_dir = fixture.repo.join(".git");
    assert_eq!(found, Found { root: linked, common_dir, branch: "side".to_owned() });
}

#[test]
fn what_is_no_checkout_is_refused() {
    let fixture = Fixture::new();
    let base = fixture.base();
    assert!(refusal(&fixture, &base.join("none"), None).ends_with("none cannot be used: it does not exist"));
    assert!(refusal(&fixture, &fixture.repo.join("a"), None).ends_with("it is not a directory"));
    assert!(refusal(&fixture, &fixture.repo.join("a/b"), None).contains("Not a directory"));
    assert!(refusal(&fixture, &base.join("home"), None).ends_with("it is not in a git repository"));
    assert!(refusal(&fixture, &fixture.repo.join(".git"), None).contains("inside of a git directory"));
    git(&base, &["init", "-q", "--bare", "bare.git"]);
    assert!(refusal(&fixture, &base.join("bare.git"), None).contains("bare repository"));
    for path in ["none", "home"] {
        assert_eq!(locate(&fixture.git(), &base.join(path)).expect("asked"), None);
    }
}

#[test]
fn a_broken_repository_is_refused_in_gits_words() {
    let fixture = Fixture::new();
    fs::write(fixture.repo.join(".git/config"), "[core\n").expect("written");
    assert!(reason(&fixture).contains("bad config"));
}

#[test]
fn a_repository_without_a_commit_is_refused() {
    let fixture = Fixture::new();
    git(&fixture.base(), &["init", "-q", "empty"]);
    assert!(refusal(&fixture, &fixture.base().join("empty"), None).ends_with("it has no commit yet"));
}

#[test]
fn a_detached_head_needs_a_branch() {
    let fixture = Fixture::new();
    git(&fixture.repo, &["checkout", "-q", "--detach"]);
    assert!(reason(&fixture).contains("--branch"));
    let found = inspect(&fixture.git(), &fixture.repo, Some("main")).expect("usable");
    assert_eq!(found.branch, "main");
}

#[test]
fn an_unknown_branch_is_refused() {
    let fixture = Fixture::new();
    for unknown in ["nope", "main~0", "-x", ""] {
        let said = refusal(&fixture, &fixture.repo, Some(unknown));
        assert!(said.ends_with(&format!("it has no branch `{unknown}`")), "{said}");
    }
}

#[test]
fn submodules_are_refused() {
    let fixture = Fixture::new();
    let other: PathBuf = fixture.base().join("other");
    repository(&other);
    git(&fixture.repo, &["submodule", "add", "-q", "../other", "sub"]);
    commit(&fixture.repo, "with a submodule");
    assert!(reason(&fixture).contains("submodules"));
    fs::remove_file(fixture.repo.join(".gitmodules")).expect("removed");
    commit(&fixture.repo, "only the link");
    assert!(reason(&fixture).contains("submodules"));
}

#[test]
fn lfs_is_refused_wherever_the_attribute_is() {
    let fixture = Fixture::new();
    write(&fixture.repo, ".git/info/attributes", "*.bin filter=lfs\n");
    assert!(reason(&fixture).contains("LFS"));
    fs::remove_file(fixture.repo.join(".git/info/attributes")).expect("removed");
    write(&fixture.repo, "deep/.gitattributes", "# *.bin filter=lfs\n");
    commit(&fixture.repo, "only a comment");
    inspect(&fixture.git(), &fixture.repo, None).expect("usable");
    write(&fixture.repo, "deep/.gitattributes", "*.bin filter=lfs diff=lfs\n");
    commit(&fixture.repo, "in earnest");
    assert!(reason(&fixture).contains("LFS"));
}

#[test]
fn clones_that_lack_objects_are_refused() {
    let fixture = Fixture::new();
    commit(&fixture.repo, "second");
    let (base, url) = (fixture.base(), format!("file://{}", fixture.repo.display()));
    git(&base, &["clone", "-q", "--depth=1", &url, "shallow"]);
    assert!(refusal(&fixture, &base.join("shallow"), None).contains("shallow"));
    git(&fixture.repo, &["config", "uploadpack.allowFilter", "true"]);
    git(&base, &["clone", "-q", "--filter=blob:none", &url, "partial"]);
    assert!(refusal(&fixture, &base.join("partial"), None).contains("partial clone"));
}
