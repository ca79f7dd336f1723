//! What the payloads of events say of subplans.

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::plan::Spawned;
use agents_domain::subplan::{GivenUp, Subplan};
use serde::{Deserialize, Serialize};

use super::form;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Spawned", deny_unknown_fields)]
pub(super) struct SpawnedDefinition {
    #[serde(with = "form")]
    plan: PlanId,
    name: String,
    #[serde(with = "form")]
    action: Name,
    #[serde(with = "form")]
    replaces: Option<PlanId>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Subplan", deny_unknown_fields)]
pub(super) struct SubplanDefinition {
    #[serde(with = "form")]
    parent: PlanId,
    #[serde(with = "form")]
    root: PlanId,
    depth: u32,
    position: u32,
    name: String,
    depends_on: Vec<String>,
    failures: u32,
    #[serde(with = "form")]
    given_up: Option<GivenUp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "GivenUp", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum GivenUpDefinition {
    Skipped { by: String },
    FailFast { by: String },
}
