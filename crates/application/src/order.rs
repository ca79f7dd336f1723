//! From what a person asks for to an order that can be stored: names looked up, arguments
//! checked, everything frozen.

use agents_domain::action::Automation;
use agents_domain::catalogue::{ActionStore, ProjectStore};
use agents_domain::name::Name;
use agents_domain::plan::{Definition, StoreError};
use thiserror::Error;

use crate::arguments::{self, InvalidArguments};
use crate::subplan_service::{InvalidSubplans, foresee};

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRequest {
    /// The action to use.
    pub action: Name,
    /// The projects to work on; at least one.
    pub projects: Vec<Name>,
    /// `name=value`, as given.
    pub arguments: Vec<String>,
    /// How far the plan goes by itself; `None`: as the action says.
    pub automation: Option<Automation>,
    /// A name for people.
    pub name: Option<String>,
}

/// What a plan will be made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Action, arguments and projects, frozen.
    pub definition: Definition,
    /// How far the plan goes by itself.
    pub automation: Automation,
    /// A name for people.
    pub name: Option<String>,
}

/// Why no order can be made. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OrderError {
    /// There is no such action.
    #[error("there is no action {name}")]
    NoSuchAction {
        /// Its name.
        name: Name,
    },
    /// There is no such project.
    #[error("there is no project {name}")]
    NoSuchProject {
        /// Its name.
        name: Name,
    },
    /// No project was named.
    #[error("a plan needs at least one project")]
    NoProject,
    /// Arguments that do not fit the action.
    #[error("the arguments do not fit {action}")]
    Arguments {
        /// The action.
        action: Name,
        /// All that is wrong.
        #[source]
        problems: InvalidArguments,
    },
    /// Subplans that every plan of the action has, and that this plan could not get.
    #[error("{action} has subplans that cannot be made")]
    Subplans {
        /// The action.
        action: Name,
        /// All that is wrong.
        #[source]
        problems: InvalidSubplans,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks up and checks all that a plan will be made of. Changes nothing.
///
/// ```
/// # use std::sync::Arc;
/// use agents_application::{OrderError, OrderRequest, order};
/// use agents_domain::name::Name;
/// use agents_infrastructure::{clock::HandClock, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = MemoryStore::new(Arc::new(HandClock::default()));
/// let request = OrderRequest {
///     action: Name::parse("fix-lint").expect("valid"),
///     projects: vec![Name::parse("api").expect("valid")],
///     arguments: vec!["target=src".to_owned()],
///     automation: None,
///     name: None,
/// };
/// let none = order::prepare(&*store.actions(), &*store.projects(), request).await;
/// assert!(matches!(none, Err(OrderError::NoSuchAction { .. })));
/// # }
/// ```
pub async fn prepare(
    actions: &dyn ActionStore,
    projects: &dyn ProjectStore,
    request: OrderRequest,
) -> Result<Order, OrderError> {
    let name = request.action;
    let stored = actions.get(&name).await?.ok_or(OrderError::NoSuchAction { name: name.clone() })?;
    let arguments = arguments::parse(&stored.action.arguments, &request.arguments)
        .map_err(|problems| OrderError::Arguments { action: name, problems })?;
    let mut names = request.projects;
    names.sort();
    names.dedup();
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let project = projects.get(&name).await?;
        found.push(project.ok_or(OrderError::NoSuchProject { name })?);
    }
    if found.is_empty() {
        return Err(OrderError::NoProject);
    }
    let automation = request.automation.unwrap_or(stored.action.automation);
    let definition =
        Definition { action: stored.action, action_source: stored.source, arguments, projects: found };
    if let Err(problems) = foresee(actions, &definition).await? {
        return Err(OrderError::Subplans { action: definition.action.name, problems });
    }
    Ok(Order { definition, automation, name: request.name })
}
