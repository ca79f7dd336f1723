//! The payloads of events.

use std::collections::BTreeMap;

use agents_domain::id::{IntentId, PlanId};
use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Exit, Failure, InterruptCause, Origin, Phase, Spawned, Validation, Work};
use agents_domain::subplan::GivenUp;
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;
use serde::{Deserialize, Serialize};

use super::form;

/// One payload; its `kind` is the name of the event.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Change", tag = "kind", deny_unknown_fields)]
pub(super) enum ChangeDefinition {
    #[serde(rename = "plan.created")]
    Created(#[serde(with = "form")] Origin),
    #[serde(rename = "plan.phase_started")]
    PhaseStarted {
        #[serde(with = "form")]
        driver: Holder,
        #[serde(with = "form")]
        bases: BTreeMap<Name, Oid>,
        commanded: bool,
    },
    #[serde(rename = "plan.phase_completed")]
    PhaseCompleted {
        #[serde(with = "form")]
        tips: BTreeMap<Name, Oid>,
        strategy: Option<String>,
        #[serde(with = "form")]
        work: Vec<Work>,
    },
    #[serde(rename = "plan.phase_failed")]
    PhaseFailed {
        #[serde(with = "form")]
        failure: Failure,
        // Not in the payloads of the first release.
        #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
        exit: Option<Exit>,
        #[serde(with = "form")]
        work: Vec<Work>,
    },
    #[serde(rename = "plan.parked")]
    Parked {
        #[serde(with = "form")]
        until: Option<Timestamp>,
        input: Option<String>,
        cause: String,
        #[serde(with = "form")]
        work: Vec<Work>,
    },
    #[serde(rename = "plan.phase_advanced")]
    PhaseAdvanced {
        #[serde(with = "form")]
        to: Phase,
    },
    #[serde(rename = "plan.applied")]
    Applied,
    #[serde(rename = "plan.constrained")]
    Constrained {
        #[serde(with = "form")]
        failure: Failure,
        #[serde(with = "form")]
        validations: Vec<Validation>,
    },
    #[serde(rename = "plan.retried")]
    Retried {
        // Not in the payloads of the first release.
        #[serde(with = "form", default, skip_serializing_if = "BTreeMap::is_empty")]
        resume: BTreeMap<Name, Oid>,
        // Not in the payloads of the second release.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        anew: bool,
    },
    #[serde(rename = "plan.reverted")]
    Reverted { reason: Option<String> },
    #[serde(rename = "plan.interrupted")]
    Interrupted {
        #[serde(with = "form")]
        cause: InterruptCause,
        #[serde(with = "form")]
        work: Vec<Work>,
    },
    #[serde(rename = "plan.adopted")]
    Adopted {
        #[serde(with = "form")]
        driver: Holder,
    },
    #[serde(rename = "plan.cancelled")]
    Cancelled {
        reason: Option<String>,
        keep_landed: bool,
        #[serde(with = "form")]
        work: Vec<Work>,
        // Not in the payloads of the second release.
        #[serde(with = "form", default, skip_serializing_if = "Option::is_none")]
        given_up: Option<GivenUp>,
    },
    #[serde(rename = "plan.prompted")]
    Prompted { text: String },
    #[serde(rename = "plan.landing_intended")]
    LandingIntended {
        #[serde(with = "form")]
        intents: Vec<Intent>,
        #[serde(with = "form")]
        validations: Vec<Validation>,
    },
    #[serde(rename = "plan.landed")]
    Landed {
        #[serde(with = "form")]
        intent: IntentId,
    },
    #[serde(rename = "subplan.spawned")]
    Spawned {
        #[serde(with = "form")]
        children: Vec<Spawned>,
    },
    #[serde(rename = "subplan.merged")]
    SubplanMerged {
        #[serde(with = "form")]
        child: PlanId,
        name: String,
        #[serde(with = "form")]
        tips: BTreeMap<Name, Oid>,
    },
    #[serde(rename = "subplan.conflicted")]
    SubplanConflicted {
        #[serde(with = "form")]
        child: PlanId,
        name: String,
        #[serde(with = "form")]
        failure: Failure,
    },
    #[serde(rename = "plan.work_saved")]
    WorkSaved {
        attempt: u32,
        #[serde(with = "form")]
        work: Vec<Work>,
    },
    #[serde(rename = "plan.command_started")]
    CommandStarted,
}
