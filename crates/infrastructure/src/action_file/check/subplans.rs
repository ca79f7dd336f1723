//! How plans split: bounds, and items that are a graph. Unlike elsewhere, all that is wrong with
//! items is told at once, in the order of the file: a graph is mended as a whole.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use agents_application::suggest;
use agents_domain::action::{ArgumentValue, SubplanSpec};
use agents_domain::name::Name;
use agents_domain::subplan::{
    Graph, GraphProblem, Item, MAX_CHILDREN, MergePolicy, Mode, Settings, SubplanItem,
};

use super::super::document::{ItemEntry, Literal, MergeWord, ModeWord, SubplansEntry};
use super::super::located::{Located, Position};
use super::super::yaml::Fault;
use super::{fault, part, programs};

/// So many misspelt dependencies are compared with all names.
const HINTS: usize = 20;

/// The settings and items of the entry.
pub(super) fn spec(entry: SubplansEntry) -> Result<SubplanSpec, Fault> {
    let default = Settings::default();
    let settings = Settings {
        mode: mode(entry.mode),
        max_parallel: number("max_parallel", entry.max_parallel.as_ref(), 1..=Settings::MAX_PARALLEL)?
            .unwrap_or(default.max_parallel),
        fail_fast: entry.fail_fast,
        max_retries: number("max_retries", entry.max_retries.as_ref(), 0..=Settings::MAX_RETRIES)?
            .unwrap_or(default.max_retries),
        timeout: entry.timeout.as_ref().map(programs::timeout).transpose()?,
        merge: merge(entry.merge),
    };
    let items = items(entry.items, settings.mode)?;
    Ok(SubplanSpec { settings, items })
}

fn number(
    key: &str,
    given: Option<&Located<i64>>,
    bounds: RangeInclusive<u32>,
) -> Result<Option<u32>, Fault> {
    let Some(&Located { value, at }) = given else { return Ok(None) };
    let number = u32::try_from(value).ok().filter(|number| bounds.contains(number));
    let message = || format!("{key} must be between {} and {}", bounds.start(), bounds.end());
    number.map(Some).ok_or_else(|| fault(at, message()))
}

fn mode(word: ModeWord) -> Mode {
    match word {
        ModeWord::Sequential => Mode::Sequential,
        ModeWord::Parallel => Mode::Parallel,
        ModeWord::Dependency => Mode::Dependency,
    }
}

fn merge(word: MergeWord) -> MergePolicy {
    match word {
        MergeWord::ThreeWay => MergePolicy::ThreeWay,
        MergeWord::FailOnConflict => MergePolicy::FailOnConflict,
    }
}

fn items(entries: Vec<Located<ItemEntry>>, mode: Mode) -> Result<Vec<SubplanItem>, Fault> {
    if let Some(extra) = entries.get(MAX_CHILDREN) {
        let message = format!("{} subplans are more than the {MAX_CHILDREN} that may be", entries.len());
        return Err(fault(extra.at, message));
    }
    let mut faults = graph_faults(&entries, mode);
    let mut items = Vec::with_capacity(entries.len());
    for entry in entries {
        match item(entry.value) {
            Ok(item) => items.push(item),
            Err(fault) => faults.push(fault),
        }
    }
    faults.sort_by_key(|fault| fault.at.map(|at| (at.line, at.column)));
    let mut faults = faults.into_iter();
    match faults.next() {
        None => Ok(items),
        Some(first) => Err(Fault { also: faults.collect(), ..first }),
    }
}

fn graph_faults(entries: &[Located<ItemEntry>], mode: Mode) -> Vec<Fault> {
    let names = |entry: &ItemEntry| entry.depends_on.iter().map(|name| name.value.clone()).collect();
    let needs: Vec<Vec<String>> = entries.iter().map(|entry| names(&entry.value)).collect();
    let item = |(entry, depends_on)| {
        let entry: &Located<ItemEntry> = entry;
        Item { name: &entry.value.name.value, depends_on }
    };
    let items: Vec<Item<'_>> = entries.iter().zip(needs.iter().map(Vec::as_slice)).map(item).collect();
    let problems = Graph::new(&items, mode).err().unwrap_or_default();
    let mut places = Places::of(entries);
    problems.into_iter().map(|problem| places.fault(problem)).collect()
}

