//! The plan branch `agents/plan-<ULID>`: where the results of successful phases are.

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, WorkspaceError};

use super::command::Git;
use super::refs;

/// Moves it from `old` to `new`. Already at `new`: done before.
pub(super) fn advance(
    git: &Git,
    project: &Project,
    plan: PlanId,
    old: Option<&Oid>,
    new: &Oid,
) -> Result<(), WorkspaceError> {
    let at = git.repository(&project.common_dir);
    let reference = format!("refs/heads/agents/plan-{plan}");
    let Err(error) = refs::swap(&at, &reference, old, new, "agents: phase complete") else {
        return Ok(());
    };
    // Only now is it worth a look why: before the swap, the answer could be out of date.
    let found = refs::read(&at, &reference)?;
    if found.as_ref() == Some(new) {
        return Ok(());
    }
    if found.as_ref() == old {
        return Err(error);
    }
    let shown = |oid: Option<&Oid>| oid.map_or("absent".to_owned(), Oid::to_string);
    Err(WorkspaceError::RefMoved { reference, expected: shown(old), found: shown(found.as_ref()) })
}
