//! Checks a caller's arguments against what an action says about them.
//!
//! Pure. Guarantees that an [`Arguments`] returned from here fits every [`ArgumentSpec`] it was
//! checked against, defaults filled in, and that an error names **all** that is wrong, not the
//! first thing. It must not read the environment: giving the values to a child is a runner's work.

use std::collections::BTreeMap;
use std::fmt;

use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue, Arguments};
use regex_lite::{Regex, RegexBuilder};
use thiserror::Error;

use crate::suggest;

mod value;

pub use value::check_value;

/// The compiled size of a pattern, in bytes: some hundred states. The matcher's time is this
/// times the length of the value, so both are bounded.
const MAX_PATTERN_SIZE: usize = 16 * 1024;
/// The longest value, in bytes, that is matched against a pattern.
const MAX_MATCHED: usize = 4 * 1024;

/// One thing that is wrong with a caller's arguments.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArgumentProblem {
    /// A text without `=`, or with nothing before it.
    #[error("`{text}` is not an argument: write name=value")]
    NotAPair {
        /// What was given.
        text: String,
    },
    /// The same argument twice.
    #[error("argument `{name}` is given more than once")]
    Repeated {
        /// Its name.
        name: String,
    },
    /// A required argument is not there.
    #[error("argument `{name}` ({kind}) is required")]
    Missing {
        /// Its name.
        name: String,
        /// The word for its type.
        kind: &'static str,
    },
    /// The action has no such argument.
    #[error("unknown argument `{name}`{hint}")]
    Unknown {
        /// What was given.
        name: String,
        /// `, did you mean …?`, or empty.
        hint: String,
    },
    /// The value is of another type.
    #[error("argument `{name}` must be {expected}, not `{found}`")]
    IllTyped {
        /// Its name.
        name: String,
        /// What it should be.
        expected: &'static str,
        /// What it is, cut to 80 characters.
        found: String,
    },
    /// The value is of the right type, but pattern, least or greatest forbid it.
    #[error("argument `{name}` {rule}")]
    Refused {
        /// Its name.
        name: String,
        /// The rule that it breaks, with expected against found.
        rule: String,
    },
}

/// All that is wrong with a caller's arguments, in the order in which it was found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct InvalidArguments {
    /// At least one.
    pub problems: Vec<ArgumentProblem>,
}

impl fmt::Display for InvalidArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{only}"),
            several => {
                write!(f, "{} arguments are wrong:", several.len())?;
                several.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

/// Reads `name=value` texts, as they come from a command line, and checks them.
///
/// Lists are separated by commas; an empty text is an empty list. Booleans are `true` and
/// `false`.
///
/// ```
/// use agents_application::arguments::parse;
/// use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue};
///
/// let depth = ArgumentSpec {
///     name: "depth".into(), kind: ArgumentType::Integer, required: true,
///     default: None, description: None, pattern: None, min: Some(1.0), max: None,
/// };
/// let arguments = parse(&[depth.clone()], &["depth=3"]).expect("fits");
/// assert_eq!(arguments["depth"], ArgumentValue::Integer(3));
///
/// let error = parse(&[depth], &["dept=3"]).expect_err("misspelt");
/// assert_eq!(error.problems.len(), 2, "unknown, and the required one is missing");
/// ```
pub fn parse<T: AsRef<str>>(specs: &[ArgumentSpec], pairs: &[T]) -> Result<Arguments, InvalidArguments> {
    let mut problems = Vec::new();
    let mut given = BTreeMap::new();
    for text in pairs.iter().map(AsRef::as_ref) {
        match text.split_once('=') {
            None | Some(("", _)) => problems.push(ArgumentProblem::NotAPair { text: shown(text) }),
            Some((name, value)) => {
                if given.insert(name, value).is_some() {
                    problems.push(ArgumentProblem::Repeated { name: shown(name) });
                }
            }
        }
    }
    collect(specs, given, value::read, problems)
}

/// Reads values for an action whose other arguments come from elsewhere. Checks nothing: what cannot be
/// read as the action wants it stays a text, so that a check tells it with everything else.
pub fn read<'a>(specs: &[ArgumentSpec], given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Arguments {
    let value = |(name, text): (&'a str, &'a str)| {
        let spec = specs.iter().find(|spec| spec.name == name);
        let read = spec.and_then(|spec| value::typed_text(spec, text));
        (name.to_owned(), read.unwrap_or_else(|| ArgumentValue::String(text.to_owned())))
    };
    given.into_iter().map(value).collect()
}

/// Checks values that already have a type, as they come from a file or an embedder.
///
/// An integer is taken where a float is asked for; nothing else is converted.
pub fn check(specs: &[ArgumentSpec], given: &Arguments) -> Result<Arguments, InvalidArguments> {
    let given = given.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    collect(specs, given, check_value, Vec::new())
}

/// The variable under which a child finds an argument: `AGENTS_ARG_<NAME>`, upper case.
///
/// ```
/// assert_eq!(agents_application::arguments::env_name("max_depth"), "AGENTS_ARG_MAX_DEPTH");
/// ```
pub fn env_name(argument: &str) -> String {
    format!("AGENTS_ARG_{}", argument.to_ascii_uppercase())
}

/// Compiles a pattern within the bound that keeps matching fast.
///
/// Matching is a search: a pattern that is to cover the whole value says so with `^` and `$`.
pub fn compile_pattern(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build()
}

/// The word for a type, with its article.
pub fn with_article(kind: ArgumentType) -> &'static str {
    match kind {
        ArgumentType::String => "a string",
        ArgumentType::Integer => "an integer",
        ArgumentType::Float => "a float",
        ArgumentType::Boolean => "a boolean (true or false)",
        ArgumentType::List => "a list of strings",
    }
}

/// Walks specs and given values; every problem is kept.
fn collect<V>(
    specs: &[ArgumentSpec],
    mut given: BTreeMap<&str, V>,
    accept: impl Fn(&ArgumentSpec, V) -> Result<ArgumentValue, ArgumentProblem>,
    mut problems: Vec<ArgumentProblem>,
) -> Result<Arguments, InvalidArguments> {
    let mut arguments = Arguments::new();
    for spec in specs {
        let value = match (given.remove(spec.name.as_str()), &spec.default) {
            (Some(value), _) => accept(spec, value),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) if spec.required => {
                Err(ArgumentProblem::Missing { name: spec.name.clone(), kind: spec.kind.as_str() })
            }
            (None, None) => continue,
        };
        match value {
            Ok(value) => drop(arguments.insert(spec.name.clone(), value)),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(given.keys().map(|name| unknown(specs, name)));
    if problems.is_empty() { Ok(arguments) } else { Err(InvalidArguments { problems }) }
}

fn unknown(specs: &[ArgumentSpec], name: &str) -> ArgumentProblem {
    let hint = suggest::hint(name, specs.iter().map(|spec| spec.name.as_str()));
    ArgumentProblem::Unknown { name: shown(name), hint }
}

/// What a person gave, as a message may show it: cut, and with control characters escaped.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(80)
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(80).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
