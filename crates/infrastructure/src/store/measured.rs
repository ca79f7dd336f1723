//! From counted rows to the numbers of a store.

use std::collections::BTreeMap;

use agents_domain::plan::{Phase, Stage, State, StoreError};

use crate::store::column::RowName;

/// Stages with how many plans are in them; those that nobody is in are left out.
pub(crate) fn stages(rows: &[(String, String, i64)]) -> Result<BTreeMap<Stage, u64>, StoreError> {
    let stage = |(phase, state, plans): &(String, String, i64)| {
        let key = format!("{phase}/{state}");
        let name = RowName::new("plan_counts", &key);
        let phase = name.word("phase", phase, Phase::parse)?;
        let stage = Stage::new(phase, name.word("state", state, State::parse)?);
        Ok((name.need("stage", stage)?, name.number("plans", *plans)?))
    };
    let kept = rows.iter().filter(|(_, _, plans)| *plans != 0);
    kept.map(stage).collect()
}

/// Words with how often they occur.
pub(crate) fn counts(
    table: &'static str,
    rows: Vec<(String, i64)>,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let count = |(word, count): (String, i64)| {
        let count = RowName::new(table, &word).number("count", count)?;
        Ok((word, count))
    };
    rows.into_iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_cannot_be_and_a_count_below_zero_name_their_rows() {
        let row = |phase: &str, state: &str, plans| (phase.to_owned(), state.to_owned(), plans);
        let found = stages(&[row("apply", "applied", 2), row("apply", "queued", 0)]).expect("stages");
        assert_eq!(found.values().collect::<Vec<_>>(), [&2]);
        for wrong in [row("apply", "complete", 1), row("apply", "queued", -1), row("rest", "queued", 1)] {
            assert!(matches!(stages(&[wrong]), Err(StoreError::Corrupt { .. })));
        }
        assert!(counts("event_counts", vec![("plan.created".to_owned(), -1)]).is_err());
    }
}
