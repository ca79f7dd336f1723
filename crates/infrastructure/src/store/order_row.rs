//! Rows of `orders`.

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::orders::{Again, Claimed, NewOrder, WorkOrder};
use agents_domain::plan::{Phase, StoreError};
use agents_domain::request::{Asker, Closed};
use agents_domain::time::Timestamp;
use diesel::prelude::*;

use crate::store::column::{RowName, to_i64};
use crate::store::schema::orders;

/// One order, open or ended.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = orders, treat_none_as_null = true)]
pub(crate) struct OrderRow {
    pub(crate) plan_id: String,
    goal: String,
    allow_empty: bool,
    again: Option<String>,
    plan_version: i64,
    host: String,
    pid: i64,
    user: String,
    ordered_at: i64,
    revision: i64,
    ready_at: i64,
    not_before: Option<i64>,
    troubles: i64,
    trouble: Option<String>,
    worker: Option<String>,
    claimed_at: Option<i64>,
    closed_at: Option<i64>,
    outcome: Option<String>,
}

/// An order that nobody has in hand any more.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = orders, treat_none_as_null = true)]
pub(crate) struct Unclaimed {
    worker: Option<String>,
    claimed_at: Option<i64>,
}

/// The only one.
pub(crate) const UNCLAIMED: Unclaimed = Unclaimed { worker: None, claimed_at: None };

/// How an order ends.
#[derive(Debug, Clone, AsChangeset)]
#[diesel(table_name = orders, treat_none_as_null = true)]
pub(crate) struct Ended {
    closed_at: i64,
    outcome: String,
    #[diesel(embed)]
    unclaimed: Unclaimed,
}

impl From<&Closed> for Ended {
    fn from(closed: &Closed) -> Self {
        let (closed_at, outcome) = (closed.at.as_millis(), closed.outcome.clone());
        Self { closed_at, outcome, unclaimed: UNCLAIMED }
    }
}

impl From<&WorkOrder> for OrderRow {
    fn from(order: &WorkOrder) -> Self {
        let wanted = &order.wanted;
        Self {
            plan_id: wanted.plan.to_string(),
            goal: wanted.goal.to_string(),
            allow_empty: wanted.allow_empty,
            again: wanted.again.map(|again| again.as_str().to_owned()),
            plan_version: to_i64(wanted.version),
            host: wanted.by.host.clone(),
            pid: i64::from(wanted.by.pid),
            user: wanted.by.user.clone(),
            ordered_at: wanted.at.as_millis(),
            revision: i64::from(order.revision),
            ready_at: order.ready_at.as_millis(),
            not_before: order.not_before.map(Timestamp::as_millis),
            troubles: i64::from(order.troubles),
            trouble: order.trouble.clone(),
            worker: order.claim.map(|claim| claim.worker.to_string()),
            claimed_at: order.claim.map(|claim| claim.since.as_millis()),
            closed_at: order.closed.as_ref().map(|closed| closed.at.as_millis()),
            outcome: order.closed.as_ref().map(|closed| closed.outcome.clone()),
        }
    }
}

impl OrderRow {
    /// The same in nobody's hand: as it is where no worker has claimed it.
    pub(crate) fn unclaimed(self) -> Self {
        Self { worker: None, claimed_at: None, ..self }
    }

    /// The order, if the row makes sense.
    pub(crate) fn order(self) -> Result<WorkOrder, StoreError> {
        let row = RowName::new("orders", &self.plan_id);
        let again = self.again.as_deref().map(|word| row.word("again", word, Again::parse));
        let wanted = NewOrder {
            plan: row.parsed("plan_id", PlanId::parse(&self.plan_id))?,
            goal: row.word("goal", &self.goal, Phase::parse)?,
            allow_empty: self.allow_empty,
            again: again.transpose()?,
            version: row.number("plan_version", self.plan_version)?,
            by: Asker { host: self.host, pid: row.number("pid", self.pid)?, user: self.user },
            at: Timestamp::from_millis(self.ordered_at),
        };
        let worker = self.worker.as_deref().map(|id| row.parsed("worker", OwnerId::parse(id)));
        let claim = worker.transpose()?.zip(self.claimed_at);
        let closed = self.closed_at.zip(self.outcome);
        Ok(WorkOrder {
            wanted,
            revision: row.number("revision", self.revision)?,
            ready_at: Timestamp::from_millis(self.ready_at),
            not_before: self.not_before.map(Timestamp::from_millis),
            troubles: row.number("troubles", self.troubles)?,
            trouble: self.trouble,
            claim: claim.map(|(worker, since)| Claimed { worker, since: Timestamp::from_millis(since) }),
            closed: closed.map(|(at, outcome)| Closed { at: Timestamp::from_millis(at), outcome }),
        })
    }
}
