//! Projects and actions on PostgreSQL.

use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, ProjectStore, Removal, StoredAction};
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::plan::{State, StoreError};
use agents_domain::time::{BootInstant, Timestamp};
use agents_domain::workspace::Project;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::locks::{SERVER, now};
use crate::store::ParseAction;
use crate::store::catalogue_row::{ActionRow, ProjectRow};
use crate::store::column::path_to_text;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::schema::{actions, locks as lock_table, plan_projects, plans, projects};

/// The projects of one database.
pub struct PostgresProjects {
    pub(crate) lane: Arc<Lane>,
}

/// The actions of one database.
pub struct PostgresActions {
    pub(crate) lane: Arc<Lane>,
    pub(crate) parse_action: ParseAction,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl ProjectStore for PostgresProjects {
    async fn add(&self, project: &Project, at: Timestamp) -> Result<(), StoreError> {
        let project = project.clone();
        let adding = move |connection: &mut PgConnection, tried: Option<&()>| {
            if tried.is_some() && is_added(connection, &project, at)? {
                return Ok(());
            }
            add(connection, &project, at)
        };
        match self.lane.settled(Purpose::Durable, adding.clone()).await {
            // Another one has come in between: now it is seen.
            Err(Fault::Database(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => {
                self.lane.settled(Purpose::Durable, adding).await.map_err(store_error)
            }
            outcome => outcome.map_err(store_error),
        }
    }

    async fn get(&self, name: &Name) -> Result<Option<Project>, StoreError> {
        let name = name.clone();
        let reading = move |connection: &mut PgConnection| {
            let row = projects::table.find(name.as_str()).select(ProjectRow::as_select()).first(connection);
            Ok(row.optional()?.map(Project::try_from).transpose()?)
        };
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        let reading = |connection: &mut PgConnection| {
            let rows =
                projects::table.order(projects::name).select(ProjectRow::as_select()).load(connection)?;
            Ok(rows.into_iter().map(Project::try_from).collect::<Result<_, _>>()?)
        };
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        let name = name.clone();
        let removing = move |connection: &mut PgConnection, tried: Option<&Removal>| {
            Ok(if_gone(remove(connection, &name)?, tried))
        };
        self.lane.settled(Purpose::Durable, removing).await.map_err(store_error)
    }
}

fn add(connection: &mut PgConnection, project: &Project, at: Timestamp) -> Result<(), Fault> {
    let row = ProjectRow::new(project, at);
    let found = projects::table.find(&row.name).select(projects::path).first::<String>(connection);
    if let Some(path) = found.optional()? {
        return Err(taken(format!("the name {}", project.name), format!("the project at {path}")));
    }
    // One on another machine may well be at the same path.
    let same_machine = projects::machine_id.is_not_distinct_from(&row.home.machine_id);
    let same_repository = projects::table.filter(projects::common_dir.eq(&row.common_dir).and(same_machine));
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

/// Whether that very project was registered then.
fn is_added(connection: &mut PgConnection, project: &Project, at: Timestamp) -> Result<bool, Fault> {
    let row = ProjectRow::new(project, at);
    let found = projects::table.find(&row.name).select(ProjectRow::as_select()).first(connection);
    Ok(found.optional()?.is_some_and(|found: ProjectRow| found == row))
}

/// What a removal comes to if an earlier try of it has perhaps been done.
fn if_gone(found: Removal, tried: Option<&Removal>) -> Removal {
    match (found, tried) {
        (Removal::Missing, Some(tried)) => tried.clone(),
        (found, _) => found,
    }
}

fn taken(what: String, by: String) -> Fault {
    StoreError::Taken { what, by }.into()
}

/// The lock's row is locked first, so that nobody takes it meanwhile.
fn remove(connection: &mut PgConnection, name: &Name) -> Result<Removal, Fault> {
    let key = LockKey::Project(name.clone());
    let row = lock_table::table.find((key.resource_type(), key.resource_id())).for_update();
    let lock = row.select((LockRow::as_select(), now())).first::<(LockRow, i64)>(connection).optional()?;
    let held = match lock {
        Some((lock, now)) => lock.held(SERVER, BootInstant::from_millis(now))?,
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

fn unfinished_plan(connection: &mut PgConnection, project: &Name) -> QueryResult<Option<String>> {
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
impl ActionStore for PostgresActions {
    async fn put(&self, action: &StoredAction) -> Result<bool, StoreError> {
        let row = ActionRow::new(action);
        let writing = move |connection: &mut PgConnection, tried: Option<&bool>| {
            let stored = actions::table.find(&row.name);
            let new = diesel::insert_into(actions::table).values(&row).on_conflict_do_nothing();
            if new.execute(connection)? == 1 {
                return Ok(false);
            }
            diesel::update(stored).set(&row).execute(connection)?;
            // Of what an earlier try has perhaps stored one cannot tell whether something was there before.
            Ok(tried.copied().unwrap_or(true))
        };
        self.lane.settled(Purpose::Durable, writing).await.map_err(store_error)
    }

    async fn get(&self, name: &Name) -> Result<Option<StoredAction>, StoreError> {
        let (name, parse) = (name.clone(), self.parse_action);
        let reading = move |connection: &mut PgConnection| {
            let row = actions::table.find(name.as_str()).select(ActionRow::as_select()).first(connection);
            Ok(row.optional()?.map(|row| row.read(parse)).transpose()?)
        };
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<StoredAction>, StoreError> {
        let parse = self.parse_action;
        let reading = move |connection: &mut PgConnection| {
            let rows = actions::table.order(actions::name).select(ActionRow::as_select()).load(connection)?;
            Ok(rows.into_iter().map(|row| row.read(parse)).collect::<Result<_, _>>()?)
        };
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        let name = name.clone();
        let writing = move |connection: &mut PgConnection, tried: Option<&Removal>| {
            let removed = diesel::delete(actions::table.find(name.as_str())).execute(connection)?;
            Ok(if_gone(if removed == 0 { Removal::Missing } else { Removal::Removed }, tried))
        };
        self.lane.settled(Purpose::Durable, writing).await.map_err(store_error)
    }
}
