//! Rows of `projects` and `actions`.

use agents_domain::catalogue::StoredAction;
use agents_domain::name::Name;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use agents_domain::workspace::Project;
use diesel::prelude::*;

use crate::store::ParseAction;
use crate::store::column::{RowName, path_from_text, path_to_text};
use crate::store::home_columns::HomeColumns;
use crate::store::schema::{actions, projects};

/// One registered repository.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = projects)]
pub(crate) struct ProjectRow {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) common_dir: String,
    pub(crate) branch: String,
    pub(crate) created_at: i64,
    #[diesel(embed)]
    pub(crate) home: HomeColumns,
}

/// One registered action.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = actions)]
pub(crate) struct ActionRow {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) updated_at: i64,
}

impl ProjectRow {
    /// The row of a project registered at that moment.
    pub(crate) fn new(project: &Project, at: Timestamp) -> Self {
        Self {
            name: project.name.to_string(),
            path: path_to_text(&project.path),
            common_dir: path_to_text(&project.common_dir),
            branch: project.branch.clone(),
            created_at: at.as_millis(),
            home: project.into(),
        }
    }
}

impl TryFrom<ProjectRow> for Project {
    type Error = StoreError;

    fn try_from(row: ProjectRow) -> Result<Self, StoreError> {
        let named = RowName::new("projects", &row.name);
        Ok(Self {
            name: named.parsed("name", Name::parse(&row.name))?,
            machine: row.home.machine(named)?,
            remote: row.home.remote(),
            path: path_from_text(&row.path),
            common_dir: path_from_text(&row.common_dir),
            branch: row.branch,
        })
    }
}

impl ActionRow {
    /// The row of an action.
    pub(crate) fn new(action: &StoredAction) -> Self {
        Self {
            name: action.action.name.to_string(),
            source: action.source.clone(),
            updated_at: action.updated_at.as_millis(),
        }
    }

    /// The action, read back from its text.
    pub(crate) fn read(self, parse: ParseAction) -> Result<StoredAction, StoreError> {
        let action = parse(&self.source, &format!("the stored action {}", self.name));
        let action = RowName::new("actions", &self.name).parsed("source", action)?;
        Ok(StoredAction { action, source: self.source, updated_at: Timestamp::from_millis(self.updated_at) })
    }
}
