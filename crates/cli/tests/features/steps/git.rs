//! Steps about repositories: what others do to them, and what landed.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use cucumber::{given, then, when};

use crate::repository::{Repository, git_in};
use crate::world::World;

#[given(expr = "in {string} somebody commits {string} to {string}")]
#[when(expr = "in {string} somebody commits {string} to {string}")]
fn commit(world: &mut World, repository: String, text: String, file: String) {
    let repository = world.repository(&repository);
    repository.write(&file, &text);
    repository.commit("by somebody else");
}

#[given(expr = "in {string} the file {string} is changed to {string}")]
#[when(expr = "in {string} the file {string} is changed to {string}")]
fn change(world: &mut World, repository: String, file: String, text: String) {
    world.repository(&repository).write(&file, &text);
}

#[given(expr = "in {string} all is committed")]
#[when(expr = "in {string} all is committed")]
fn commit_all(world: &mut World, repository: String) {
    world.repository(&repository).commit("by somebody else");
}

#[when(expr = "in {string} git is told {string}")]
#[given(expr = "in {string} git is told {string}")]
fn git(world: &mut World, repository: String, line: String) {
    let line = world.said(&line);
    world.repository(&repository).git(&line.split_whitespace().collect::<Vec<_>>());
}

#[given(expr = "in {string} a hook {string} that would be noticed")]
fn hook(world: &mut World, repository: String, name: String) {
    let path = world.repository(&repository).path.join(".git/hooks").join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for hooks");
    let script = format!("#!/bin/sh\ntouch '{}/hook-ran'\nexit 1\n", world.root().display());
    std::fs::write(&path, script).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

#[then("no hook has run")]
fn no_hook(world: &mut World) {
    assert!(!world.root().join("hook-ran").exists());
}

#[when(expr = "in {string} I merge {string} into the plan's branch, and {string} becomes {string}")]
pub(super) fn merge(world: &mut World, repository: String, branch: String, file: String, text: String) {
    let checkout = merged(world, &repository, &branch, &file, &text);
    world.repository(&repository).git(&["worktree", "remove", &checkout.display().to_string()]);
}

#[when(
    expr = "in {string} I merge {string} into the plan's branch, {string} becomes {string}, and I {word} the checkout"
)]
fn merge_and(
    world: &mut World,
    repository: String,
    branch: String,
    file: String,
    text: String,
    then: String,
) {
    let checkout = merged(world, &repository, &branch, &file, &text);
    match then.as_str() {
        "delete" => std::fs::remove_dir_all(checkout).expect("deleted"),
        "keep" => {}
        other => panic!("nobody can {other} a checkout"),
    }
}

#[when(expr = "in {string} I add {string} as {string} to the plan's branch")]
fn add_by_hand(world: &mut World, repository: String, text: String, file: String) {
    let there = plan_checkout(world, &repository);
    there.write(&file, &text);
    there.commit("added by hand");
    world.repository(&repository).git(&["worktree", "remove", &there.path.display().to_string()]);
}

/// A checkout of the plan's branch, as a person makes one.
fn plan_checkout(world: &World, repository: &str) -> Repository {
    let checkout = world.root().join("checkout");
    let (path, plan) = (checkout.display().to_string(), format!("agents/plan-{}", world.plan()));
    world.repository(repository).git(&["worktree", "add", "-q", &path, &plan]);
    Repository { path: checkout }
}

/// A checkout in which a branch was merged into the plan's, and its conflict resolved.
fn merged(world: &World, repository: &str, branch: &str, file: &str, text: &str) -> PathBuf {
    let there = plan_checkout(world, repository);
    there.try_git(&["merge", "-q", branch]);
    there.write(file, text);
    there.git(&["add", "-A"]);
    git_in(&there.path, &["commit", "-q", "-m", "merged by hand"]);
    there.path
}

#[given(expr = "in {string} the folder {string} has a file {string} that says {string}")]
fn file_in(world: &mut World, repository: String, folder: String, file: String, text: String) {
    let repository = world.repository(&repository);
    std::fs::create_dir_all(repository.path.join(&folder)).expect("made");
    repository.write(&format!("{folder}/{file}"), &text);
}

#[given(expr = "in {string} there is a link {string} to {string}")]
fn link_in(world: &mut World, repository: String, link: String, to: String) {
    let to = world.said(&to);
    std::os::unix::fs::symlink(to, world.repository(&repository).path.join(link)).expect("linked");
}

#[then(expr = "in {string} the branch {string} has {string} in {string}, line by line")]
fn branch_has_lines(world: &mut World, repository: String, branch: String, text: String, file: String) {
    let shown = world.repository(&repository).show(&world.said(&branch), &file).expect("it is there");
    assert_eq!(shown.split_whitespace().collect::<Vec<_>>().join(" "), text);
}

#[then(expr = "the file {string} has {int} line(s)")]
fn has_lines(world: &mut World, file: String, count: usize) {
    let text = std::fs::read_to_string(world.root().join(file)).expect("it is there");
    assert_eq!(text.lines().count(), count, "{text}");
}

#[then(expr = "nothing in {string} holds {string}")]
fn nowhere(world: &mut World, folder: String, text: String) {
    let mut folders = vec![world.root().join(folder)];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable")) {
            let kind = entry.file_type().expect("known");
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).expect("readable");
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!found, "{}", entry.path().display());
                files += 1;
            }
        }
    }
    assert!(files > 0, "there is nothing to look at");
}

#[when(expr = "in {string} the file {string} is removed")]
fn remove(world: &mut World, repository: String, file: String) {
    std::fs::remove_file(world.repository(&repository).path.join(file)).expect("removed");
}

