//! Removing what plans leave on disk, and never what is nowhere else.
//!
//! Deciding ([`judge`]) is apart from doing ([`Housekeeper`]).

use agents_domain::lock::FencingToken;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Slot, Snapshot, WorkspaceError, Worktrees};

/// Removes the directory of an attempt whose snapshot is recorded. It is looked at once more: what
/// was written there since goes into a snapshot of this holder first.
pub(crate) async fn clear(
    worktrees: &dyn Worktrees,
    slot: &Slot,
    recorded: &Oid,
    token: Option<FencingToken>,
    copied: &[String],
) -> Result<(), String> {
    match worktrees.snapshot(slot, recorded, token, copied).await {
        Ok(Snapshot { keep_directory: Some(reason), .. }) => return Err(reason),
        Ok(_) | Err(WorkspaceError::NoDirectory { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    worktrees.close(slot).await.map_err(|error| error.to_string())
}
