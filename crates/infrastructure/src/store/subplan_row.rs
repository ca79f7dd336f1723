//! Rows of `subplans`: what a plan that is a part of another is besides.

use agents_domain::id::PlanId;
use agents_domain::plan::StoreError;
use agents_domain::subplan::{GivenUp, Subplan};
use diesel::prelude::*;

use crate::store::column::RowName;
use crate::store::schema::subplans;

const SKIPPED: &str = "skipped";
const FAIL_FAST: &str = "fail_fast";

/// One child of a plan.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = subplans)]
pub(crate) struct SubplanRow {
    pub(crate) plan_id: String,
    pub(crate) parent: String,
    pub(crate) root: String,
    pub(crate) depth: i64,
    pub(crate) position: i64,
    pub(crate) name: String,
    pub(crate) depends_on: String,
    #[diesel(embed)]
    pub(crate) standing: StandingColumns,
}

/// The columns that change with the plan.
#[derive(Debug, Clone, Default, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = subplans, treat_none_as_null = true)]
pub(crate) struct StandingColumns {
    pub(crate) failures: i64,
    pub(crate) given_up_kind: Option<String>,
    pub(crate) given_up_by: Option<String>,
}

impl SubplanRow {
    /// The row of that plan.
    pub(crate) fn new(plan: PlanId, subplan: &Subplan) -> Self {
        Self {
            plan_id: plan.to_string(),
            parent: subplan.parent.to_string(),
            root: subplan.root.to_string(),
            depth: i64::from(subplan.depth),
            position: i64::from(subplan.position),
            name: subplan.name.clone(),
            depends_on: serde_json::json!(subplan.depends_on).to_string(),
            standing: StandingColumns::from(subplan),
        }
    }

    /// What the plan is as a child.
    pub(crate) fn subplan(self) -> Result<Subplan, StoreError> {
        let row = RowName::new("subplans", &self.plan_id);
        Ok(Subplan {
            parent: row.parsed("parent", PlanId::parse(&self.parent))?,
            root: row.parsed("root", PlanId::parse(&self.root))?,
            depth: row.number("depth", self.depth)?,
            position: row.number("position", self.position)?,
            depends_on: row.parsed("depends_on", serde_json::from_str(&self.depends_on))?,
            failures: row.number("failures", self.standing.failures)?,
            given_up: self.standing.given_up(row)?,
            name: self.name,
        })
    }
}

impl From<&Subplan> for StandingColumns {
    fn from(subplan: &Subplan) -> Self {
        let given_up = subplan.given_up.as_ref().map(|given_up| match given_up {
            GivenUp::Skipped { by } => (SKIPPED, by),
            GivenUp::FailFast { by } => (FAIL_FAST, by),
        });
        Self {
            failures: i64::from(subplan.failures),
            given_up_kind: given_up.map(|(kind, _)| kind.to_owned()),
            given_up_by: given_up.map(|(_, by)| by.clone()),
        }
    }
}

impl StandingColumns {
    fn given_up(&self, row: RowName<'_>) -> Result<Option<GivenUp>, StoreError> {
        let Some(kind) = &self.given_up_kind else { return Ok(None) };
        let by = row.need("given_up_by", self.given_up_by.clone())?;
        match kind.as_str() {
            SKIPPED => Ok(Some(GivenUp::Skipped { by })),
            FAIL_FAST => Ok(Some(GivenUp::FailFast { by })),
            other => Err(row.corrupt(format_args!("given_up_kind is `{other}`"))),
        }
    }
}
