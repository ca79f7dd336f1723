//! Reading refs, and creating and moving them by compare-and-swap.

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Head, Project, WorkspaceError};

use super::command::{At, Git};
use super::remote::Far;
use super::{identity, mirror, output};

/// Where a ref is; `None`: there is none of exactly that name.
pub(super) fn read(at: &At<'_>, reference: &str) -> Result<Option<Oid>, WorkspaceError> {
    // `for-each-ref` and not `rev-parse`: no revision syntax, and absence is no failure.
    let found = at.call(&["for-each-ref", "--format=%(refname)%00%(objectname)", reference]).run()?;
    let line = found.split(|byte| *byte == b'\n').find_map(|line| {
        let rest = line.strip_prefix(reference.as_bytes())?;
        rest.strip_prefix(b"\0")
    });
    line.map(|id| output::oid(id, "for-each-ref", at.dir)).transpose()
}

/// Where the project's branch is.
pub(super) fn target(at: &At<'_>, project: &Project) -> Result<Oid, WorkspaceError> {
    let missing =
        || WorkspaceError::NoBranch { project: project.name.clone(), branch: project.branch.clone() };
    read(at, &project.target_ref())?.ok_or_else(missing)
}

/// Where the project's branch is, and whether the user's checkout has changes beyond it.
pub(super) fn head(git: &Git, project: &Project) -> Result<Head, WorkspaceError> {
    let at = git.repository(&project.common_dir);
    let far = Far::of(git, project)?;
    let commit = match &far {
        Some(far) => far.target()?,
        None => target(&at, project)?,
    };
    if !mirror::has_checkout(project) {
        return Ok(Head { commit, dirty: false, unpushed: false });
    }
    let status = ["status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=none"];
    let dirty = !git.directory(&project.path).call(&status).run()?.is_empty();
    let unpushed = match read(&at, &project.target_ref())? {
        Some(own) if far.is_some() => !contains(&at, &commit, &own)?,
        _ => false,
    };
    Ok(Head { commit, dirty, unpushed })
}

/// Whether a commit is in the repository.
pub(super) fn exists(at: &At<'_>, commit: &Oid) -> Result<bool, WorkspaceError> {
    let asked = at.call(&["cat-file", "-e"]).args([format!("{commit}^{{commit}}")]);
    Ok(asked.run_or(&[1, 128])?.status.success())
}

/// The tree of a commit.
pub(super) fn tree(at: &At<'_>, commit: &Oid) -> Result<Oid, WorkspaceError> {
    at.call(&["rev-parse", "--verify", "-q"]).args([format!("{commit}^{{tree}}")]).run_oid()
}

/// Moves a ref from `old` (`None`: absent) to `new`, with a line in its reflog.
pub(super) fn swap(
    at: &At<'_>,
    reference: &str,
    old: Option<&Oid>,
    new: &Oid,
    why: &str,
) -> Result<(), WorkspaceError> {
    let zeros = "0".repeat(new.as_str().len());
    let old = old.map_or(zeros.as_str(), Oid::as_str);
    let at = identity::with_identity(at)?;
    at.call(&["update-ref", "-m", why]).args([reference, new.as_str(), old]).run().map(drop)
}

/// Removes a ref that is at `old`. One that is gone is fine.
pub(super) fn delete(at: &At<'_>, reference: &str, old: &Oid) -> Result<(), WorkspaceError> {
    match at.call(&["update-ref", "-d"]).args([reference, old.as_str()]).run() {
        Err(error) if read(at, reference)?.is_some() => Err(error),
        _ => Ok(()),
    }
}

/// Whether `commit` is `tip` or one of its ancestors.
pub(super) fn contains(at: &At<'_>, tip: &Oid, commit: &Oid) -> Result<bool, WorkspaceError> {
    let asked = at.call(&["merge-base", "--is-ancestor", commit.as_str(), tip.as_str()]);
    Ok(asked.run_or(&[1])?.status.success())
}

/// A project's name as the last two components of a ref. Names may end in `.` or `.lock`, refs
/// may not; a `%`, which no name contains, tells them apart.
pub(super) fn component(name: &Name) -> String {
    let part = |text: &str| match text {
        _ if text.ends_with('.') || text.strip_suffix(".lock").is_some() => format!("{text}%"),
        _ => text.to_owned(),
    };
    format!("{}/{}", part(name.namespace()), part(name.short()))
}
