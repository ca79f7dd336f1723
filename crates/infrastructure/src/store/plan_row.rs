//! Rows of `plans` and what belongs to them, and the plan made of them.

use agents_domain::action::Automation;
use agents_domain::id::PlanId;
use agents_domain::lock::{Fence, FencingToken, Holder};
use agents_domain::name::Name;
use agents_domain::plan::{
    Attempt, Failure, Parked, Phase, PlanProject, PlanRecord, Stage, State, StoreError,
};
use agents_domain::time::Timestamp;
use diesel::prelude::*;

use crate::store::column::{RowName, position, to_i64};
use crate::store::document;
use crate::store::schema::{plan_definitions, plan_guidance, plans};
use crate::store::subplan_row::SubplanRow;

/// One plan.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = plans)]
pub(crate) struct PlanRow {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    pub(crate) action: String,
    pub(crate) automation: String,
    pub(crate) parent: Option<String>,
    pub(crate) created_at: i64,
    #[diesel(embed)]
    pub(crate) facts: FactColumns,
}

/// The columns that change.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = plans, treat_none_as_null = true)]
pub(crate) struct FactColumns {
    pub(crate) phase: String,
    pub(crate) state: String,
    pub(crate) attempt: i64,
    pub(crate) version: i64,
    pub(crate) token: Option<i64>,
    pub(crate) reversion_count: i64,
    pub(crate) attempt_started_at: Option<i64>,
    pub(crate) attempt_commanded: Option<bool>,
    pub(crate) driver_host: Option<String>,
    pub(crate) driver_boot_id: Option<String>,
    pub(crate) driver_pid_namespace: Option<String>,
    pub(crate) driver_pid: Option<i64>,
    pub(crate) driver_started: Option<i64>,
    pub(crate) driver_user: Option<String>,
    pub(crate) driver_operation: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) error_hint: Option<String>,
    pub(crate) error_retryable: Option<bool>,
    pub(crate) parked_until: Option<i64>,
    pub(crate) parked_input: Option<String>,
    pub(crate) parked_cause: Option<String>,
    pub(crate) strategy: Option<String>,
    pub(crate) validations: String,
    pub(crate) cancel_reason: Option<String>,
    pub(crate) updated_at: i64,
}

/// What a plan was ordered to do, less its projects.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = plan_definitions)]
pub(crate) struct DefinitionRow {
    pub(crate) plan_id: String,
    pub(crate) action_source: String,
    pub(crate) arguments: String,
    pub(crate) definition_of_done: Option<String>,
}

/// One piece of guidance.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = plan_guidance)]
pub(crate) struct GuidanceRow {
    pub(crate) plan_id: String,
    pub(crate) position: i64,
    pub(crate) text: String,
}

impl PlanRow {
    /// The row of a plan written under that fence.
    pub(crate) fn new(record: &PlanRecord, fence: &Fence) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            action: record.action.to_string(),
            automation: record.automation.as_str().to_owned(),
            parent: record.parent().map(|parent| parent.to_string()),
            created_at: record.created_at.as_millis(),
            facts: FactColumns::new(record, fence),
        }
    }

    /// The plan's facts; `projects` and `guidance` are in order, `subplan` is its row, if it has one.
    pub(crate) fn into_record(
        self,
        projects: Vec<PlanProject>,
        guidance: Vec<String>,
        subplan: Option<SubplanRow>,
    ) -> Result<PlanRecord, StoreError> {
        let row = RowName::new("plans", &self.id);
        let parent = row.parsed("parent", self.parent.as_deref().map(PlanId::parse).transpose())?;
        let subplan = subplan.map(SubplanRow::subplan).transpose()?;
        if parent != subplan.as_ref().map(|subplan| subplan.parent) {
            return Err(row.corrupt("parent is not that of its row of subplans"));
        }
        let facts = &self.facts;
        let stage = facts.stage(row)?;
        Ok(PlanRecord {
            id: row.parsed("id", PlanId::parse(&self.id))?,
            name: self.name.clone(),
            action: row.parsed("action", Name::parse(&self.action))?,
            automation: row.word("automation", &self.automation, Automation::parse)?,
            subplan,
            stage,
            attempt: row.number("attempt", facts.attempt)?,
            version: row.number("version", facts.version)?,
            reversion_count: row.number("reversion_count", facts.reversion_count)?,
            projects,
            last_attempt: facts.last_attempt(row)?,
            failure: facts.failure(row)?,
            parked: facts.parked(),
            strategy: facts.strategy.clone(),
            guidance,
            validations: row.parsed("validations", document::validations_from_json(&facts.validations))?,
            cancel_reason: facts.cancel_reason.clone(),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(facts.updated_at),
        })
    }
}

