//! What every store checks of a subplan before it is written.

use agents_domain::plan::PlanRecord;

/// Why a plan cannot be a child of that one; `None`: it can.
pub(crate) fn misfit(child: &PlanRecord, parent: &PlanRecord) -> Option<&'static str> {
    let Some(subplan) = &child.subplan else { return Some("it is nobody's child") };
    let (root, depth) = parent.subplan.as_ref().map_or((parent.id, 0), |above| (above.root, above.depth));
    let fits =
        subplan.parent == parent.id && subplan.root == root && Some(subplan.depth) == depth.checked_add(1);
    (!fits).then_some("it is not one level below its parent, under the same root")
}
