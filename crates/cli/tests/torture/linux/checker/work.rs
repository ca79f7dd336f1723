//! T3: no commit of a command is lost. Each is in a ref; or, where no snapshot could be made, in the
//! attempt's directory, which is still there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Evidence, Verdict};
use crate::linux::git;
use crate::linux::journal::What;

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let removed = evidence.world.removed.lock().expect("whole").clone();
    for name in crate::linux::world::PROJECTS {
        let repositories = repositories(evidence, name);
        let in_refs = commits(&repositories, &["rev-list", "--single-worktree", "--all"]);
        // The same and what the directories that are there have checked out.
        let in_worktrees = commits(&repositories, &["rev-list", "--all"]);
        for (plan, records) in &evidence.journal {
            for record in records {
                let What::Commit { project, commit } = &record.what else { continue };
                if project != name {
                    continue;
                }
                verdict.commits += 1;
                let place = format!("worktrees/{plan}/{}/local~{name}", record.attempt);
                let states = evidence.world.states();
                let theirs = || states.iter().map(|state| state.join(&place));
                let kept = in_worktrees.contains(commit) && theirs().any(|theirs| theirs.is_dir());
                if !in_refs.contains(commit) && !kept && !theirs().any(|theirs| removed.contains(&theirs)) {
                    verdict.violations.push(format!(
                        "T3 plan {plan}, {name}: commit {commit} of attempt {} is in no ref",
                        record.attempt
                    ));
                }
            }
        }
    }
}

/// All that may hold work for a project: where it lands, the clone, and the mirrors of other machines.
fn repositories(evidence: &Evidence<'_>, name: &str) -> Vec<PathBuf> {
    let world = evidence.world;
    let mirrors = world.states().into_iter().map(|state| state.join("mirrors"));
    let mirrors = mirrors.flat_map(|mirrors| std::fs::read_dir(mirrors).into_iter().flatten().flatten());
    let mirrors = mirrors.map(|entry| entry.path()).filter(|path| path.join("HEAD").is_file());
    mirrors.chain([world.repository(name), world.checkout(name)]).collect()
}

fn commits(repositories: &[PathBuf], arguments: &[&str]) -> BTreeSet<String> {
    let of_one = |repository: &PathBuf| git::must(repository, arguments);
    repositories
        .iter()
        .map(of_one)
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
