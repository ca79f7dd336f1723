//! Failures of git and of the repositories.

use agents_domain::oid::InvalidOid;
use agents_domain::workspace::WorkspaceError;
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;

impl From<WorkspaceError> for Failure {
    /// A git that is missing or too old is the machine's fault, as `diagnostics` would say: 1.
    fn from(error: WorkspaceError) -> Self {
        let message = error.to_string();
        match error {
            WorkspaceError::GitUnusable { .. } => {
                Self::new(Exit::Internal, "git_unusable", message).hint("agents diagnostics")
            }
            WorkspaceError::Unsuitable { path, .. } => {
                Self::new(Exit::Usage, "unsuitable_repository", message).detail(json!({ "path": path }))
            }
            WorkspaceError::NoDirectory { path } => {
                Self::new(Exit::Internal, "no_directory", message).detail(json!({ "path": path }))
            }
            WorkspaceError::NoBranch { project, branch } => Self::new(Exit::Usage, "no_branch", message)
                .hint(format!("look: `agents project show {project}`"))
                .detail(json!({ "project": project.as_str(), "branch": branch })),
            WorkspaceError::RefMoved { reference, expected, found } => {
                Self::new(Exit::Stale, "ref_moved", message)
                    .detail(json!({ "ref": reference, "expected": expected, "found": found }))
                    .retry()
            }
            WorkspaceError::DirtyCheckout { path, files } => {
                Self::new(Exit::Stale, "dirty_checkout", message)
                    .hint("commit or stash these files, then repeat the command")
                    .detail(json!({ "path": path, "files": files }))
            }
            WorkspaceError::NotHere(not_here) => {
                let (project, machine) = (&not_here.project, &not_here.machine);
                Self::new(Exit::Refused, "not_here", message)
                    .hint(format!("run it on {}", machine.host))
                    .hint(format!(
                        "for later plans it may get a remote there, once none of its plans is open: \
                         `agents project remove {project}`, then add it with --remote"
                    ))
                    .hint(format!("look: `agents project show {project}`"))
                    .detail(json!({
                        "project": project.as_str(), "machine": { "id": machine.id, "host": machine.host },
                    }))
            }
            WorkspaceError::Remote { project, url, .. } => Self::new(Exit::Internal, "remote", message)
                .hint(format!(
                    "see that `git ls-remote {url}` answers here without a question, then repeat the command"
                ))
                .detail(json!({ "project": project.as_str(), "remote": url }))
                .retry(),
            WorkspaceError::RemoteRefused { project, url, remedy, .. } => {
                Self::new(Exit::Internal, "remote_refused", message)
                    .hint(format!("{remedy}; then repeat the command"))
                    .detail(json!({ "project": project.as_str(), "remote": url }))
            }
            WorkspaceError::LandingUnknown { project, reference, .. } => {
                Self::new(Exit::Internal, "landing_unknown", message)
                    .hint("once the remote answers, repeat the command: it looks first")
                    .detail(json!({ "project": project.as_str(), "ref": reference }))
                    .retry()
            }
            WorkspaceError::NoCommit { project, commit, host } => {
                Self::new(Exit::Stale, "no_commit", message)
                    .hint(match &host {
                        Some(host) => {
                            format!("on {host}: `agents recover` pushes it; then repeat the command")
                        }
                        None => "repeat the command on the machine that made it".to_owned(),
                    })
                    .detail(json!({
                        "project": project.as_str(), "commit": commit.as_str(), "pending_on": host,
                    }))
            }
            WorkspaceError::Git { command, path, .. } => Self::new(Exit::Internal, "git_failed", message)
                .hint("see to what git says, then repeat the command")
                .detail(json!({ "command": command, "path": path }))
                .retry(),
        }
    }
}

impl From<InvalidOid> for Failure {
    fn from(error: InvalidOid) -> Self {
        Self::new(Exit::Internal, "git_failed", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents_domain::name::Name;
    use agents_domain::oid::Oid;
    use agents_domain::workspace::{Machine, NotHere};

    #[test]
    fn every_error_of_the_workspace_has_its_code() {
        let text = || "x".to_owned();
        let project = || Name::parse("api").expect("valid");
        let table = [
            (WorkspaceError::GitUnusable { reason: text() }, Exit::Internal, "git_unusable"),
            (
                WorkspaceError::Unsuitable { path: text(), reason: text() },
                Exit::Usage,
                "unsuitable_repository",
            ),
            (WorkspaceError::NoDirectory { path: text() }, Exit::Internal, "no_directory"),
            (WorkspaceError::NoBranch { project: project(), branch: text() }, Exit::Usage, "no_branch"),
            (
                WorkspaceError::RefMoved { reference: text(), expected: text(), found: text() },
                Exit::Stale,
                "ref_moved",
            ),
            (
                WorkspaceError::DirtyCheckout { path: text(), files: vec![text()] },
                Exit::Stale,
                "dirty_checkout",
            ),
            (
                WorkspaceError::NotHere(NotHere {
                    project: project(),
                    machine: Machine { id: text(), host: text() },
                }),
                Exit::Refused,
                "not_here",
            ),
            (
                WorkspaceError::Remote { project: project(), url: text(), reason: text() },
                Exit::Internal,
                "remote",
            ),
            (
                WorkspaceError::RemoteRefused {
                    project: project(),
                    url: text(),
                    reason: text(),
                    remedy: text(),
                },
                Exit::Internal,
                "remote_refused",
            ),
            (
                WorkspaceError::LandingUnknown { project: project(), reference: text(), reason: text() },
                Exit::Internal,
                "landing_unknown",
            ),
            (
                WorkspaceError::NoCommit {
                    project: project(),
                    commit: Oid::parse(&"a".repeat(40)).expect("valid"),
                    host: Some(text()),
                },
                Exit::Stale,
                "no_commit",
            ),
            (
                WorkspaceError::Git { command: text(), path: text(), message: text() },
                Exit::Internal,
                "git_failed",
            ),
        ];
        for (error, exit, code) in table {
            let failure: Failure = error.into();
            assert_eq!((failure.exit, failure.code), (exit, code));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
        assert_eq!(Failure::from(Oid::parse("x").expect_err("no id")).code, "git_failed");
    }
}
