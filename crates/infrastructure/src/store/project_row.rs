//! Rows of `plan_projects`: what was ordered for a project, and how far the plan is in it.

use agents_domain::id::IntentId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{PlanLanding, PlanProject, StoreError};
use agents_domain::workspace::{Intent, Project};
use diesel::prelude::*;

use crate::store::column::{RowName, path_from_text, path_to_text, position};
use crate::store::home_columns::PlanHomeColumns;
use crate::store::schema::plan_projects;

/// One project of one plan.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = plan_projects)]
pub(crate) struct PlanProjectRow {
    pub(crate) plan_id: String,
    pub(crate) position: i64,
    pub(crate) project: String,
    pub(crate) path: String,
    pub(crate) common_dir: String,
    pub(crate) branch: String,
    #[diesel(embed)]
    pub(crate) home: PlanHomeColumns,
    #[diesel(embed)]
    pub(crate) progress: ProgressColumns,
}

/// The columns that change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = plan_projects, treat_none_as_null = true)]
pub(crate) struct ProgressColumns {
    pub(crate) base: Option<String>,
    pub(crate) tip: Option<String>,
    pub(crate) snapshot: Option<String>,
    pub(crate) resume: Option<String>,
    pub(crate) intent_id: Option<String>,
    pub(crate) landing_ref: Option<String>,
    pub(crate) landing_old: Option<String>,
    pub(crate) landing_new: Option<String>,
    pub(crate) landed: bool,
}

impl From<&PlanProject> for ProgressColumns {
    fn from(project: &PlanProject) -> Self {
        let intent = project.landing.as_ref().map(|landing| &landing.intent);
        Self {
            base: project.base.as_ref().map(Oid::to_string),
            tip: project.tip.as_ref().map(Oid::to_string),
            snapshot: project.snapshot.as_ref().map(Oid::to_string),
            resume: project.resume.as_ref().map(Oid::to_string),
            intent_id: intent.map(|intent| intent.id.to_string()),
            landing_ref: intent.map(|intent| intent.reference.clone()),
            landing_old: intent.map(|intent| intent.old.to_string()),
            landing_new: intent.map(|intent| intent.new.to_string()),
            landed: project.landing.as_ref().is_some_and(|landing| landing.landed),
        }
    }
}

impl PlanProjectRow {
    /// The row of a new plan's project.
    pub(crate) fn new(plan: &str, index: usize, ordered: &Project, facts: &PlanProject) -> Self {
        Self {
            plan_id: plan.to_owned(),
            position: position(index),
            project: ordered.name.to_string(),
            path: path_to_text(&ordered.path),
            common_dir: path_to_text(&ordered.common_dir),
            branch: ordered.branch.clone(),
            home: ordered.into(),
            progress: facts.into(),
        }
    }

    /// The project as it was registered when the plan was made.
    pub(crate) fn ordered(&self) -> Result<Project, StoreError> {
        self.named(|row| {
            Ok(Project {
                name: row.parsed("project", Name::parse(&self.project))?,
                path: path_from_text(&self.path),
                common_dir: path_from_text(&self.common_dir),
                branch: self.branch.clone(),
                machine: self.home.machine(row)?,
                remote: self.home.remote(),
            })
        })
    }

    /// How far the plan is in it.
    pub(crate) fn facts(&self) -> Result<PlanProject, StoreError> {
        self.named(|row| {
            let name = row.parsed("project", Name::parse(&self.project))?;
            let oid = |column, value: &Option<String>| {
                row.parsed(column, value.as_deref().map(Oid::parse).transpose())
            };
            Ok(PlanProject {
                landing: self.landing(row, &name)?,
                base: oid("base", &self.progress.base)?,
                tip: oid("tip", &self.progress.tip)?,
                snapshot: oid("snapshot", &self.progress.snapshot)?,
                resume: oid("resume", &self.progress.resume)?,
                name,
            })
        })
    }

    fn landing(&self, row: RowName<'_>, project: &Name) -> Result<Option<PlanLanding>, StoreError> {
        let columns = &self.progress;
        let Some(id) = &columns.intent_id else { return Ok(None) };
        let oid = |column, value: &Option<String>| {
            row.parsed(column, Oid::parse(row.need(column, value.as_deref())?))
        };
        let intent = Intent {
            id: row.parsed("intent_id", IntentId::parse(id))?,
            project: project.clone(),
            reference: row.need("landing_ref", columns.landing_ref.clone())?,
            old: oid("landing_old", &columns.landing_old)?,
            new: oid("landing_new", &columns.landing_new)?,
        };
        Ok(Some(PlanLanding { intent, landed: columns.landed }))
    }

    fn named<T>(&self, f: impl FnOnce(RowName<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        f(RowName::new("plan_projects", &format!("{}/{}", self.plan_id, self.position)))
    }
}
