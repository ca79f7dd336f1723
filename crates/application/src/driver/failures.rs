//! What went wrong with the plan's own work, in the words that are stored with it.

use agents_domain::files::FilesError;
use agents_domain::id::PlanId;
use agents_domain::plan::{Exit, Failure, Plan};
use agents_domain::runner::{Ended, RunError, RunReport};
use agents_domain::workspace::{Remote, WorkspaceError};

/// A failure with a stable code. `hint` is a command or a sentence that helps.
pub(super) fn failure(code: &str, message: String, hint: String, retryable: bool) -> Failure {
    Failure { code: code.to_owned(), message, hint: Some(hint), retryable }
}

pub(super) fn retry_hint(plan: PlanId) -> String {
    format!("agents plan retry {plan}")
}

/// How a person merges a branch of a project into another, so that the next try finds it: with a remote, that
/// is where the plan's machine looks. What comes after is the caller's to say.
pub(super) fn merge_by_hand(remote: Option<&Remote>, from: &str, into: &str) -> String {
    match remote {
        None => format!("merge {from} into {into} in any checkout and commit"),
        Some(Remote { url, .. }) => format!(
            "in a checkout of {url}: fetch, merge origin/{from} into {into}, commit and push it \
             (git push origin {into})"
        ),
    }
}

/// Which plan is tried again when a landing of this one has failed: a child lands by its parent.
pub(super) fn landed_by(plan: &Plan) -> PlanId {
    plan.parent().unwrap_or(plan.id)
}

/// How a command ended, if it did not end well. Stops are no failures of the command.
pub(super) fn of_report(plan: PlanId, purpose: &str, report: &RunReport) -> Option<Failure> {
    let (code, what) = match report.ended {
        Ended::Exited(0) | Ended::Stopped(_) => return None,
        Ended::Exited(code) => ("exit_code", format!("{purpose} exited with code {code}")),
        Ended::Signalled(signal) => ("signal", format!("{purpose} was killed by signal {signal}")),
        Ended::TimedOut => ("timeout", format!("{purpose} ran out of time and was stopped")),
    };
    let tail = report.tail.trim_end();
    let message = if tail.is_empty() { what } else { format!("{what}; its last output:\n{tail}") };
    let hint = format!("agents plan log {plan}");
    Some(Failure { code: code.to_owned(), message, hint: Some(hint), retryable: true })
}

/// How a command ended that nobody stopped.
pub(super) const fn exit(ended: Ended) -> Option<Exit> {
    match ended {
        Ended::Exited(code) => Some(Exit::Code(code)),
        Ended::Signalled(signal) => Some(Exit::Signal(signal)),
        Ended::TimedOut | Ended::Stopped(_) => None,
    }
}

/// Why a command did not run.
pub(super) fn of_run_error(plan: PlanId, purpose: &str, error: &RunError) -> Failure {
    let code = match error {
        RunError::NotFound { .. } => "command_not_found",
        RunError::NotExecutable { .. } => "command_not_executable",
        RunError::Template { .. } => "template",
        RunError::MissingVariable { .. } => "missing_variable",
        RunError::Failed { .. } => "not_run",
    };
    failure(code, format!("{purpose}: {error}"), retry_hint(plan), true)
}

/// What git could not do.
pub(super) fn of_workspace(plan: PlanId, error: &WorkspaceError) -> Failure {
    let code = match error {
        WorkspaceError::GitUnusable { .. } => "git_unusable",
        WorkspaceError::Unsuitable { .. } => "repository",
        WorkspaceError::NoDirectory { .. } => "no_directory",
        WorkspaceError::NoBranch { .. } => "no_branch",
        WorkspaceError::RefMoved { .. } => "ref_moved",
        WorkspaceError::DirtyCheckout { .. } => "dirty_checkout",
        WorkspaceError::NotHere(_) => "not_here",
        WorkspaceError::Remote { .. } => "remote",
        WorkspaceError::RemoteRefused { .. } => "remote_refused",
        WorkspaceError::LandingUnknown { .. } => "landing_unknown",
        WorkspaceError::NoCommit { .. } => "no_commit",
        WorkspaceError::Git { .. } => "git",
    };
    let retry = retry_hint(plan);
    let hint = match error {
        WorkspaceError::DirtyCheckout { .. } => format!("commit or stash these files, then: {retry}"),
        WorkspaceError::NoBranch { branch, .. } => format!("bring {branch} back, then: {retry}"),
        WorkspaceError::NotHere(not_here) => format!("on {}: {retry}", not_here.machine.host),
        WorkspaceError::Remote { url, .. } => {
            format!("see that `git ls-remote {url}` answers here without a question, then: {retry}")
        }
        WorkspaceError::RemoteRefused { remedy, .. } => format!("{remedy}; then: {retry}"),
        WorkspaceError::LandingUnknown { .. } => {
            format!("once the remote answers, this looks and goes on: {retry}")
        }
        WorkspaceError::NoCommit { host: Some(host), .. } => {
            format!("on {host}: agents recover; then: {retry}")
        }
        WorkspaceError::NoCommit { .. } => format!("on the machine that made it: {retry}"),
        _ => retry,
    };
    failure(code, error.to_string(), hint, true)
}

/// A file of the attempt that could not be made or read.
pub(super) fn of_files(plan: PlanId, error: &FilesError) -> Failure {
    failure("files", error.to_string(), retry_hint(plan), true)
}
