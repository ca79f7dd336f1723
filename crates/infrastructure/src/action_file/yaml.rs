//! From text to [`Document`], within budgets, and the parser's errors in the words of this file.
//!
//! The budgets hold for what aliases expand to, not only for what is written: an alias bomb ends
//! at the same bound as a long file. They are generous for people and small for machines; no
//! action comes near them.

use serde_saphyr::{Error, Options};

use agents_application::suggest;

use super::document::Document;
use super::located::Position;

/// Deepest nesting; the format itself needs six levels.
const MAX_DEPTH: usize = 16;
/// Scalars, lists and mappings, aliases expanded.
const MAX_NODES: usize = 40_000;
/// Bytes of all scalars, aliases expanded.
const MAX_SCALAR_BYTES: usize = 2 * 1024 * 1024;
/// Anchors, and uses of them.
const MAX_ALIASES: usize = 1_000;

/// What is wrong, in words, and where.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Option<Position>,
    pub(super) message: String,
    /// What else is wrong, further down.
    pub(super) also: Vec<Fault>,
}

impl Fault {
    pub(super) fn new(at: Option<Position>, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), also: Vec::new() }
    }
}

/// Reads one document.
pub(super) fn parse(text: &str) -> Result<Document, Fault> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let error = error.without_snippet();
        Fault::new(error.location().and_then(Position::of), in_words(error))
    })
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_recorded_anchor_events: MAX_NODES,
            max_recorded_anchor_bytes: MAX_SCALAR_BYTES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 2 * MAX_NODES,
            max_replay_stack_depth: MAX_DEPTH,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

fn in_words(error: &Error) -> String {
    match error {
        Error::SerdeUnknownField { field, expected, .. } => unknown("key", field, expected),
        Error::SerdeUnknownVariant { variant, expected, .. } => unknown("value", variant, expected),
        Error::SerdeMissingField { field, .. } => format!("the key `{field}` is missing here"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("expected {expected}, found {unexpected}")
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is here twice"),
        Error::MultipleDocuments { .. } => "a file holds one action: one YAML document".to_owned(),
        Error::Eof { .. } => "the file ends before the action does".to_owned(),
        Error::Unexpected { expected, .. } => format!("expected {}", shape(expected)),
        Error::InvalidScalar { ty, .. } => format!("expected {}", number(ty)),
        Error::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => "expected one word".to_owned(),
        Error::AliasError { error, .. } => in_words(error),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            format!("too large or too deeply nested for an action ({})", plain(error))
        }
        _ => plain(error),
    }
}

/// The parser's own words for people, without place and snippet.
fn plain(error: &Error) -> String {
    serde_saphyr::MessageFormatter::format_message(&serde_saphyr::UserMessageFormatter, error).into_owned()
}

/// What a person calls the parser's events.
fn shape(expected: &'static str) -> &'static str {
    match expected {
        "sequence start" => "a list, such as [cargo, test]",
        "mapping start" => "keys with values",
        "string scalar" => "a text",
        other => other,
    }
}

fn number(ty: &'static str) -> &'static str {
    match ty {
        "i64" => "an integer",
        "floating point" => "a number",
        other => other,
    }
}

pub(super) fn unknown(what: &str, word: &str, expected: &[&'static str]) -> String {
    let shown: String = word.chars().take(80).collect();
    let hint = match suggest::hint(word, expected.iter().copied()) {
        hint if hint.is_empty() && !expected.is_empty() => format!("; known here: {}", expected.join(", ")),
        hint => hint,
    };
    format!("unknown {what} `{shown}`{hint}")
}