/// Where names and dependencies stand, to be found by what a problem names. One pass makes it, and
/// each problem is one look: a hostile file has tens of thousands.
struct Places<'a> {
    /// Each name, in the order of the file, with the places where items have it.
    names: HashMap<&'a str, (usize, Vec<Option<Position>>)>,
    /// Each pair of an item and what it depends on.
    dependencies: HashMap<(&'a str, &'a str), Option<Position>>,
    /// The place of the first dependency of an item.
    first: HashMap<&'a str, Option<Position>>,
    /// How many further items of a name have been told.
    told: HashMap<String, usize>,
    /// How many words may still be looked for: nobody reads more hints.
    hints: usize,
}

impl<'a> Places<'a> {
    fn of(entries: &'a [Located<ItemEntry>]) -> Self {
        let mut names: HashMap<_, (usize, Vec<_>)> = HashMap::with_capacity(entries.len());
        let (mut dependencies, mut first) = (HashMap::new(), HashMap::new());
        for (index, entry) in entries.iter().enumerate() {
            let ItemEntry { name, depends_on, .. } = &entry.value;
            let item = name.value.as_str();
            names.entry(item).or_insert_with(|| (index, Vec::new())).1.push(name.at);
            for dependency in depends_on {
                dependencies.entry((item, dependency.value.as_str())).or_insert(dependency.at);
                first.entry(item).or_insert(dependency.at);
            }
        }
        Self { names, dependencies, first, told: HashMap::new(), hints: HINTS }
    }

    fn fault(&mut self, problem: GraphProblem) -> Fault {
        let message = problem.to_string();
        match problem {
            GraphProblem::Duplicate { name } => {
                let (_, all) = &self.names[name.as_str()];
                let told = self.told.entry(name).or_default();
                *told += 1;
                fault(all.get(*told).copied().flatten(), message)
            }
            GraphProblem::Unknown { item, dependency } => {
                let hint = self.hint(&dependency);
                fault(self.dependencies[&(item.as_str(), dependency.as_str())], message + &hint)
            }
            GraphProblem::OnItself { item } => {
                fault(self.dependencies[&(item.as_str(), item.as_str())], message)
            }
            GraphProblem::Cycle { path } => {
                let places = path.iter().map(|name| &self.names[name.as_str()]);
                let first = places.min_by_key(|(index, _)| *index);
                fault(first.and_then(|(_, all)| *all.first()?), message)
            }
            GraphProblem::NotInThisMode { item, .. } => fault(self.first[item.as_str()], message),
        }
    }

    fn hint(&mut self, word: &str) -> String {
        if self.hints == 0 {
            return String::new();
        }
        self.hints -= 1;
        suggest::hint(word, self.names.keys().copied())
    }
}

/// One child, as it is asked for.
pub(in crate::action_file) fn item(entry: ItemEntry) -> Result<SubplanItem, Fault> {
    part(&entry.name, "a subplan")?;
    let args: BTreeMap<_, _> =
        entry.args.into_iter().map(|(name, literal)| (name, value(literal.value))).collect();
    Ok(SubplanItem {
        name: entry.name.value,
        action: name(&entry.action)?,
        args,
        depends_on: entry.depends_on.into_iter().map(|name| name.value).collect(),
        projects: entry.projects.iter().map(name).collect::<Result<_, _>>()?,
    })
}

fn name(text: &Located<String>) -> Result<Name, Fault> {
    Name::parse(&text.value).map_err(|error| fault(text.at, error.to_string()))
}

/// The value that a literal stands for.
pub(super) fn value(literal: Literal) -> ArgumentValue {
    match literal {
        Literal::Boolean(truth) => ArgumentValue::Boolean(truth),
        Literal::Integer(number) => ArgumentValue::Integer(number),
        Literal::Float(number) => ArgumentValue::Float(number),
        Literal::String(text) => ArgumentValue::String(text),
        Literal::List(items) => ArgumentValue::List(items),
    }
}
