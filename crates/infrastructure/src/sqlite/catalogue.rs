//! Projects and actions on SQLite.

use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, ProjectStore, Removal, StoredAction};
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::plan::{State, StoreError};
use agents_domain::time::Timestamp;
use agents_domain::workspace::Project;
use async_trait::async_trait;
use diesel::prelude::*;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::{self, LeaseClock};
use crate::store::ParseAction;
use crate::store::catalogue_row::{ActionRow, ProjectRow};
use crate::store::column::path_to_text;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::schema::{actions, locks as lock_table, plan_projects, plans, projects};

/// The projects of one database file.
pub struct SqliteProjects {
    pub(crate) writes: Arc<Lane>,
    pub(crate) reads: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

/// The actions of one database file.
pub struct SqliteActions {
    pub(crate) writes: Arc<Lane>,
    pub(crate) reads: Arc<Lane>,
    pub(crate) parse_action: ParseAction,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl ProjectStore for SqliteProjects {
    async fn add(&self, project: &Project, at: Timestamp) -> Result<(), StoreError> {
        let project = project.clone();
        self.writes.run(move |connection| add(connection, &project, at)).await.map_err(store_error)
    }

    async fn get(&self, name: &Name) -> Result<Option<Project>, StoreError> {
        let name = name.clone();
        let reading = move |connection: &mut SqliteConnection| {
            let row =
                projects::table.find(name.as_str()).select(ProjectRow::as_select()).get_result(connection);
            Ok(row.optional()?.map(Project::try_from).transpose()?)
        };
        self.reads.run(reading).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        let reading = |connection: &mut SqliteConnection| {
            let rows =
                projects::table.order(projects::name).select(ProjectRow::as_select()).load(connection)?;
            Ok(rows.into_iter().map(Project::try_from).collect::<Result<_, _>>()?)
        };
        self.reads.run(reading).await.map_err(store_error)
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        let (name, clock) = (name.clone(), self.clock.clone());
        self.writes.run(move |connection| remove(connection, &clock, &name)).await.map_err(store_error)
    }
}

fn add(connection: &mut SqliteConnection, project: &Project, at: Timestamp) -> Result<(), Fault> {
    let row = ProjectRow::new(project, at);
    let found = projects::table.find(&row.name).select(projects::path).get_result::<String>(connection);
    if let Some(path) = found.optional()? {
        return Err(taken(format!("the name {}", project.name), format!("the project at {path}")));
    }
    // One on another machine may well be at the same path.
    let same_repository = projects::table
        .filter(projects::common_dir.eq(&row.common_dir).and(projects::machine_id.is(&row.home.machine_id)));
    let found = same_repository.select(projects::name).first::<String>(connection).optional()?;
    if let Some(name) = found {
        let what = format!("the repository {}", path_to_text(&project.common_dir));
        return Err(taken(what, format!("the project {name}")));
    }
    if let Some(url) = &row.home.remote {
        let same_remote = projects::table.filter(projects::remote.eq(url)).select(projects::name);
        if let Some(name) = same_remote.first::<String>(connection).optional()? {
            return Err(taken(format!("the remote {url}"), format!("the project {name}")));
        }
    }
    diesel::insert_into(projects::table).values(row).execute(connection)?;
    let lock = LockRow::free(&LockKey::Project(project.name.clone()));
    diesel::insert_into(lock_table::table).values(lock).execute(connection)?;
    Ok(())
}

fn taken(what: String, by: String) -> Fault {
    StoreError::Taken { what, by }.into()
}

fn remove(connection: &mut SqliteConnection, clock: &LeaseClock, name: &Name) -> Result<Removal, Fault> {
    let key = LockKey::Project(name.clone());
    let held = match locks::find(connection, &key)? {
        Some(lock) => lock.held(&clock.boot_id, clock.clock.boottime())?,
        None => None,
    };
    if let Some(lock) = held.filter(|lock| !lock.stale) {
        let holder = lock.holder;
        let by = format!("{} (pid {} on {}), who holds its lock", holder.user, holder.pid, holder.host);
        return Ok(Removal::InUse { by });
    }
    if let Some(plan) = unfinished_plan(connection, name)? {
        return Ok(Removal::InUse { by: format!("the plan {plan}, which is not at its end") });
    }
    let removed = diesel::delete(projects::table.find(name.as_str())).execute(connection)?;
    diesel::delete(lock_table::table.find((key.resource_type(), key.resource_id()))).execute(connection)?;
    Ok(if removed == 0 { Removal::Missing } else { Removal::Removed })
}

fn unfinished_plan(connection: &mut SqliteConnection, project: &Name) -> QueryResult<Option<String>> {
    let terminal = State::ALL.into_iter().filter(|state| state.is_terminal()).map(State::as_str);
    plan_projects::table
        .inner_join(plans::table.on(plans::id.eq(plan_projects::plan_id)))
        .filter(plan_projects::project.eq(project.as_str()))
        .filter(plans::state.ne_all(terminal.collect::<Vec<_>>()))
        .select(plans::id)
        .first(connection)
        .optional()
}

#[async_trait]
impl ActionStore for SqliteActions {
    async fn put(&self, action: &StoredAction) -> Result<bool, StoreError> {
        let row = ActionRow::new(action);
        let writing = move |connection: &mut SqliteConnection| {
            let stored = actions::table.find(&row.name);
            if diesel::update(stored).set(&row).execute(connection)? == 1 {
                return Ok(true);
            }
            diesel::insert_into(actions::table).values(&row).execute(connection)?;
            Ok(false)
        };
        self.writes.run(writing).await.map_err(store_error)
    }

    async fn get(&self, name: &Name) -> Result<Option<StoredAction>, StoreError> {
        let (name, parse) = (name.clone(), self.parse_action);
        let reading = move |connection: &mut SqliteConnection| {
            let row =
                actions::table.find(name.as_str()).select(ActionRow::as_select()).get_result(connection);
            Ok(row.optional()?.map(|row| row.read(parse)).transpose()?)
        };
        self.reads.run(reading).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<StoredAction>, StoreError> {
        let parse = self.parse_action;
        let reading = move |connection: &mut SqliteConnection| {
            let rows = actions::table.order(actions::name).select(ActionRow::as_select()).load(connection)?;
            Ok(rows.into_iter().map(|row| row.read(parse)).collect::<Result<_, _>>()?)
        };
        self.reads.run(reading).await.map_err(store_error)
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        let name = name.clone();
        let writing = move |connection: &mut SqliteConnection| {
            let removed = diesel::delete(actions::table.find(name.as_str())).execute(connection)?;
            Ok(if removed == 0 { Removal::Missing } else { Removal::Removed })
        };
        self.writes.run(writing).await.map_err(store_error)
    }
}
