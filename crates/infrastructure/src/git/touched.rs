//! Which paths changes touch: what a diff names, and what two sides changed since they parted.

use std::collections::BTreeSet;

use agents_domain::oid::Oid;
use agents_domain::workspace::WorkspaceError;

use super::command::At;
use super::output;

/// Paths of files, as bytes, in git's order.
pub(super) type Names = BTreeSet<Vec<u8>>;

/// The paths that a diff command names.
pub(super) fn diff(at: &At<'_>, command: &[&str], sides: &[&Oid]) -> Result<Names, WorkspaceError> {
    let call = at.call(command).args(["-z", "--name-only", "--no-renames"]);
    let named = call.args(sides.iter().map(|side| side.as_str())).run()?;
    Ok(output::fields(&named).map(<[u8]>::to_vec).collect())
}

/// Where two sides parted, in git's order; more than one if each has taken the same work over by
/// itself, none if they have nothing in common.
pub(super) fn bases(at: &At<'_>, one: &Oid, other: &Oid) -> Result<Vec<Oid>, WorkspaceError> {
    let said = at.call(&["merge-base", "--all", one.as_str(), other.as_str()]).run_or(&[1])?.stdout;
    let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| output::oid(line, "merge-base", at.dir)).collect()
}

/// The paths that both sides changed since they parted.
///
/// Two sides that changed a file to the same content both changed it: two counters raised from 1 to 2
/// are one raise too few, and only a person can tell. Renames are not followed, so that a file counts
/// as changed under its old name and its new one. With several bases a path counts if it changed
/// since each: seen from one of them, what came by way of another looks like work of both sides.
pub(super) fn by_both(at: &At<'_>, bases: &[Oid], one: &Oid, other: &Oid) -> Result<Names, WorkspaceError> {
    let mut both: Option<Names> = None;
    for (base, side) in bases.iter().flat_map(|base| [(base, one), (base, other)]) {
        let changed = diff(at, &["diff-tree", "-r", "--ignore-submodules=none"], &[base, side])?;
        let left = match both {
            None => changed,
            Some(both) => &both & &changed,
        };
        if left.is_empty() {
            return Ok(left);
        }
        both = Some(left);
    }
    Ok(both.unwrap_or_default())
}
