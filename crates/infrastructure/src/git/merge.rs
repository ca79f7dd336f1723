//! Merging a plan's work onto where the target is now, in the object database only.
//!
//! A merge commit is made even where the target could simply move on to the plan's tip: one
//! landing is then one commit on the branch's first-parent line, under the plan's message.

use agents_domain::action::MergeStrategy;
use agents_domain::oid::Oid;
use agents_domain::workspace::{MergeRequest, Merged, WorkspaceError};

use super::command::{At, Git};
use super::remote::Far;
use super::touched::{self, Names};
use super::{identity, movers, output, refs};

/// Merges; neither a ref nor a worktree is touched.
pub(super) fn merge(git: &Git, request: &MergeRequest) -> Result<Merged, WorkspaceError> {
    let at = git.repository(&request.project.common_dir);
    let old = match Far::of(git, &request.project)? {
        Some(far) => far.target()?,
        None => refs::target(&at, &request.project)?,
    };
    let command = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"];
    let output = at.call(&command).args([old.as_str(), request.tip.as_str()]).run_or(&[1])?;
    let mut fields = output::fields(&output.stdout);
    let tree = output::oid(fields.next().unwrap_or_default(), "merge-tree", at.dir)?;
    let paths = fields.map(<[u8]>::to_vec).collect();
    if let Some(conflict) = conflict(&at, request, &old, output.status.success(), paths)? {
        return Ok(conflict);
    }
    // Also when the target contains the tip already.
    if tree == refs::tree(&at, &old)? {
        return Ok(Merged::Empty { old });
    }
    let new = commit(&at, request, &tree, &old)?;
    Ok(Merged::Clean { old, new })
}

/// What is in the way: the `paths` that did not merge, and, if the request is exclusive, those that
/// both sides changed.
fn conflict(
    at: &At<'_>,
    request: &MergeRequest,
    old: &Oid,
    clean: bool,
    mut paths: Names,
) -> Result<Option<Merged>, WorkspaceError> {
    if clean && !request.exclusive {
        return Ok(None);
    }
    let bases = touched::bases(at, old, &request.tip)?;
    if request.exclusive {
        // Also where nothing would change on the target, since both made the same change. Not where
        // the target contains the tip: then the tip is the base, and changed nothing since.
        paths.extend(touched::by_both(at, &bases, old, &request.tip)?);
    }
    // Git warns that a merge may fail without naming a path (renamed directories).
    if clean && paths.is_empty() {
        return Ok(None);
    }
    let movers = movers::of(at, &bases, old, &paths)?;
    let files = paths.iter().map(|path| output::text(path)).collect();
    Ok(Some(Merged::Conflict { base: bases.into_iter().next(), old: old.clone(), files, movers }))
}

/// The commit that would land, by the user, signed if the user signs commits.
fn commit(at: &At<'_>, request: &MergeRequest, tree: &Oid, old: &Oid) -> Result<Oid, WorkspaceError> {
    let at = identity::with_identity(at)?;
    let signs = at.call(&["config", "--type=bool", "--get", "commit.gpgSign"]).run_or(&[1])?;
    let mut call = at.call(&["commit-tree", tree.as_str(), "-p", old.as_str()]);
    if request.strategy == MergeStrategy::Merge {
        call = call.args(["-p", request.tip.as_str()]);
    }
    if output::text(&signs.stdout) == "true" {
        call = call.args(["-S"]);
    }
    call.input(format!("{}\n", request.message.trim_end()).into_bytes()).run_oid()
}
