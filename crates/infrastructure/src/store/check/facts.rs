//! What a check reads of many plans at once: few queries, however many plans.

use std::collections::BTreeMap;

use agents_domain::orders::WorkOrder;
use agents_domain::plan::{Event, Plan, StoreError};
use diesel::result::QueryResult;

use crate::store::check::Children;
use crate::store::column::RowName;
use crate::store::event_row::EventRow;
use crate::store::order_row::OrderRow;
use crate::store::plan_row::{GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::subplan_row::SubplanRow;

/// A child: its parent, its id, its name, and whether it is not of the past.
pub(crate) type ChildOf = (String, String, String, bool);

/// The queries, each in the order of its rows' keys.
pub(crate) trait Facts {
    /// Plans whose ids come after that one, some of them; none at the end.
    fn plans_after(&mut self, id: &str) -> QueryResult<Vec<PlanRow>>;
    /// Their projects.
    fn projects_of(&mut self, ids: &[String]) -> QueryResult<Vec<PlanProjectRow>>;
    /// Their guidance.
    fn guidance_of(&mut self, ids: &[String]) -> QueryResult<Vec<GuidanceRow>>;
    /// What they are as children.
    fn places_of(&mut self, ids: &[String]) -> QueryResult<Vec<SubplanRow>>;
    /// What workers are to do for them.
    fn orders_of(&mut self, ids: &[String]) -> QueryResult<Vec<OrderRow>>;
    /// Their logs.
    fn logs_of(&mut self, ids: &[String]) -> QueryResult<Vec<EventRow>>;
    /// Their children.
    fn children_of(&mut self, ids: &[String]) -> QueryResult<Vec<ChildOf>>;
}

/// [`Facts`] for a kind of connection.
macro_rules! facts {
    ($connection:ty) => {
        impl $crate::store::check::facts::Facts for $connection {
            fn plans_after(&mut self, id: &str) -> QueryResult<Vec<$crate::store::plan_row::PlanRow>> {
                use $crate::store::moving::rows::BATCH;
                use $crate::store::plan_row::PlanRow;
                use $crate::store::schema::plans;

                let after = plans::table.filter(plans::id.gt(id)).order(plans::id).limit(BATCH);
                after.select(PlanRow::as_select()).load(self)
            }

            facts!(projects_of, PlanProjectRow, project_row, plan_projects, (plan_id, position));
            facts!(guidance_of, GuidanceRow, plan_row, plan_guidance, (plan_id, position));
            facts!(places_of, SubplanRow, subplan_row, subplans, (plan_id));
            facts!(orders_of, OrderRow, order_row, orders, (plan_id));
            facts!(logs_of, EventRow, event_row, events, (plan_id, seq));

            fn children_of(
                &mut self,
                ids: &[String],
            ) -> QueryResult<Vec<$crate::store::check::facts::ChildOf>> {
                use $crate::store::schema::{plans, subplans};

                plans::table
                    .inner_join(subplans::table.on(subplans::plan_id.eq(plans::id)))
                    .filter(plans::parent.eq_any(ids))
                    .select((
                        plans::parent.assume_not_null(),
                        subplans::plan_id,
                        subplans::name,
                        subplans::current,
                    ))
                    .load(self)
            }
        }
    };
    ($name:ident, $row:ident, $module:ident, $table:ident, ($($key:ident),+)) => {
        fn $name(&mut self, ids: &[String]) -> QueryResult<Vec<$crate::store::$module::$row>> {
            use $crate::store::$module::$row;
            use $crate::store::schema::$table;

            let rows = $table::table.filter($table::plan_id.eq_any(ids)).order(($($table::$key,)+));
            rows.select($row::as_select()).load(self)
        }
    };
}

pub(crate) use facts;

/// All that is stored of a plan.
pub(crate) struct Stored {
    row: PlanRow,
    projects: Vec<PlanProjectRow>,
    guidance: Vec<GuidanceRow>,
    place: Option<SubplanRow>,
    order: Option<OrderRow>,
    log: Vec<EventRow>,
    children: Children,
}

impl Stored {
    /// The plans after that one, some of them.
    pub(crate) fn after(facts: &mut dyn Facts, id: &str) -> QueryResult<Vec<Self>> {
        let rows = facts.plans_after(id)?;
        let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
        let mut projects = by_plan(facts.projects_of(&ids)?, |row| &row.plan_id);
        let mut guidance = by_plan(facts.guidance_of(&ids)?, |row| &row.plan_id);
        let mut places = by_plan(facts.places_of(&ids)?, |row| &row.plan_id);
        let mut orders = by_plan(facts.orders_of(&ids)?, |row| &row.plan_id);
        let mut logs = by_plan(facts.logs_of(&ids)?, |row| &row.plan_id);
        let mut children = by_plan(facts.children_of(&ids)?, |(parent, ..)| parent);
        let stored = rows.into_iter().map(|row| Self {
            projects: projects.remove(&row.id).unwrap_or_default(),
            guidance: guidance.remove(&row.id).unwrap_or_default(),
            place: places.remove(&row.id).unwrap_or_default().pop(),
            order: orders.remove(&row.id).unwrap_or_default().pop(),
            log: logs.remove(&row.id).unwrap_or_default(),
            children: children.remove(&row.id).unwrap_or_default().into_iter().map(child).collect(),
            row,
        });
        Ok(stored.collect())
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.row.id
    }

    /// Its children as they are stored.
    pub(crate) fn children(&self) -> Children {
        self.children.clone()
    }

    /// The plan, its log and its order, if they make sense.
    pub(crate) fn read(self) -> Result<(Plan, Vec<Event>, Option<WorkOrder>), StoreError> {
        let id = self.row.id.clone();
        let projects = self.projects.iter().map(PlanProjectRow::facts).collect::<Result<_, _>>()?;
        let guidance = self.guidance.into_iter().map(|row| row.text).collect();
        let plan = Plan::from_storage(self.row.into_record(projects, guidance, self.place)?);
        let plan = plan.map_err(|error| RowName::new("plans", &id).corrupt(error.reason))?;
        let log = self.log.into_iter().map(Event::try_from).collect::<Result<_, _>>()?;
        let order = self.order.map(OrderRow::order).transpose()?;
        Ok((plan, log, order))
    }
}

fn child((_, id, name, current): ChildOf) -> (String, (String, bool)) {
    (id, (name, current))
}

fn by_plan<Row>(rows: Vec<Row>, plan: impl Fn(&Row) -> &String) -> BTreeMap<String, Vec<Row>> {
    let mut grouped = BTreeMap::<String, Vec<Row>>::new();
    for row in rows {
        grouped.entry(plan(&row).clone()).or_default().push(row);
    }
    grouped
}
