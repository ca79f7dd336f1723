//! A person who resolves conflicts, as the program says: on the parent's branch, by a merge of the
//! child's. The conflict's own words are taken for the result: what counts is that both sides are in.

use crate::linux::git;
use crate::linux::oracle::Plan;
use crate::linux::world::{PROJECTS, World};

/// Whether the work of a child waits for a person.
fn waits_for_a_person(plan: &Plan) -> bool {
    plan.phase == "apply" && ["errored", "constrained"].contains(&plan.state.as_str())
}

/// Resolves what there is to be resolved below a plan.
pub(crate) fn resolve(world: &World, root: &str) {
    let plans = world.oracle.plans();
    let mut inside = vec![root];
    let mut at = 0;
    while let Some(parent) = inside.get(at).copied() {
        for child in plans.iter().filter(|plan| plan.parent.as_deref() == Some(parent)) {
            if waits_for_a_person(child) {
                for project in PROJECTS {
                    // Nothing to do there, or somebody was faster.
                    let _ = merge(world, project, parent, &child.id);
                }
            }
            inside.push(&child.id);
        }
        at += 1;
    }
}

/// Merges without a checkout, and moves the branch only if nobody else has meanwhile.
fn merge(world: &World, project: &str, parent: &str, child: &str) -> Option<()> {
    let repository = world.repository(project);
    let branch = |plan: &str| format!("refs/heads/agents/plan-{plan}");
    let (target, at) =
        (branch(parent), |name: &str| git::run(&repository, &["rev-parse", "-q", "--verify", name]));
    let (ours, theirs) = (at(&target)?, at(&branch(child))?);
    if git::run(&repository, &["merge-base", "--is-ancestor", &theirs, &ours]).is_some() {
        return None;
    }
    let tree = git::merged_tree(&repository, &ours, &theirs)?;
    let words = ["commit-tree", &tree, "-p", &ours, "-p", &theirs, "-m", "resolved by hand"];
    let commit = git::run(&repository, &words)?;
    // Noted first: from here on the child's work may be in there, whatever becomes of the child.
    world.by_hand.lock().expect("whole").insert(child.to_owned());
    git::run(&repository, &["update-ref", "-m", "by hand", &target, &commit, &ours]).map(drop)
}
