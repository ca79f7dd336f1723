//! Which git runs, and in which environment.

#![expect(clippy::disallowed_methods, reason = "shows what the caller's environment was")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use agents_domain::workspace::{Landings as _, WorkspaceError, Worktrees as _};
use agents_infrastructure::git::{Git, inspect};

use crate::fixture::{Fixture, git, write};

#[tokio::test]
async fn a_missing_git_is_named() {
    let fixture = Fixture::new();
    let workspace = fixture.workspace_with(fixture.git().with_program("/nowhere/git"));
    let error = workspace.head(&fixture.project).await.expect_err("no git");
    assert_eq!(error.to_string(), "the program `/nowhere/git` was not found; git 2.38 or newer is needed");
}

/// A stand-in for git: a shell script.
fn scripted(fixture: &Fixture, script: &str) -> Git {
    let path = fixture.base().join("fake-git");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    fixture.git().with_program(path)
}

#[tokio::test]
async fn an_old_git_is_refused() {
    let fixture = Fixture::new();
    let old = scripted(&fixture, "echo git version 2.37.1");
    let error = fixture.workspace_with(old).head(&fixture.project).await.expect_err("too old");
    assert_eq!(error.to_string(), "git 2.37 is too old; git 2.38 or newer is needed");
}

#[tokio::test]
async fn what_is_no_object_id_is_an_error() {
    let fixture = Fixture::new();
    let script = r#"case "$*" in *--version) echo git version 2.40.0 ;; *) printf 'refs/heads/main\0nonsense\n' ;; esac"#;
    let workspace = fixture.workspace_with(scripted(&fixture, script));
    let error = workspace.head(&fixture.project).await.expect_err("nonsense");
    assert!(matches!(&error, WorkspaceError::Git { message, .. } if message.contains("nonsense")), "{error}");
}

#[tokio::test]
async fn a_silent_failure_says_how_it_ended() {
    let fixture = Fixture::new();
    let script = r#"case "$*" in *--version) echo git version 2.40.0 ;; *) kill -9 $$ ;; esac"#;
    let workspace = fixture.workspace_with(scripted(&fixture, script));
    let error = workspace.head(&fixture.project).await.expect_err("killed");
    assert!(error.to_string().contains("signal: 9"), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn git_leads_a_process_group_of_its_own() {
    let fixture = Fixture::new();
    let script = "read -r pid comm state ppid group rest </proc/self/stat\n\
                  [ $pid = $group ] && echo git version 2.40.0";
    scripted(&fixture, script).check().expect("the leader of its group");
}

/// What a remote said is judged by git's words.
#[test]
fn git_speaks_as_in_the_c_locale() {
    let fixture = Fixture::new();
    let git = scripted(&fixture, "[ \"$LC_ALL\" = C ] && echo git version 2.40.0");
    git.check().expect("whatever the caller speaks");
}

#[tokio::test]
async fn hooks_of_the_repository_do_not_run() {
    let fixture = Fixture::new();
    let hooks = fixture.repo.join(".git/hooks");
    let trace = fixture.base().join("trace");
    for hook in ["post-checkout", "pre-commit", "commit-msg", "reference-transaction", "post-index-change"] {
        write(&hooks, hook, &format!("#!/bin/sh\necho {hook} >>{}\nexit 1\n", trace.display()));
        fs::set_permissions(hooks.join(hook), fs::Permissions::from_mode(0o755)).expect("set");
    }
    let dir = fixture.open().await;
    write(&dir, "a", "changed\n");
    let snapshot = fixture.snapshot().await;
    let intent = fixture.intent(&snapshot.commit);
    fixture.workspace.land(&fixture.project, &intent).await.expect("landed");
    fixture.workspace.follow(&fixture.project, &intent).await.expect("followed");
    fixture.workspace.close(&fixture.slot(1)).await.expect("closed");
    assert!(!trace.exists(), "{:?}", fs::read_to_string(&trace));
}

/// Run by the next test in a process of its own, since an environment belongs to a process.
#[test]
#[ignore = "needs the environment that the next test gives it"]
fn inner_inspect_in_a_poisoned_environment() {
    let fixture = Fixture::new();
    assert_eq!(std::env::var("GIT_DIR").as_deref(), Ok("/nonsense"));
    let found = inspect(&fixture.git(), &fixture.repo, None).expect("usable");
    assert_eq!(found.root, fixture.repo);
}

#[test]
fn variables_of_git_in_the_callers_environment_do_not_matter() {
    let inner = "program::inner_inspect_in_a_poisoned_environment";
    let output = Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", inner, "--ignored"])
        .env("GIT_DIR", "/nonsense")
        .env("GIT_WORK_TREE", "/nonsense")
        .env("GIT_INDEX_FILE", "/nonsense")
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn without_an_identity_the_default_commits() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.base().join("home/.gitconfig")).expect("removed");
    let dir = fixture.open().await;
    write(&dir, "a", "changed\n");
    let made = fixture.snapshot().await.commit;
    let who = git(&fixture.repo, &["log", "-1", "--format=%an <%ae> %cn <%ce>", made.as_str()]);
    assert_eq!(who, "agents <agents@localhost> agents <agents@localhost>");
}

#[tokio::test]
async fn a_configured_identity_commits() {
    let fixture = Fixture::new();
    let dir = fixture.open().await;
    write(&dir, "a", "changed\n");
    let made = fixture.snapshot().await.commit;
    let who = git(&fixture.repo, &["log", "-1", "--format=%an <%ae> %ce", made.as_str()]);
    assert_eq!(who, "Ann <ann@example.com> ann@example.com");
}
