//! Who moved a target branch into a plan's way: the commits that touched the paths in conflict.
//!
//! Only the branch's own line is looked at: a landing is one commit on it, with a trailer that
//! names the plan, whatever commits the plan brings along.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Mover, WorkspaceError};

use super::command::At;
use super::output;
use super::touched::Names;

/// More are of no use to a reader.
const MOST: &str = "--max-count=3";
/// More would not fit into one command line.
const MOST_PATHS: usize = 200;

/// The newest commits of `target` since these bases that touched one of these paths.
pub(super) fn of(
    at: &At<'_>,
    bases: &[Oid],
    target: &Oid,
    paths: &Names,
) -> Result<Vec<Mover>, WorkspaceError> {
    // The bases themselves, not `^tip`: git compares a merge with a parent only if that parent was
    // named, or is in the range.
    let bases = bases.iter().map(|base| format!("^{base}"));
    let format = "--format=%H%x00%(trailers:key=Agents-Plan,valueonly,separator=%x2C)%x00%s";
    let literal = at.with("GIT_LITERAL_PATHSPECS", "1");
    let log = literal.call(&["log", "--first-parent", "--no-show-signature", MOST, format, target.as_str()]);
    let paths = paths.iter().take(MOST_PATHS).map(|path| OsStr::from_bytes(path));
    let said = log.args(bases).args(["--"]).args(paths).run()?;
    let lines = said.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| mover(at, line)).collect()
}

fn mover(at: &At<'_>, line: &[u8]) -> Result<Mover, WorkspaceError> {
    let mut fields = line.splitn(3, |byte| *byte == 0);
    let mut field = || fields.next().unwrap_or_default();
    let commit = output::oid(field(), "log", at.dir)?;
    // Anybody may write a trailer; one that names no plan is none.
    let plan = PlanId::parse(output::text(field()).trim()).ok();
    Ok(Mover { commit, subject: output::text(field()), plan })
}
