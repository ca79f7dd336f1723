//! Whether what is asked for can be: everything that is wrong at once.

use std::fmt;

use agents_domain::catalogue::StoredAction;
use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::plan::{Definition, Origin, Plan, plan_branch};
use agents_domain::subplan::{GraphProblem, Item, MAX_CHILDREN, Subplan, SubplanItem};
use thiserror::Error;

use super::family::subplan;
use super::items::{self, Fitting, Lookup};
use super::{Family, SpawnError, SubplanService};
use crate::arguments::InvalidArguments;
use crate::lifecycle::NewChild;

/// As many problems as a person reads.
const SHOWN: usize = 20;

/// One thing that is wrong with the children that a plan is to have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubplanProblem {
    /// More than a plan may have.
    #[error("{count} subplans are more than the {most} that a plan may have")]
    TooMany {
        /// How many there would be.
        count: usize,
        /// How many may be.
        most: usize,
    },
    /// Subplans of subplans of …, beyond the limit.
    #[error("subplans at depth {depth} are deeper than the {most} levels that may be")]
    TooDeep {
        /// How deep they would be.
        depth: u32,
        /// How deep they may be.
        most: u32,
    },
    /// Names or dependencies.
    #[error(transparent)]
    Graph(GraphProblem),
    /// A name that the plan's own action will give to a child.
    #[error("`{item}` is the name of a subplan that action {action} will make")]
    Taken {
        /// The child.
        item: String,
        /// The plan's action.
        action: Name,
    },
    /// A child uses an action that is not there.
    #[error("`{item}`: there is no action {action}")]
    NoSuchAction {
        /// The child.
        item: String,
        /// The action.
        action: Name,
    },
    /// Arguments that do not fit the action of a child.
    #[error("`{item}`: {}", in_a_line(problems))]
    Arguments {
        /// The child.
        item: String,
        /// All that is wrong with them.
        problems: InvalidArguments,
    },
    /// A child works on a project that is not its parent's.
    #[error("`{item}`: {project} is not a project of the plan")]
    NotAProject {
        /// The child.
        item: String,
        /// The project.
        project: Name,
    },
    /// A line of a file that cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

/// One line for a list of lines.
fn in_a_line(wrong: &InvalidArguments) -> String {
    wrong.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// All that is wrong with the children that a plan is to have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct InvalidSubplans {
    /// At least one.
    pub problems: Vec<SubplanProblem>,
}

impl InvalidSubplans {
    /// As many problems as a person reads, a line each, and how many more there are.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.problems.iter().take(SHOWN).map(ToString::to_string).collect();
        if let more @ 1.. = self.problems.len().saturating_sub(SHOWN) {
            lines.push(format!("… and {more} more"));
        }
        lines
    }
}

impl fmt::Display for InvalidSubplans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.problems.as_slice() {
            return write!(f, "the subplans cannot be made: {only}");
        }
        write!(f, "the subplans cannot be made; {} things are wrong:", self.problems.len())?;
        self.lines().iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

/// The parent, for one round of checks.
struct Parent<'a> {
    plan: &'a Plan,
    definition: &'a Definition,
    depth: u32,
    root: PlanId,
    /// The place of the first new child.
    first: usize,
}

impl SubplanService {
    pub(super) async fn check(
        &self,
        plan: &Plan,
        definition: &Definition,
        family: &Family,
        items: &[SubplanItem],
    ) -> Result<Vec<NewChild>, SpawnError> {
        let there: Vec<&Subplan> = family.children().map(|view| subplan(&view.record)).collect();
        let parent = Parent {
            plan,
            definition,
            depth: plan.subplan.as_ref().map_or(0, |subplan| subplan.depth) + 1,
            root: plan.subplan.as_ref().map_or(plan.id, |subplan| subplan.root),
            first: there.iter().map(|one| one.position as usize + 1).max().unwrap_or(0),
        };
        let mut problems = Vec::new();
        if parent.depth > self.parts.max_depth {
            problems.push(SubplanProblem::TooDeep { depth: parent.depth, most: self.parts.max_depth });
        }
        let siblings = there.iter().map(|one| Item { name: &one.name, depends_on: &one.depends_on });
        let asked = items.iter().map(|item| Item { name: &item.name, depends_on: &item.depends_on });
        let all: Vec<_> = siblings.chain(asked).collect();
        problems.extend(items::shape(&all, definition.action.subplan_settings().mode));
        if all.len() > MAX_CHILDREN {
            // Whatever else is wrong with a hundred thousand of them would tell nobody anything.
            return Err(InvalidSubplans { problems }.into());
        }
        let mut lookup = Lookup::new(&*self.parts.actions);
        let mut children = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match lookup.fit(definition, item).await? {
                Ok(fitting) => {
                    let (origin, definition) = parent.child(index, item, fitting);
                    let id = PlanId::from(self.parts.ids.ulid());
                    children.push(NewChild { id, origin, definition });
                }
                Err(wrong) => problems.extend(wrong),
            }
        }
        if problems.is_empty() { Ok(children) } else { Err(InvalidSubplans { problems }.into()) }
    }
}

impl Parent<'_> {
    fn child(&self, index: usize, item: &SubplanItem, fitting: Fitting) -> (Origin, Definition) {
        let Fitting { stored: StoredAction { mut action, source, .. }, arguments, mut projects } = fitting;
        // A child lands on its parent's own branch.
        for project in &mut projects {
            project.branch = plan_branch(self.plan.id);
        }
        if action.definition_of_done.is_empty() {
            action.definition_of_done.clone_from(&self.definition.action.definition_of_done);
        }
        let origin = Origin {
            name: Some(item.name.clone()),
            action: action.name.clone(),
            automation: self.plan.automation,
            projects: projects.iter().map(|project| project.name.clone()).collect(),
            subplan: Some(Subplan {
                parent: self.plan.id,
                root: self.root,
                depth: self.depth,
                position: u32::try_from(self.first + index).expect("the number of children is bounded"),
                name: item.name.clone(),
                depends_on: item.depends_on.clone(),
                failures: 0,
                given_up: None,
            }),
        };
        (origin, Definition { action, action_source: source, arguments, projects })
    }
}
