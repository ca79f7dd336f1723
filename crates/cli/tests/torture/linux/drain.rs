//! The end: no more faults, and every plan is carried on until it is done, as a person would by what
//! the program says.

use crate::linux::child::CALM;
use crate::linux::oracle::Plan;
use crate::linux::trees;
use crate::linux::world::World;

/// So often each plan may be carried on.
const ROUNDS: usize = 12;

/// Carries every plan on to its end; what does not come to one is a violation.
pub(crate) fn drain(world: &World) -> Vec<String> {
    world.tell(CALM, "");
    recover(world);
    for round in 0..ROUNDS {
        let left = unfinished(world);
        if left.is_empty() {
            break;
        }
        // What is below a plan that is carried on is carried on with it.
        let open = |id: &String| left.iter().any(|plan| plan.id == *id);
        for plan in left.iter().filter(|plan| !plan.parent.as_ref().is_some_and(open)) {
            // What one machine lacks another may have: work that could not be pushed.
            carry_on(world, round % world.machines.len(), plan);
        }
    }
    // Whoever was killed right before its end has left its lock, and nothing to be done.
    recover(world);
    left(world)
}

/// On each machine: what an attempt has left there is put away there.
fn recover(world: &World) {
    for machine in 0..world.machines.len() {
        world.start_on(machine, &["recover", "--wait", "14s"], &[]).wait();
    }
}

/// What has not come to an end.
pub(crate) fn left(world: &World) -> Vec<String> {
    let told = |plan: Plan| {
        format!("T2 plan {} comes to no end: {}/{} {:?}", plan.id, plan.phase, plan.state, plan.error_code)
    };
    unfinished(world).into_iter().map(told).collect()
}

fn unfinished(world: &World) -> Vec<Plan> {
    world.oracle.plans().into_iter().filter(|plan| !plan.is_terminal()).collect()
}

fn carry_on(world: &World, machine: usize, plan: &Plan) {
    let run = |line: &str| {
        world.start_on(machine, &line.split(' ').collect::<Vec<_>>(), &[]).wait();
    };
    let id = plan.id.as_str();
    if world.oracle.past().contains(id) {
        // Its parent went back to its start, and whoever sent it there died before it was given up.
        return run(&format!("plan cancel {id}"));
    }
    if let Some(line) = trees::onward(world, plan) {
        return run(&line);
    }
    let line = match (plan.phase.as_str(), plan.state.as_str()) {
        (_, "processing") => "recover".to_owned(),
        (_, "errored" | "constrained") if plan.error_code.as_deref() == Some("empty") => {
            format!("plan retry {id} --allow-empty")
        }
        (_, "errored" | "constrained") => format!("plan retry {id}"),
        ("execute", "complete") | ("apply", _) => format!("plan apply {id} --yes"),
        _ => format!("plan execute {id}"),
    };
    run(&line);
}
