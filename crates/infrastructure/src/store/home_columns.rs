//! The columns of `projects` and `plan_projects` that say where a project is at home.

use agents_domain::plan::StoreError;
use agents_domain::workspace::{Machine, Project, Remote};
use diesel::prelude::*;

use crate::store::column::RowName;
use crate::store::schema::{plan_projects, projects};

/// The same columns in both tables.
macro_rules! home_columns {
    ($(#[$doc:meta])* $name:ident of $table:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
        #[diesel(table_name = $table)]
        pub(crate) struct $name {
            pub(crate) machine_id: Option<String>,
            pub(crate) machine_host: Option<String>,
            pub(crate) remote: Option<String>,
            pub(crate) push_snapshots: bool,
        }

        impl From<&Project> for $name {
            fn from(project: &Project) -> Self {
                let (machine, remote) = (project.machine.as_ref(), project.remote.as_ref());
                Self {
                    machine_id: machine.map(|machine| machine.id.clone()),
                    machine_host: machine.map(|machine| machine.host.clone()),
                    remote: remote.map(|remote| remote.url.clone()),
                    push_snapshots: remote.is_some_and(|remote| remote.push_snapshots),
                }
            }
        }

        impl $name {
            /// The machine, of which both columns are there or none.
            pub(crate) fn machine(&self, row: RowName<'_>) -> Result<Option<Machine>, StoreError> {
                let Some(id) = self.machine_id.clone() else { return Ok(None) };
                let host = row.need("machine_host", self.machine_host.clone())?;
                Ok(Some(Machine { id, host }))
            }

            /// The remote.
            pub(crate) fn remote(&self) -> Option<Remote> {
                let push_snapshots = self.push_snapshots;
                self.remote.clone().map(|url| Remote { url, push_snapshots })
            }
        }
    };
}

home_columns! {
    /// Of a registered project.
    HomeColumns of projects
}
home_columns! {
    /// Of the project of a plan.
    PlanHomeColumns of plan_projects
}
