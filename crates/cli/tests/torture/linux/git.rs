//! Git, as a user and as the command of a plan call it.

use std::path::Path;
use std::process::Command;

/// Runs git in a directory; its output, trimmed. `None`: it failed.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(directory, arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The tree that a merge of two commits comes to, with the marks of conflicts where there are any.
pub(crate) fn merged_tree(directory: &Path, ours: &str, theirs: &str) -> Option<String> {
    let output = command(directory, &["merge-tree", "--write-tree", ours, theirs]).output().ok()?;
    let conflicting = output.status.success() || output.status.code() == Some(1);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    conflicting.then(|| text.lines().next().map(str::to_owned)).flatten()
}

/// The same where it cannot fail.
pub(crate) fn must(directory: &Path, arguments: &[&str]) -> String {
    run(directory, arguments).unwrap_or_else(|| panic!("git {arguments:?} fails in {}", directory.display()))
}

/// Git with nothing of the caller's git about it.
#[expect(clippy::disallowed_methods, reason = "git must not see what the caller's git was told")]
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(key);
    }
    command.env("LC_ALL", "C").current_dir(directory).args(arguments);
    command
}

/// A new repository with one commit on `main`.
pub(crate) fn create(path: &Path) {
    std::fs::create_dir_all(path).expect("a directory");
    must(path, &["init", "-q", "-b", "main", "."]);
    for (key, value) in [
        ("user.name", "Ada"),
        ("user.email", "ada@example.org"),
        ("commit.gpgsign", "false"),
        ("gc.auto", "0"),
        ("core.logAllRefUpdates", "true"),
    ] {
        must(path, &["config", key, value]);
    }
    std::fs::write(path.join("notes.txt"), "one\n").expect("written");
    must(path, &["add", "-A"]);
    must(path, &["commit", "-q", "-m", "start"]);
}

/// A bare repository with one commit on `main`, and a clone of it.
pub(crate) fn share(remote: &Path, clone: &Path) {
    std::fs::create_dir_all(remote).expect("a directory");
    must(remote, &["init", "-q", "--bare", "--template=", "-b", "main", "."]);
    // What the checker counts: every move of a branch.
    must(remote, &["config", "core.logAllRefUpdates", "always"]);
    must(remote, &["config", "gc.auto", "0"]);
    create(clone);
    let url = format!("file://{}", remote.display());
    must(clone, &["remote", "add", "origin", &url]);
    must(clone, &["push", "-q", "origin", "main"]);
}

/// Who commits where no repository says so: in mirrors, and in what is made from them.
pub(crate) fn configure(home: &Path) {
    let text = "[user]\n\tname = Ada\n\temail = ada@example.org\n[gc]\n\tauto = 0\n";
    std::fs::write(home.join(".gitconfig"), text).expect("written");
}
