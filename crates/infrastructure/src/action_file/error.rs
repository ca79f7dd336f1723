//! What is wrong with an action file, ready to print.
//!
//! Guarantees that every message is bounded in size and free of control characters, whatever the
//! file holds.

use std::fmt;

use thiserror::Error;

use super::located::Position;
use super::yaml::Fault;

/// Characters of a source line that are shown.
const SHOWN: usize = 100;
/// Characters of a message that are shown; the rest is somebody's megabyte.
const MESSAGE: usize = 500;
/// Further mistakes that are shown: as many as a person reads.
const FURTHER: usize = 20;

/// Why an action file was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ActionFileError {
    /// It could not be read at all.
    #[error("{origin}: cannot be read: {reason}")]
    Unreadable {
        /// The path.
        origin: String,
        /// The system's word.
        reason: String,
    },
    /// It is larger than any action needs to be.
    #[error("{origin}: the file is larger than {limit} bytes")]
    TooLarge {
        /// The path.
        origin: String,
        /// The bound.
        limit: usize,
    },
    /// It is not YAML, not an action, or breaks a rule.
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
}

/// A mistake and its place.
///
/// Shows as `file:line:column: message`, then the source line, then a caret under the column; what
/// else is wrong follows, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The path, or what stands for it.
    pub origin: String,
    /// Where, if that is known.
    pub at: Option<Position>,
    /// What is wrong and, where there is one, the remedy.
    pub message: String,
    /// The part of the line around the mistake, and the caret's offset in it.
    excerpt: Option<(String, usize)>,
    /// What else is wrong, with places.
    also: Vec<String>,
    /// How many more there are.
    more: usize,
}

impl Diagnostic {
    /// A mistake in `text`, which came from `origin`.
    pub(super) fn new(origin: &str, text: &str, fault: &Fault) -> Self {
        let excerpt = fault.at.and_then(|at| excerpt(text.lines().nth(at.line - 1)?, at.column - 1));
        let also = fault.also.iter().take(FURTHER).map(|fault| placed(origin, fault));
        Self {
            origin: origin.to_owned(),
            at: fault.at,
            message: printable(&fault.message, MESSAGE),
            excerpt,
            also: also.collect(),
            more: fault.also.len().saturating_sub(FURTHER),
        }
    }
}

/// `file:line:column: message`
fn placed(origin: &str, fault: &Fault) -> String {
    let message = printable(&fault.message, MESSAGE);
    match fault.at {
        Some(Position { line, column }) => format!("{origin}:{line}:{column}: {message}"),
        None => format!("{origin}: {message}"),
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Position { line, column }) = self.at else {
            return write!(f, "{}: {}", self.origin, self.message);
        };
        write!(f, "{}:{line}:{column}: {}", self.origin, self.message)?;
        if let Some((source, caret)) = &self.excerpt {
            let margin = line.to_string().len();
            write!(f, "\n{:margin$} |\n{line} | {source}\n{:margin$} | {:caret$}^", "", "", "")?;
        }
        self.also.iter().try_for_each(|line| write!(f, "\n{line}"))?;
        if self.more == 0 { Ok(()) } else { write!(f, "\n… and {} more", self.more) }
    }
}

/// The window of a line that holds the column, and the column's offset in the window.
fn excerpt(line: &str, column: usize) -> Option<(String, usize)> {
    let start = column.saturating_sub(SHOWN - 20);
    let window: String = line.chars().skip(start).take(SHOWN).map(visible).collect();
    (!window.trim().is_empty()).then(|| (window.trim_end().to_owned(), column - start))
}

/// Everything but control characters and line breaks, so that a file cannot drive a terminal.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn printable(text: &str, limit: usize) -> String {
    let mut shown: String = text.chars().take(limit).map(visible).collect();
    if text.chars().nth(limit).is_some() {
        shown.push('…');
    }
    shown
}
