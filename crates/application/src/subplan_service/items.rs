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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use agents_domain::action::{Action, ArgumentValue};
    use agents_domain::time::Timestamp;
    use agents_infrastructure::action_file;
    use agents_infrastructure::clock::HandClock;
    use agents_infrastructure::memory::MemoryStore;

    use super::*;

    const NOTE: &str = "name: note\narguments:\n- { name: file, required: true }\n\
                        - { name: count, type: integer, default: 1, max: 5 }\nexecute: { run: [a] }\n";

    fn action(text: &str) -> Action {
        action_file::parse(text, "x").expect("valid")
    }

    fn name(text: &str) -> Name {
        Name::parse(text).expect("valid")
    }

    fn project(of: &str) -> Project {
        let (path, common_dir, branch) = ("/src".into(), "/src/.git".into(), "main".into());
        Project { name: name(of), path, common_dir, branch, machine: None, remote: None }
    }

    /// What is wrong with a plan on `api` and `web` whose action has these subplans.
    async fn problems(subplans: &str, arguments: Arguments) -> Vec<String> {
        let store = MemoryStore::new(Arc::new(HandClock::default()));
        let stored = |text: &str| StoredAction {
            action: action(text),
            source: text.to_owned(),
            updated_at: Timestamp::default(),
        };
        store.actions().put(&stored(NOTE)).await.expect("stored");
        let definition = Definition {
            action: action(&format!("name: x\nsubplans: {subplans}\n")),
            action_source: String::new(),
            arguments,
            projects: vec![project("api"), project("web")],
        };
        let outcome = foresee(&*store.actions(), &definition).await.expect("the store answers");
        outcome.err().map(|invalid| invalid.lines()).unwrap_or_default()
    }

    #[tokio::test]
    async fn what_fits_is_given_by_the_item_else_by_the_plan_else_by_the_action() {
        let given = |name: &str, value| Arguments::from([(name.to_owned(), value)]);
        let bare = "{ items: [{ name: a, action: note }] }";
        let own = "{ items: [{ name: a, action: note, args: { file: x, count: 5 }, projects: [web] }] }";
        let file = given("file", ArgumentValue::String("y".into()));
        assert_eq!(problems(bare, file).await, [""; 0], "from the plan, and the default of the action");
        assert_eq!(problems(bare, Arguments::new()).await, ["`a`: argument `file` (string) is required"]);
        let count = given("count", ArgumentValue::Integer(9));
        assert_eq!(problems(own, count.clone()).await, [""; 0], "the item goes before the plan");
        let lean = "{ items: [{ name: a, action: note, args: { file: x } }] }";
        assert_eq!(problems(lean, count).await, ["`a`: argument `count` must be at most 5, not 9"]);
        let foreign = given("elsewhere", ArgumentValue::Boolean(true));
        assert_eq!(problems(lean, foreign).await, [""; 0], "what the action does not know is not passed on");
    }

    #[tokio::test]
    async fn all_that_is_wrong_is_told_at_once() {
        let items = "{ items: [{ name: a, action: b, projects: [api, p, q] }, { name: c, action: note, \
                     args: { count: 6, z: 1 }, projects: [r] }] }";
        let expected = [
            "`a`: there is no action local/b",
            "`a`: local/p is not a project of the plan",
            "`a`: local/q is not a project of the plan",
            "`c`: argument `file` (string) is required; argument `count` must be at most 5, not 6; unknown argument `z`",
            "`c`: local/r is not a project of the plan",
        ];
        assert_eq!(problems(items, Arguments::new()).await, expected);
    }

    /// An embedder's action may come from elsewhere than a checked file.
    #[tokio::test]
    async fn a_shape_that_no_file_has_is_refused_too() {
        let needs = ["b".to_owned()];
        let circle = [Item { name: "b", depends_on: &needs }];
        assert_eq!(shape(&circle, Mode::Dependency).len(), 1);
        let many = vec![Item { name: "b", depends_on: &[] }; MAX_CHILDREN + 1];
        let problem = SubplanProblem::TooMany { count: MAX_CHILDREN + 1, most: MAX_CHILDREN };
        assert_eq!(shape(&many, Mode::Parallel), [problem]);
    }
}
