//! T3: no commit of a command is lost. Each is in a ref; or, where no snapshot could be made, in the
//! attempt's directory, which is still there.

use std::collections::BTreeSet;

use super::{Evidence, Verdict};
use crate::linux::git;
use crate::linux::journal::What;

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let removed = evidence.world.removed.lock().expect("whole").clone();
    for name in crate::linux::world::PROJECTS {
        let repository = evidence.world.repository(name);
        let in_refs = commits(&repository, &["rev-list", "--single-worktree", "--all"]);
        // The same and what the directories that are there have checked out.
        let in_worktrees = commits(&repository, &["rev-list", "--all"]);
        for (plan, records) in &evidence.journal {
            for record in records {
                let What::Commit { project, commit } = &record.what else { continue };
                if project != name {
                    continue;
                }
                verdict.commits += 1;
                let place = format!("worktrees/{plan}/{}/local~{name}", record.attempt);
                let theirs = evidence.world.home().join("state").join(&place);
                let kept = in_worktrees.contains(commit) && theirs.is_dir();
                if !in_refs.contains(commit) && !kept && !removed.contains(&theirs) {
                    verdict.violations.push(format!(
                        "T3 plan {plan}, {name}: commit {commit} of attempt {} is in no ref",
                        record.attempt
                    ));
                }
            }
        }
    }
}

fn commits(repository: &std::path::Path, arguments: &[&str]) -> BTreeSet<String> {
    git::must(repository, arguments).lines().map(str::to_owned).collect()
}
