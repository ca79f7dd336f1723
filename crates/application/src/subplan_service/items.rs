//! Whether one item fits the plan that it is to be a part of: its action is there, its arguments fit
//! that, and its projects are the plan's. The same for a plan that is made and for one that is about
//! to be.

use std::collections::BTreeMap;

use agents_domain::action::Arguments;
use agents_domain::catalogue::{ActionStore, StoredAction};
use agents_domain::name::Name;
use agents_domain::plan::{Definition, StoreError};
use agents_domain::subplan::{Graph, Item, MAX_CHILDREN, Mode, SubplanItem};
use agents_domain::workspace::Project;

use super::check::{InvalidSubplans, SubplanProblem};
use crate::arguments;

/// What an item comes to.
pub(super) struct Fitting {
    pub(super) stored: StoredAction,
    pub(super) arguments: Arguments,
    /// Of the plan above, with its branches.
    pub(super) projects: Vec<Project>,
}

/// Actions by name; each is looked up once.
pub(super) struct Lookup<'a> {
    actions: &'a dyn ActionStore,
    known: BTreeMap<Name, Option<StoredAction>>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(actions: &'a dyn ActionStore) -> Self {
        Self { actions, known: BTreeMap::new() }
    }

    /// The action, arguments and projects of an item of a plan with that definition; all that does
    /// not fit.
    pub(super) async fn fit(
        &mut self,
        above: &Definition,
        item: &SubplanItem,
    ) -> Result<Result<Fitting, Vec<SubplanProblem>>, StoreError> {
        if !self.known.contains_key(&item.action) {
            self.known.insert(item.action.clone(), self.actions.get(&item.action).await?);
        }
        let stored = self.known[&item.action].as_ref();
        let missing =
            || SubplanProblem::NoSuchAction { item: item.name.clone(), action: item.action.clone() };
        let made = stored.ok_or_else(missing).and_then(|stored| Ok((stored, given(above, item, stored)?)));
        Ok(match (made, projects(above, item)) {
            (Ok((stored, arguments)), Ok(projects)) => {
                Ok(Fitting { stored: stored.clone(), arguments, projects })
            }
            (made, projects) => {
                Err(made.err().into_iter().chain(projects.err().into_iter().flatten()).collect())
            }
        })
    }
}

/// Whether there are few enough, and names and dependencies are a graph.
pub(super) fn shape(items: &[Item<'_>], mode: Mode) -> Vec<SubplanProblem> {
    let count = items.len();
    if count > MAX_CHILDREN {
        return vec![SubplanProblem::TooMany { count, most: MAX_CHILDREN }];
    }
    let wrong = Graph::new(items, mode).err().unwrap_or_default();
    wrong.into_iter().map(SubplanProblem::Graph).collect()
}

/// What the item gives, and what it does not name from the plan above, where that has it.
fn given(above: &Definition, item: &SubplanItem, stored: &StoredAction) -> Result<Arguments, SubplanProblem> {
    let specs = &stored.action.arguments;
    let inherited = above.arguments.iter();
    let wanted = inherited.filter(|(name, _)| specs.iter().any(|spec| spec.name == **name));
    let mut given: Arguments = wanted.map(|(name, value)| (name.clone(), value.clone())).collect();
    given.extend(item.args.clone());
    arguments::check(specs, &given)
        .map_err(|problems| SubplanProblem::Arguments { item: item.name.clone(), problems })
}

/// Those of the plan above that the item names; all, if it names none.
fn projects(above: &Definition, item: &SubplanItem) -> Result<Vec<Project>, Vec<SubplanProblem>> {
    let ours = &above.projects;
    let strange = |name: &&Name| ours.iter().all(|project| project.name != **name);
    let problem =
        |project: &Name| SubplanProblem::NotAProject { item: item.name.clone(), project: project.clone() };
    let strangers: Vec<_> = item.projects.iter().filter(strange).map(problem).collect();
    if !strangers.is_empty() {
        return Err(strangers);
    }
    let wanted = |project: &&Project| item.projects.is_empty() || item.projects.contains(&project.name);
    Ok(ours.iter().filter(wanted).cloned().collect())
}

/// Checks the items of an action for a plan of it that is about to be made. One level deep: what an
/// item's own action asks for is checked when that plan splits.
pub(crate) async fn foresee(
    actions: &dyn ActionStore,
    definition: &Definition,
) -> Result<Result<(), InvalidSubplans>, StoreError> {
    let items = definition.action.subplan_items();
    let asked: Vec<_> =
        items.iter().map(|item| Item { name: &item.name, depends_on: &item.depends_on }).collect();
    let mut problems = shape(&asked, definition.action.subplan_settings().mode);
    let mut lookup = Lookup::new(actions);
    // Whatever else is wrong with a hundred thousand of them would tell nobody anything.
    let few = if items.len() > MAX_CHILDREN { &[] } else { items };
    for item in few {
        problems.extend(lookup.fit(definition, item).await?.err().into_iter().flatten());
    }
    Ok(if problems.is_empty() { Ok(()) } else { Err(InvalidSubplans { problems }) })
}
