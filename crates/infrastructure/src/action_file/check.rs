//! From [`Document`] to [`Action`]: the rules that a type cannot state.
//!
//! The first rule that is broken ends it, with the place of the value that breaks it. Nothing is
//! checked here that the lifecycle relies on at run time alone: what passes can be stored.

use std::collections::BTreeMap;

use agents_domain::action::{
    Action, ApplySpec, Automation, LandOn, MergeStrategy, ValidationSpec, WorktreeSpec,
};
use agents_domain::name::Name;

use super::document::{
    ApplyEntry, AutomationWord, Document, LandWord, StrategyWord, ValidationEntry, WorktreeEntry,
};
use super::located::{Located, Position};
use super::yaml::Fault;

mod arguments;
mod programs;
mod subplans;
mod templates;

pub(super) use subplans::item;

use templates::Rehearsal;

/// More arguments, validations, copied files or variables than this is a mistake.
const MAX_ENTRIES: usize = 64;

/// The action that the document describes.
pub(super) fn action(document: Document) -> Result<Action, Fault> {
    let name =
        Name::parse(&document.name.value).map_err(|error| fault(document.name.at, error.to_string()))?;
    if document.execute.is_none() && document.subplans.is_none() {
        let message = "the key `execute` is missing: it is required, unless there are `subplans`";
        return Err(fault(document.name.at, message));
    }
    let arguments = arguments::all(document.arguments)?;
    let mut rehearsal = Rehearsal::new(&arguments);
    Ok(Action {
        name,
        description: document.description,
        definition_of_done: document.definition_of_done,
        automation: automation(document.automation),
        worktree: worktree(document.worktree, &mut rehearsal)?,
        strategize: document.strategize.map(|phase| programs::phase(phase, &mut rehearsal)).transpose()?,
        execute: document.execute.map(|phase| programs::phase(phase, &mut rehearsal)).transpose()?,
        validations: validations(document.validations, &mut rehearsal)?,
        apply: apply(document.apply, &mut rehearsal)?,
        env: environment(document.env)?,
        env_from: imported(document.env_from)?,
        arguments,
        subplans: document.subplans.map(subplans::spec).transpose()?,
    })
}

/// A broken rule at a place.
fn fault(at: Option<Position>, message: impl Into<String>) -> Fault {
    Fault::new(at, message)
}

fn few<T>(entries: &[Located<T>], what: &str) -> Result<(), Fault> {
    match entries.get(MAX_ENTRIES) {
        Some(extra) => Err(fault(extra.at, format!("more than {MAX_ENTRIES} {what}"))),
        None => Ok(()),
    }
}

/// Refuses a second use of a name.
fn unique<'a>(seen: &mut Vec<&'a str>, name: &'a Located<String>, what: &str) -> Result<(), Fault> {
    if seen.contains(&name.value.as_str()) {
        return Err(fault(name.at, format!("there are two {what} named `{}`", name.value)));
    }
    seen.push(&name.value);
    Ok(())
}

fn automation(word: AutomationWord) -> Automation {
    match word {
        AutomationWord::Manual => Automation::Manual,
        AutomationWord::Review => Automation::Review,
        AutomationWord::Auto => Automation::Auto,
    }
}

fn worktree(entry: WorktreeEntry, rehearsal: &mut Rehearsal) -> Result<WorktreeSpec, Fault> {
    few(&entry.copy, "files to copy")?;
    let setup = entry.setup.map(|vector| programs::vector(vector, rehearsal)).transpose()?;
    let copy = entry.copy.into_iter().map(copied).collect::<Result<_, _>>()?;
    Ok(WorktreeSpec { setup, copy })
}

/// A path that stays inside the checkout and out of its repository.
fn copied(path: Located<String>) -> Result<String, Fault> {
    let parts: Vec<_> = path.value.split('/').collect();
    let rule = if path.value.is_empty() || path.value.contains(['\0', '\n', '\\']) {
        "is not a path"
    } else if path.value.starts_with('/') {
        "must be relative to the checkout"
    } else if parts.contains(&"..") {
        "must not contain `..`"
    } else if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        "must not lead into `.git`"
    } else {
        return Ok(path.value);
    };
    Err(fault(path.at, format!("the path `{}` {rule}", path.value)))
}

fn validations(
    entries: Vec<Located<ValidationEntry>>,
    rehearsal: &mut Rehearsal,
) -> Result<Vec<ValidationSpec>, Fault> {
    few(&entries, "validations")?;
    let mut seen = Vec::new();
    for entry in &entries {
        part(&entry.value.name, "a validation")?;
        unique(&mut seen, &entry.value.name, "validations")?;
    }
    entries.into_iter().map(|entry| validation(entry, rehearsal)).collect()
}

fn validation(entry: Located<ValidationEntry>, rehearsal: &mut Rehearsal) -> Result<ValidationSpec, Fault> {
    let Located { value, at } = entry;
    Ok(ValidationSpec {
        name: value.name.value,
        program: programs::program(value.run, value.shell, at, rehearsal)?,
        required: value.required,
        timeout: value.timeout.as_ref().map(programs::timeout).transpose()?,
    })
}

/// The same words as in names of actions, so that they can stand in output and file names.
fn part(name: &Located<String>, of: &str) -> Result<(), Fault> {
    if !name.value.contains('/') && Name::parse(&name.value).is_ok() {
        return Ok(());
    }
    let rule = "use up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`";
    Err(fault(name.at, format!("`{}` is not a name of {of}: {rule}", name.value)))
}

fn apply(entry: ApplyEntry, rehearsal: &mut Rehearsal) -> Result<ApplySpec, Fault> {
    if let Some(message) = &entry.message {
        if message.value.trim().is_empty() {
            return Err(fault(message.at, "the commit message is empty"));
        }
        rehearsal.message(message)?;
    }
    Ok(ApplySpec {
        strategy: match entry.strategy {
            StrategyWord::Merge => MergeStrategy::Merge,
            StrategyWord::Squash => MergeStrategy::Squash,
        },
        land: match entry.land {
            LandWord::Target => LandOn::Target,
            LandWord::Branch => LandOn::Branch,
        },
        after: entry.after.map(|vector| programs::vector(vector, rehearsal)).transpose()?,
        message: entry.message.map(|message| message.value),
    })
}

fn environment(entries: BTreeMap<String, Located<String>>) -> Result<BTreeMap<String, String>, Fault> {
    entries
        .into_iter()
        .map(|(name, value)| {
            variable(&name, value.at)?;
            if value.value.contains('\0') {
                return Err(fault(value.at, format!("the value of `{name}` contains a NUL byte")));
            }
            Ok((name, value.value))
        })
        .collect()
}

fn imported(names: Vec<Located<String>>) -> Result<Vec<String>, Fault> {
    few(&names, "variables")?;
    let mut seen = Vec::new();
    for name in &names {
        variable(&name.value, name.at)?;
        unique(&mut seen, name, "variables")?;
    }
    Ok(names.into_iter().map(|name| name.value).collect())
}

/// A variable that a file may set: a portable name, and none of ours or git's.
fn variable(name: &str, at: Option<Position>) -> Result<(), Fault> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let rule = "use A-Z, a-z, 0-9 and `_`, not starting with a digit";
        return Err(fault(at, format!("`{name}` is not a name of an environment variable: {rule}")));
    }
    if name.starts_with("AGENTS_") || name.starts_with("GIT_") {
        return Err(fault(
            at,
            format!("`{name}` cannot be set: AGENTS_ and GIT_ variables are not an action's"),
        ));
    }
    Ok(())
}
