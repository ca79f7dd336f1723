//! A remote before it becomes a project's.

use agents_domain::workspace::{Project, Remote, WorkspaceError};
use agents_infrastructure::git::{check_remote, chosen_remote};

use crate::fixture::git;
use crate::remote::Shared;

#[test]
fn a_remote_is_named_or_given_by_its_url() {
    let shared = Shared::new();
    let (repo, program) = (&shared.fixture.repo, shared.fixture.git());
    git(repo, &["remote", "add", "origin", "../far.git"]);
    let chosen = |asked: &str| chosen_remote(&program, repo, asked);
    assert_eq!(chosen("origin"), Ok(repo.join("../far.git").display().to_string()));
    assert_eq!(chosen("git@host:x.git").as_deref(), Ok("git@host:x.git"));
    git(repo, &["remote", "add", "ci", "https://glpat-secret@host/x.git"]);
    for (asked, told) in [
        ("upstream", "it has ci, origin"),
        ("-u/x", "no URL"),
        ("https://a:secret@host/x", "a password"),
        ("https://secret@host/x", "a user, who may be a token"),
        ("https://host/x?token=secret", "a query, which may be a token"),
        ("ci", "a user, who may be a token"),
    ] {
        let error = chosen(asked).expect_err("refused").to_string();
        assert!(error.contains(told) && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_remote_that_plans_can_land_on_is_taken_and_nothing_moves_there() {
    let shared = Shared::new();
    let before = git(&shared.bare, &["for-each-ref"]);
    assert_eq!(check_remote(&shared.fixture.git(), &shared.project), Ok(()));
    assert_eq!(git(&shared.bare, &["for-each-ref"]), before);
}

#[test]
fn a_remote_without_atomic_pushes_is_refused() {
    let shared = Shared::new();
    git(&shared.bare, &["config", "receive.advertiseAtomic", "false"]);
    let error = check_remote(&shared.fixture.git(), &shared.project).expect_err("refused");
    let WorkspaceError::RemoteRefused { remedy, .. } = &error else { panic!("{error:?}") };
    assert!(remedy.contains("plans cannot land there"), "{remedy}");
}

#[test]
fn a_remote_out_of_reach_or_without_the_branch_is_refused() {
    let shared = Shared::new();
    let program = shared.fixture.git();
    let other = Project { branch: "other".to_owned(), ..shared.project.clone() };
    assert!(matches!(check_remote(&program, &other), Err(WorkspaceError::NoBranch { .. })));
    let remote = Some(Remote { url: "file:///nowhere.git".to_owned(), push_snapshots: false });
    let away = Project { remote, ..shared.project.clone() };
    assert!(matches!(check_remote(&program, &away), Err(WorkspaceError::Remote { .. })));
}
