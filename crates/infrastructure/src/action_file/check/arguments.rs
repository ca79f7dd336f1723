//! The arguments of an action: names, and defaults that fit their own rules.

use agents_application::arguments::{check_value, compile_pattern, with_article};
use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue};

use super::super::document::{ArgumentEntry, Literal, TypeWord};
use super::super::located::Located;
use super::super::yaml::Fault;
use super::{fault, few, unique};
use crate::template::NAMES;

/// The longest name.
const MAX_NAME: usize = 63;

/// The specs of all entries.
pub(super) fn all(entries: Vec<Located<ArgumentEntry>>) -> Result<Vec<ArgumentSpec>, Fault> {
    few(&entries, "arguments")?;
    let mut seen = Vec::new();
    for entry in &entries {
        name(&entry.value.name)?;
        unique(&mut seen, &entry.value.name, "arguments")?;
    }
    entries.into_iter().map(|entry| spec(entry.value)).collect()
}

fn name(name: &Located<String>) -> Result<(), Fault> {
    let text = name.value.as_str();
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase());
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !starts_well || text.len() > MAX_NAME || !text.chars().all(allowed) {
        let rule = "use up to 63 of a-z, 0-9 and `_`, starting with a letter";
        return Err(fault(name.at, format!("`{text}` is not a name of an argument: {rule}")));
    }
    if NAMES.iter().any(|(taken, _)| *taken == text) {
        let message = format!("an argument cannot be named `{text}`: templates know something else by it");
        return Err(fault(name.at, message));
    }
    Ok(())
}

fn spec(entry: ArgumentEntry) -> Result<ArgumentSpec, Fault> {
    let kind = kind(entry.r#type);
    bounds(kind, &entry)?;
    pattern(kind, &entry)?;
    let mut spec = ArgumentSpec {
        name: entry.name.value,
        kind,
        required: entry.required,
        default: None,
        description: entry.description,
        pattern: entry.pattern.map(|pattern| pattern.value),
        min: entry.min.map(|min| min.value),
        max: entry.max.map(|max| max.value),
    };
    spec.default = entry.default.map(|literal| default(&spec, literal)).transpose()?;
    Ok(spec)
}

fn bounds(kind: ArgumentType, entry: &ArgumentEntry) -> Result<(), Fault> {
    for bound in entry.min.iter().chain(&entry.max) {
        if kind == ArgumentType::Boolean {
            return Err(fault(bound.at, "a boolean has no least or greatest value"));
        }
        if !bound.value.is_finite() {
            return Err(fault(bound.at, "expected a finite number"));
        }
    }
    match (&entry.min, &entry.max) {
        (Some(min), Some(max)) if min.value > max.value => {
            Err(fault(max.at, format!("max ({}) is less than min ({})", max.value, min.value)))
        }
        _ => Ok(()),
    }
}

fn pattern(kind: ArgumentType, entry: &ArgumentEntry) -> Result<(), Fault> {
    let Some(pattern) = &entry.pattern else { return Ok(()) };
    if !matches!(kind, ArgumentType::String | ArgumentType::List) {
        let message = format!("only a string or a list has a pattern, not {}", with_article(kind));
        return Err(fault(pattern.at, message));
    }
    compile_pattern(&pattern.value)
        .map(drop)
        .map_err(|error| fault(pattern.at, format!("the pattern does not compile: {error}")))
}

fn default(spec: &ArgumentSpec, literal: Located<Literal>) -> Result<ArgumentValue, Fault> {
    let is_text = matches!(literal.value, Literal::String(_) | Literal::List(_));
    let hint = if spec.kind == ArgumentType::String && !is_text { " (put it in quotes)" } else { "" };
    let value = super::subplans::value(literal.value);
    check_value(spec, value)
        .map_err(|problem| fault(literal.at, format!("the default does not fit: {problem}{hint}")))
}

fn kind(word: TypeWord) -> ArgumentType {
    match word {
        TypeWord::String => ArgumentType::String,
        TypeWord::Integer => ArgumentType::Integer,
        TypeWord::Float => ArgumentType::Float,
        TypeWord::Boolean => ArgumentType::Boolean,
        TypeWord::List => ArgumentType::List,
    }
}
