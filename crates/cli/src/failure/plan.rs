//! Failures of plans and of the store that keeps them.

use agents_application::survey::SurveyError;
use agents_domain::plan::{InvalidPlan, Refusal, StoreError};
use serde_json::json;

use crate::exit::Exit;
use crate::failure::Failure;

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(Exit::Refused, "refused", refusal.to_string()).detail(json!({
            "plan_id": refusal.plan.as_str(),
            "command": refusal.verb.as_str(),
            "phase": refusal.stage.phase().as_str(),
            "state": refusal.stage.state().as_str(),
        }));
        refusal.remedy.into_iter().chain(refusal.otherwise).fold(failure, Self::hint)
    }
}

impl From<InvalidPlan> for Failure {
    fn from(error: InvalidPlan) -> Self {
        Self::new(Exit::Store, "store_corrupt", error.to_string()).hint("agents db check")
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        match error {
            SurveyError::Store(error) => error.into(),
            SurveyError::Locks(error) => error.into(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::Unavailable { .. } => {
                Self::new(Exit::Store, "store_unavailable", message).hint("agents diagnostics").retry()
            }
            StoreError::Unknown { .. } => {
                Self::new(Exit::Store, "store_outcome_unknown", message).hint("agents plan list").retry()
            }
            StoreError::Corrupt { .. } => {
                Self::new(Exit::Store, "store_corrupt", message).hint("agents db check")
            }
            StoreError::UnfencedRefused => Self::new(Exit::Store, "unfenced_refused", message),
            StoreError::Taken { .. } => Self::new(Exit::Usage, "taken", message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_domain::plan::{Change, Phase, Stage, Verb, next};
    use agents_domain::time::Timestamp;

    fn text() -> String {
        "x".to_owned()
    }

    #[test]
    fn every_error_of_the_store_has_its_code() {
        let table = [
            (StoreError::Unavailable { reason: text() }, Exit::Store, "store_unavailable", true),
            (StoreError::Unknown { reason: text() }, Exit::Store, "store_outcome_unknown", true),
            (StoreError::Corrupt { row: text(), reason: text() }, Exit::Store, "store_corrupt", false),
            (StoreError::UnfencedRefused, Exit::Store, "unfenced_refused", false),
            (StoreError::Taken { what: text(), by: text() }, Exit::Usage, "taken", false),
        ];
        for (error, exit, code, retryable) in table {
            let failure: Failure = error.into();
            assert_eq!((failure.exit, failure.code, failure.retryable), (exit, code, retryable));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
        let plan = samples::view().record.id;
        let failure: Failure = InvalidPlan { plan, reason: text() }.into();
        assert_eq!((failure.exit, failure.code), (Exit::Store, "store_corrupt"));
    }

    #[test]
    fn a_refusal_keeps_the_remedy_of_the_domain_and_it_parses() {
        for stage in Stage::all() {
            let plan = samples::plan_at(stage);
            let change = Change::PhaseAdvanced { to: Phase::Apply };
            let Err(refusal) = next(&plan, &change, Timestamp::default()) else { continue };
            let failure: Failure = refusal.into();
            assert_eq!((failure.exit, failure.hints.len()), (Exit::Refused, 1));
            crate::remedy::check_hint(&failure.hints[0]).expect("parses");
            assert_eq!(failure.details.expect("given")["state"], stage.state().as_str());
        }
    }

    #[test]
    fn a_refusal_without_a_way_on_has_no_hint() {
        let plan = samples::view().record.id;
        let refusal = Refusal {
            plan,
            verb: Verb::Revert,
            stage: Stage::FIRST,
            reason: text(),
            remedy: None,
            otherwise: None,
        };
        assert!(Failure::from(refusal).hints.is_empty());
    }
}
