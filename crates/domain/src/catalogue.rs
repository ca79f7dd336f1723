//! The ports to what is registered: projects and actions.

use async_trait::async_trait;

use crate::action::Action;
use crate::name::Name;
use crate::plan::StoreError;
use crate::time::Timestamp;
use crate::workspace::Project;

/// An action with the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAction {
    /// The action.
    pub action: Action,
    /// Its text.
    pub source: String,
    /// When this text was stored.
    pub updated_at: Timestamp,
}

/// What a removal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Removed,
    /// There was none.
    Missing,
    /// Something still needs it; nothing was changed.
    InUse {
        /// What, for people.
        by: String,
    },
}

/// Stores projects. A project's lock is made and removed with it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ProjectStore: Send + Sync {
    /// Registers a project. [`StoreError::Taken`] if the name or the repository is.
    async fn add(&self, project: &Project, at: Timestamp) -> Result<(), StoreError>;
    /// The project of that name.
    async fn get(&self, name: &Name) -> Result<Option<Project>, StoreError>;
    /// All projects, by name.
    async fn list(&self) -> Result<Vec<Project>, StoreError>;
    /// Removes a project, unless a plan that is not at its end uses it or its lock is held.
    async fn remove(&self, name: &Name) -> Result<Removal, StoreError>;
}

/// Stores actions. Plans freeze what they use, so nothing depends on a stored action.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ActionStore: Send + Sync {
    /// Stores an action, in place of an earlier one of that name. True if there was one.
    async fn put(&self, action: &StoredAction) -> Result<bool, StoreError>;
    /// The action of that name.
    async fn get(&self, name: &Name) -> Result<Option<StoredAction>, StoreError>;
    /// All actions, by name.
    async fn list(&self) -> Result<Vec<StoredAction>, StoreError>;
    /// Removes an action.
    async fn remove(&self, name: &Name) -> Result<Removal, StoreError>;
}
