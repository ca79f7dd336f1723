//! What came of a plan: its snapshots, the tip of its branch, and the difference to its start.
//!
//! All functions block; none changes a branch, takes a lock of a plan, or looks at a checkout.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, WorkspaceError};

use super::command::Git;
use super::kept::{self, Kept};
use super::{commits, output, plan_branch};

/// One path that differs between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The path, any bytes.
    pub path: PathBuf,
    /// Git's letter: `A` added, `M` modified, `D` deleted, `T` another type.
    pub status: char,
    /// Lines added and removed; `None`: the file is not text.
    pub lines: Option<(u64, u64)>,
}

/// The snapshots of a plan in one project, oldest first.
pub fn snapshots(git: &Git, project: &Project, plan: PlanId) -> Result<Vec<Kept>, WorkspaceError> {
    git.check()?;
    kept::of_plan(&git.repository(&project.common_dir), project, plan)
}

/// The result of a plan, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// What is recorded, or what a person put on top of it.
    pub commit: Oid,
    /// Why the remote could not be asked what is on the branch there; `None`: it was, or there is none.
    pub unasked: Option<WorkspaceError>,
}

/// The result of a plan of which that commit is recorded. With a remote its branch there counts, too: the one
/// here may be from before another machine went on. Nothing is moved; what is lacking is fetched.
pub fn plan_tip(git: &Git, project: &Project, plan: PlanId, recorded: &Oid) -> Result<Tip, WorkspaceError> {
    git.check()?;
    plan_branch::newest(git, project, plan, recorded)
}

/// Brings a commit of a plan here from the project's remote, if it is not here.
pub fn bring(git: &Git, project: &Project, plan: PlanId, commit: &Oid) -> Result<(), WorkspaceError> {
    git.check()?;
    commits::need(git, project, plan, commit)
}

/// What differs between two commits, by path.
pub fn changed_files(
    git: &Git,
    project: &Project,
    from: &Oid,
    to: &Oid,
) -> Result<Vec<FileChange>, WorkspaceError> {
    git.check()?;
    let at = git.repository(&project.common_dir);
    let diff = |form| {
        at.call(&["diff-tree", "-r", "-z", "--no-renames", form]).args([from.as_str(), to.as_str()]).run()
    };
    let counts = counts(&diff("--numstat")?);
    let changes = output::changes(&diff("--raw")?).into_iter().map(|change| FileChange {
        lines: counts.get(&change.path).copied(),
        path: output::path(&change.path),
        status: change.status,
    });
    Ok(changes.collect())
}

/// Git's own difference between two commits, as it is read; `stat`: only how much of what.
pub fn diff(
    git: &Git,
    project: &Project,
    (from, to): (&Oid, &Oid),
    stat: bool,
    color: bool,
) -> Result<impl Read + Send + use<>, WorkspaceError> {
    git.check()?;
    let at = git.repository(&project.common_dir);
    let form = if stat { "--stat" } else { "--patch" };
    let color = if color { "--color=always" } else { "--color=never" };
    let call = at.call(&["diff", "--no-ext-diff", "--no-textconv", form, color]);
    call.args([from.as_str(), to.as_str(), "--"]).stream()
}

/// Reads `--numstat -z`: `3 TAB 1 TAB path NUL`; two dashes for what is not text.
fn counts(listed: &[u8]) -> BTreeMap<Vec<u8>, (u64, u64)> {
    let count = |field: &[u8]| output::text(field).parse().ok();
    let fields = output::fields(listed).filter_map(|field| {
        let mut parts = field.splitn(3, |byte| *byte == b'\t');
        let (added, removed) = (count(parts.next()?)?, count(parts.next()?)?);
        Some((parts.next()?.to_owned(), (added, removed)))
    });
    fields.collect()
}
