//! What a lock is on, and the one order in which locks are taken.

use std::fmt;

use thiserror::Error;

use crate::id::PlanId;
use crate::name::Name;

/// A resource that can be locked. The order of the variants is the order of acquisition: plans
/// before projects, projects by name; whoever keeps it cannot deadlock.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LockKey {
    /// One plan.
    Plan(PlanId),
    /// One project, that is, one repository.
    Project(Name),
}

/// A text that names no lock.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a lock key: use plan/<ULID> or project/<name>")]
pub struct InvalidKey {
    /// What was given.
    pub text: String,
}

impl LockKey {
    /// From the form `plan/<ULID>` or `project/<name>`.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let invalid = || InvalidKey { text: text.chars().take(80).collect() };
        let (kind, id) = text.split_once('/').ok_or_else(invalid)?;
        Self::from_parts(kind, id).ok_or_else(invalid)
    }

    /// From the two columns of a row.
    pub fn from_parts(resource_type: &str, resource_id: &str) -> Option<Self> {
        match resource_type {
            "plan" => PlanId::parse(resource_id).ok().map(Self::Plan),
            "project" => Name::parse(resource_id).ok().map(Self::Project),
            _ => None,
        }
    }

    /// `plan` or `project`.
    pub const fn resource_type(&self) -> &'static str {
        match self {
            Self::Plan(_) => "plan",
            Self::Project(_) => "project",
        }
    }

    /// The id of the plan or the name of the project.
    pub fn resource_id(&self) -> &str {
        match self {
            Self::Plan(id) => id.as_str(),
            Self::Project(name) => name.as_str(),
        }
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.resource_type(), self.resource_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_their_text_and_sort_plans_first() {
        let plan = LockKey::parse("plan/01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("plan");
        let project = LockKey::parse("project/local/api").expect("project");
        assert_eq!(LockKey::parse(&plan.to_string()), Ok(plan.clone()));
        assert_eq!(LockKey::parse(&project.to_string()), Ok(project.clone()));
        assert!(plan < project);
        assert!(project < LockKey::parse("project/local/b").expect("project"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "plan", "plan/x", "project/", "node/a", "project/UPPER"] {
            assert!(LockKey::parse(text).is_err(), "{text}");
        }
    }
}
