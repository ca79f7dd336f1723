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

/// Places of names and dependencies, item by item.
struct Places {
    name: Option<Position>,
    depends_on: Vec<Option<Position>>,
}

/// The settings and items of the entry.
pub(super) fn spec(entry: SubplansEntry) -> Result<SubplanSpec, Fault> {
    let default = Settings::default();
    let settings = Settings {
        mode: mode(entry.mode),
        max_parallel: number("max_parallel", entry.max_parallel, 1..=Settings::MAX_PARALLEL)?
            .unwrap_or(default.max_parallel),
        fail_fast: entry.fail_fast,
        max_retries: number("max_retries", entry.max_retries, 0..=Settings::MAX_RETRIES)?
            .unwrap_or(default.max_retries),
        timeout: entry.timeout.as_ref().map(programs::timeout).transpose()?,
        merge: merge(entry.merge),
    };
    let items = items(entry.items, settings.mode)?;
    Ok(SubplanSpec { settings, items })
}

fn number(key: &str, given: Option<Located<i64>>, bounds: RangeInclusive<u32>) -> Result<Option<u32>, Fault> {
    let Some(Located { value, at }) = given else { return Ok(None) };
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
    let places: Vec<_> = entries.iter().map(|entry| places(&entry.value)).collect();
    let mut faults = graph_faults(&entries, &places, mode);
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

fn places(entry: &ItemEntry) -> Places {
    Places { name: entry.name.at, depends_on: entry.depends_on.iter().map(|name| name.at).collect() }
}

fn graph_faults(entries: &[Located<ItemEntry>], places: &[Places], mode: Mode) -> Vec<Fault> {
    let needs = |entry: &Located<ItemEntry>| {
        entry.value.depends_on.iter().map(|name| name.value.clone()).collect::<Vec<_>>()
    };
    let names: Vec<&str> = entries.iter().map(|entry| entry.value.name.value.as_str()).collect();
    let needs: Vec<_> = entries.iter().map(needs).collect();
    let items: Vec<_> =
        names.iter().zip(&needs).map(|(name, depends_on)| Item { name, depends_on }).collect();
    let problems = Graph::new(&items, mode).err().unwrap_or_default();
    let mut index = Index::new(&items, places);
    problems.into_iter().map(|problem| index.fault(problem)).collect()
}

/// Finds the place that a problem of the graph is about.
struct Index<'a> {
    items: &'a [Item<'a>],
    places: &'a [Places],
    by_name: HashMap<&'a str, Vec<usize>>,
    /// How many further items of a name have been told.
    told: HashMap<String, usize>,
}

impl<'a> Index<'a> {
    fn new(items: &'a [Item<'a>], places: &'a [Places]) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            by_name.entry(item.name).or_default().push(index);
        }
        Self { items, places, by_name, told: HashMap::new() }
    }

    fn fault(&mut self, problem: GraphProblem) -> Fault {
        let message = problem.to_string();
        match problem {
            GraphProblem::Duplicate { name } => {
                let told = self.told.entry(name.clone()).or_default();
                *told += 1;
                let index = self.by_name.get(name.as_str()).and_then(|all| all.get(*told)).copied();
                fault(index.and_then(|index| self.places[index].name), message)
            }
            GraphProblem::Unknown { item, dependency } => {
                let hint = suggest::hint(&dependency, self.items.iter().map(|item| item.name));
                fault(self.dependency(&item, &dependency), message + &hint)
            }
            GraphProblem::OnItself { item } => fault(self.dependency(&item, &item), message),
            GraphProblem::Cycle { path } => {
                let first = path.iter().filter_map(|name| self.by_name.get(name.as_str())?.first()).min();
                fault(first.and_then(|index| self.places[*index].name), message)
            }
            GraphProblem::NotInThisMode { item, .. } => {
                let place = |index: &usize| *self.places[*index].depends_on.first()?;
                fault(self.named(&item).iter().find_map(place), message)
            }
        }
    }

    fn named(&self, name: &str) -> &[usize] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    fn dependency(&self, item: &str, dependency: &str) -> Option<Position> {
        let place = |index: &usize| {
            let at = self.items[*index].depends_on.iter().position(|name| name == dependency)?;
            self.places[*index].depends_on[at]
        };
        self.named(item).iter().find_map(place)
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
