//! Projects, each with its lock, and actions.

use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, ProjectStore, Removal, StoredAction};
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use agents_domain::workspace::Project;
use async_trait::async_trait;

use super::{Moment, Shared, State};

/// The port to the projects.
pub(super) struct Projects(pub(super) Arc<Shared>);

/// The port to the actions.
pub(super) struct Actions(pub(super) Arc<Shared>);

impl State {
    fn add_project(&mut self, project: &Project) -> Result<(), StoreError> {
        if let Some(other) = self.projects.get(&project.name) {
            let by = other.path.display().to_string();
            return Err(StoreError::Taken { what: format!("the name {}", project.name), by });
        }
        let id = |project: &Project| project.machine.as_ref().map(|machine| machine.id.clone());
        // One on another machine may well be at the same path.
        let same = |other: &&Project| other.common_dir == project.common_dir && id(other) == id(project);
        if let Some(other) = self.projects.values().find(same) {
            let what = format!("the repository {}", project.common_dir.display());
            return Err(StoreError::Taken { what, by: other.name.to_string() });
        }
        let url = |project: &Project| project.remote.as_ref().map(|remote| remote.url.clone());
        let shared = |other: &&Project| url(other).is_some() && url(other) == url(project);
        if let Some(other) = self.projects.values().find(shared) {
            let what = format!("the remote {}", url(project).unwrap_or_default());
            return Err(StoreError::Taken { what, by: other.name.to_string() });
        }
        self.locks.add(LockKey::Project(project.name.clone()));
        self.projects.insert(project.name.clone(), project.clone());
        Ok(())
    }

    fn remove_project(&mut self, name: &Name, now: Moment) -> Removal {
        if !self.projects.contains_key(name) {
            return Removal::Missing;
        }
        if let Some(by) = self.user_of(name, now) {
            return Removal::InUse { by };
        }
        self.projects.remove(name);
        self.locks.remove(&LockKey::Project(name.clone()));
        Removal::Removed
    }

    /// What still needs that project: a plan that is not at its end, or whoever holds its lock.
    fn user_of(&self, name: &Name, now: Moment) -> Option<String> {
        let unfinished = self.plans.values().map(|row| &row.plan).filter(|plan| !plan.state().is_terminal());
        let plan =
            unfinished.into_iter().find(|plan| plan.projects.iter().any(|project| project.name == *name));
        plan.map(|plan| format!("plan {}", plan.id)).or_else(|| {
            let held = self.locks.held(&LockKey::Project(name.clone()), now)?;
            Some(format!("{} (pid {} on {})", held.holder.operation, held.holder.pid, held.holder.host))
        })
    }
}

#[async_trait]
impl ProjectStore for Projects {
    async fn add(&self, project: &Project, _at: Timestamp) -> Result<(), StoreError> {
        self.0.critical(|state, _| state.add_project(project))
    }

    async fn get(&self, name: &Name) -> Result<Option<Project>, StoreError> {
        self.0.critical(|state, _| Ok(state.projects.get(name).cloned()))
    }

    async fn list(&self) -> Result<Vec<Project>, StoreError> {
        self.0.critical(|state, _| Ok(state.projects.values().cloned().collect()))
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        self.0.critical(|state, now| Ok(state.remove_project(name, now)))
    }
}

#[async_trait]
impl ActionStore for Actions {
    async fn put(&self, action: &StoredAction) -> Result<bool, StoreError> {
        let name = action.action.name.clone();
        self.0.critical(|state, _| Ok(state.actions.insert(name, action.clone()).is_some()))
    }

    async fn get(&self, name: &Name) -> Result<Option<StoredAction>, StoreError> {
        self.0.critical(|state, _| Ok(state.actions.get(name).cloned()))
    }

    async fn list(&self) -> Result<Vec<StoredAction>, StoreError> {
        self.0.critical(|state, _| Ok(state.actions.values().cloned().collect()))
    }

    async fn remove(&self, name: &Name) -> Result<Removal, StoreError> {
        self.0.critical(|state, _| match state.actions.remove(name) {
            Some(_) => Ok(Removal::Removed),
            None => Ok(Removal::Missing),
        })
    }
}
