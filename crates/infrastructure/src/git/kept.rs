//! The snapshots that a plan has: what is in `refs/agents/<ULID>/<attempt>/<token>/<project>`.
//!
//! Reads refs only; it takes no lock and needs no directory.

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, Slot, WorkspaceError};

use super::command::At;
use super::{output, refs};

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The attempt that it is of.
    pub attempt: u32,
    /// The fencing token of who made it; a later holder has a greater one.
    pub token: i64,
    /// The ref.
    pub reference: String,
    /// Its commit.
    pub commit: Oid,
}

/// The snapshots of a plan in one project, oldest first.
pub(super) fn of_plan(at: &At<'_>, project: &Project, plan: PlanId) -> Result<Vec<Kept>, WorkspaceError> {
    let prefix = format!("refs/agents/{plan}/");
    let listed = at.call(&["for-each-ref", "--format=%(refname)%00%(objectname)", &prefix]).run()?;
    let component = refs::component(&project.name);
    let mut found = Vec::new();
    for line in listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut fields = output::fields(line);
        let (Some(name), Some(id)) = (fields.next(), fields.next()) else { continue };
        let reference = output::text(name);
        if let Some((attempt, token)) = numbers(&reference[prefix.len()..], &component) {
            let commit = output::oid(id, "for-each-ref", at.dir)?;
            found.push(Kept { attempt, token, reference, commit });
        }
    }
    // By number and not by name: 10 comes after 9.
    found.sort_by_key(|kept| (kept.attempt, kept.token));
    Ok(found)
}

/// The newest snapshot of one attempt.
pub(super) fn newest(at: &At<'_>, slot: &Slot) -> Result<Option<Kept>, WorkspaceError> {
    let all = of_plan(at, &slot.project, slot.plan)?;
    Ok(all.into_iter().rfind(|kept| kept.attempt == slot.attempt))
}

/// `2/7/local/api` of the project `local/api`: attempt 2, token 7.
fn numbers(rest: &str, component: &str) -> Option<(u32, i64)> {
    let (attempt, rest) = rest.split_once('/')?;
    let (token, name) = rest.split_once('/')?;
    (name == component).then_some(())?;
    Some((attempt.parse().ok()?, token.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_tells_attempt_token_and_project() {
        assert_eq!(numbers("2/7/local/api", "local/api"), Some((2, 7)));
        for other in ["2/7/local/web", "2/7", "x/7/local/api", "2/x/local/api"] {
            assert_eq!(numbers(other, "local/api"), None, "{other}");
        }
    }
}