impl FactColumns {
    /// The columns of a plan written under that fence.
    pub(crate) fn new(record: &PlanRecord, fence: &Fence) -> Self {
        let attempt = record.last_attempt.as_ref();
        let driver = attempt.map(|attempt| &attempt.driver);
        let failure = record.failure.as_ref();
        let parked = record.parked.as_ref();
        Self {
            phase: record.phase().to_string(),
            state: record.state().to_string(),
            attempt: i64::from(record.attempt),
            version: to_i64(record.version),
            token: fence.token().map(FencingToken::value),
            reversion_count: i64::from(record.reversion_count),
            attempt_started_at: attempt.map(|attempt| attempt.started_at.as_millis()),
            attempt_commanded: attempt.map(|attempt| attempt.commanded),
            driver_host: driver.map(|driver| driver.host.clone()),
            driver_boot_id: driver.map(|driver| driver.boot_id.clone()),
            driver_pid_namespace: driver.map(|driver| driver.pid_namespace.clone()),
            driver_pid: driver.map(|driver| i64::from(driver.pid)),
            driver_started: driver.map(|driver| to_i64(driver.started)),
            driver_user: driver.map(|driver| driver.user.clone()),
            driver_operation: driver.map(|driver| driver.operation.clone()),
            error_code: failure.map(|failure| failure.code.clone()),
            error_message: failure.map(|failure| failure.message.clone()),
            error_hint: failure.and_then(|failure| failure.hint.clone()),
            error_retryable: failure.map(|failure| failure.retryable),
            parked_until: parked.and_then(|parked| parked.until).map(Timestamp::as_millis),
            parked_input: parked.and_then(|parked| parked.input.clone()),
            parked_cause: parked.map(|parked| parked.cause.clone()),
            strategy: record.strategy.clone(),
            validations: document::validations_to_json(&record.validations),
            cancel_reason: record.cancel_reason.clone(),
            updated_at: record.updated_at.as_millis(),
        }
    }

    fn stage(&self, row: RowName<'_>) -> Result<Stage, StoreError> {
        let phase = row.word("phase", &self.phase, Phase::parse)?;
        let pair = Stage::new(phase, row.word("state", &self.state, State::parse)?);
        pair.ok_or_else(|| row.corrupt(format_args!("there is no {phase}/{}", self.state)))
    }

    fn last_attempt(&self, row: RowName<'_>) -> Result<Option<Attempt>, StoreError> {
        let Some(started_at) = self.attempt_started_at else { return Ok(None) };
        let text = |column, value: &Option<String>| row.need(column, value.clone());
        let driver = Holder {
            host: text("driver_host", &self.driver_host)?,
            boot_id: text("driver_boot_id", &self.driver_boot_id)?,
            pid_namespace: text("driver_pid_namespace", &self.driver_pid_namespace)?,
            pid: row.number("driver_pid", row.need("driver_pid", self.driver_pid)?)?,
            started: row.number("driver_started", row.need("driver_started", self.driver_started)?)?,
            user: text("driver_user", &self.driver_user)?,
            operation: text("driver_operation", &self.driver_operation)?,
        };
        let commanded = row.need("attempt_commanded", self.attempt_commanded)?;
        Ok(Some(Attempt { driver, started_at: Timestamp::from_millis(started_at), commanded }))
    }

    fn failure(&self, row: RowName<'_>) -> Result<Option<Failure>, StoreError> {
        let Some(code) = self.error_code.clone() else { return Ok(None) };
        Ok(Some(Failure {
            code,
            message: row.need("error_message", self.error_message.clone())?,
            hint: self.error_hint.clone(),
            retryable: row.need("error_retryable", self.error_retryable)?,
        }))
    }

    fn parked(&self) -> Option<Parked> {
        Some(Parked {
            cause: self.parked_cause.clone()?,
            until: self.parked_until.map(Timestamp::from_millis),
            input: self.parked_input.clone(),
        })
    }
}

impl GuidanceRow {
    /// The rows of a plan's guidance from that place on.
    pub(crate) fn of(record: &PlanRecord, from: usize) -> Vec<Self> {
        let texts = record.guidance.iter().enumerate().skip(from);
        texts
            .map(|(index, text)| Self {
                plan_id: record.id.to_string(),
                position: position(index),
                text: text.clone(),
            })
            .collect()
    }
}