#[given(expr = "in {string} commits are signed")]
fn signed(world: &mut World, repository: String) {
    sign_by(
        world,
        &repository,
        "cat > /dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho 'SIGNED BY A TEST'\n",
    );
}

#[given(expr = "in {string} commits are signed, which fails")]
fn unsigned(world: &mut World, repository: String) {
    sign_by(world, &repository, "exit 2\n");
}

fn sign_by(world: &World, repository: &str, script: &str) {
    let signer = world.root().join("bin/signer");
    std::fs::write(&signer, format!("#!/bin/sh\n{script}")).expect("written");
    std::fs::set_permissions(&signer, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let repository = world.repository(repository);
    repository.git(&["config", "gpg.program", &signer.display().to_string()]);
    repository.git(&["config", "commit.gpgSign", "true"]);
}

#[then(expr = "in {string} the last commit of {string} is signed")]
fn is_signed(world: &mut World, repository: String, branch: String) {
    let object = world.repository(&repository).git(&["cat-file", "commit", &branch]);
    assert!(object.contains("gpgsig SIGNED BY A TEST"), "{object}");
}

#[then(expr = "in {string} the branch {string} has {string} in {string}")]
fn branch_has(world: &mut World, repository: String, branch: String, text: String, file: String) {
    let branch = world.said(&branch);
    assert_eq!(world.repository(&repository).show(&branch, &file).as_deref(), Some(text.as_str()));
}

#[then(expr = "in {string} the branch {string} has no {string}")]
fn branch_lacks(world: &mut World, repository: String, branch: String, file: String) {
    assert_eq!(world.repository(&repository).show(&branch, &file), None);
}

#[then(expr = "in {string} the file {string} says {string}")]
fn file_says(world: &mut World, repository: String, file: String, text: String) {
    let path = world.repository(&repository).path.join(file);
    assert_eq!(std::fs::read_to_string(path).expect("it is there").trim(), text);
}

/// Those of attempts, that is, and nobody else made any.
#[then(expr = "in {string} no worktree is left")]
fn no_worktree(world: &mut World, repository: String) {
    let found = world.repository(&repository).git(&["worktree", "list"]);
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[then(expr = "in {string} there is no file {string}")]
fn no_file(world: &mut World, repository: String, file: String) {
    assert!(!world.repository(&repository).path.join(file).exists());
}

#[then(expr = "in {string} the checkout is clean")]
fn clean(world: &mut World, repository: String) {
    assert_eq!(world.repository(&repository).git(&["status", "--porcelain"]), "");
}

#[then(expr = "in {string} {int} commit(s) landed on {string}")]
fn landed(world: &mut World, repository: String, count: u32, branch: String) {
    let range = format!("start..{}", world.said(&branch));
    let found = world.repository(&repository).git(&["rev-list", "--count", "--first-parent", &range]);
    assert_eq!(found, count.to_string());
}

#[then(expr = "in {string} the files landed on {string} in this order: {string}")]
fn order(world: &mut World, repository: String, branch: String, files: String) {
    let range = format!("start..{branch}");
    let log = ["log", "--first-parent", "-m", "--reverse", "--name-only", "--format=", &range];
    let found = world.repository(&repository).git(&log);
    let found: Vec<&str> = found.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(found.join(", "), files);
}

#[then(expr = "in {string} the last commit of {string} has {int} parent(s)")]
fn parents(world: &mut World, repository: String, branch: String, count: usize) {
    let branch = world.said(&branch);
    let found = world.repository(&repository).git(&["log", "-1", "--format=%P", &branch]);
    assert_eq!(found.split_whitespace().count(), count, "{found}");
}

#[then(expr = "in {string} the last commit of {string} says {string}")]
fn message(world: &mut World, repository: String, branch: String, text: String) {
    let (text, branch) = (world.said(&text), world.said(&branch));
    let found = world.repository(&repository).git(&["log", "-1", "--format=%B", &branch]);
    assert!(found.contains(&text), "{found}");
}

#[then(expr = "in {string} the history of {string} says {string}")]
fn history(world: &mut World, repository: String, branch: String, text: String) {
    let branch = world.said(&branch);
    let found = world.repository(&repository).git(&["log", "--format=%B", &branch]);
    assert!(found.contains(&text), "{found}");
}

#[then(expr = "in {string} a snapshot of the plan has {string} in {string}")]
fn snapshot(world: &mut World, repository: String, text: String, file: String) {
    snapshot_of(world, repository, "PLAN".to_owned(), text, file);
}

#[then(expr = "in {string} a snapshot of {word} has {string} in {string}")]
fn snapshot_of(world: &mut World, repository: String, plan: String, text: String, file: String) {
    let pattern = format!("refs/agents/{}/", world.said(&plan));
    let repository = world.repository(&repository);
    let refs = repository.git(&["for-each-ref", "--format=%(refname)", &pattern]);
    let found =
        refs.lines().any(|reference| repository.show(reference, &file).as_deref() == Some(text.as_str()));
    assert!(found, "no snapshot has it: {refs}");
}

#[then(expr = "in {string} there is no branch {string}")]
fn no_branch(world: &mut World, repository: String, branch: String) {
    let reference = format!("refs/heads/{}", world.said(&branch));
    let found = world.repository(&repository).try_git(&["rev-parse", "--verify", "-q", &reference]);
    assert!(!found.status.success(), "{reference}");
}

#[then(expr = "there is no file {string} any more")]
fn gone(world: &mut World, file: String) {
    let file = world.said(&file);
    assert!(!world.root().join(&file).exists(), "{file}");
}

#[then(expr = "the file {string} was made")]
fn made(world: &mut World, file: String) {
    let file = world.said(&file);
    assert!(world.root().join(&file).exists(), "{file}");
}
