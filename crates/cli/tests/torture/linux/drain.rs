//! The end: no more faults, and every plan is carried on until it is done, as a person would by what
//! the program says.

use crate::linux::child::CALM;
use crate::linux::oracle::Plan;
use crate::linux::world::World;

/// So often each plan may be carried on.
const ROUNDS: usize = 12;

/// Carries every plan on to its end; what does not come to one is a violation.
pub(crate) fn drain(world: &World) -> Vec<String> {
    world.tell(CALM, "");
    world.run(&["recover"]);
    let mut left = Vec::new();
    for _ in 0..ROUNDS {
        left = world.oracle.plans().into_iter().filter(|plan| !plan.is_terminal()).collect();
        if left.is_empty() {
            break;
        }
        for plan in &left {
            carry_on(world, plan);
        }
    }
    let told = |plan: Plan| {
        format!("T2 plan {} comes to no end: {}/{} {:?}", plan.id, plan.phase, plan.state, plan.error_code)
    };
    left.into_iter().filter(|plan| !plan.is_terminal()).map(told).collect()
}

fn carry_on(world: &World, plan: &Plan) {
    let id = plan.id.as_str();
    let line = match (plan.phase.as_str(), plan.state.as_str()) {
        (_, "processing") => "recover".to_owned(),
        (_, "errored" | "constrained") if plan.error_code.as_deref() == Some("empty") => {
            format!("plan retry {id} --allow-empty")
        }
        (_, "errored" | "constrained") => format!("plan retry {id}"),
        ("execute", "complete") | ("apply", _) => format!("plan apply {id} --yes"),
        _ => format!("plan execute {id}"),
    };
    world.run(&line.split(' ').collect::<Vec<_>>());
}
