//! What a program sends to its database, recorded as it goes through Diesel.
//!
//! Every connection that is opened while the recorder is in place reports its statements, with the
//! values bound to them. Those of the heartbeat thread are left out: they belong to no transition.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

/// The thread whose statements are nobody's transition.
const HEARTBEAT: &str = "heartbeat";

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// What was recorded, in order.
pub(crate) enum Line {
    /// A transition begins.
    Begins,
    /// A statement on that connection, with its values, as Diesel shows them.
    Statement(usize, String),
}

/// One connection, by its number.
struct Recorder(usize);

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && std::thread::current().name() != Some(HEARTBEAT)
        {
            lines(|lines| lines.push(Line::Statement(self.0, query.to_string())));
        }
    }
}

/// All that was recorded so far.
pub(crate) fn lines<T>(work: impl FnOnce(&mut Vec<Line>) -> T) -> T {
    work(&mut LINES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// From now on new connections report what they are told.
pub(crate) fn record() {
    let recorder = || -> Option<Box<dyn Instrumentation>> {
        Some(Box::new(Recorder(CONNECTIONS.fetch_add(1, Ordering::Relaxed))))
    };
    set_default_instrumentation(recorder).expect("nobody else sets it");
}

/// New connections report nothing any more.
pub(crate) fn stop() {
    set_default_instrumentation(|| None).expect("nobody else sets it");
}

/// A transition begins.
pub(crate) fn transition() {
    lines(|lines| lines.push(Line::Begins));
}

/// A statement, and the values bound to it.
pub(crate) fn parts(text: &str) -> (&str, Vec<Value>) {
    let Some((sql, values)) = text.split_once(" -- binds: ") else { return (text, Vec::new()) };
    match value(values.trim()) {
        (Value::List(values), "") => (sql, values),
        _ => panic!("no list of values: {values}"),
    }
}

/// A value that was bound, as Diesel shows it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(i64),
    Text(String),
    List(Vec<Value>),
}

/// The value at the beginning of `[1, Some("a"), None, true, ["b"]]` and the like, and what follows.
fn value(text: &str) -> (Value, &str) {
    if let Some(inner) = text.strip_prefix("Some(") {
        let (value, rest) = value(inner);
        return (value, rest.strip_prefix(')').expect("a closed bracket"));
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (value, rest) = quoted(rest);
        return (Value::Text(value), rest);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return list(rest);
    }
    let (word, rest) = text.split_at(text.find([',', ')', ']']).unwrap_or(text.len()));
    let value = match word {
        "None" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number => Value::Number(number.parse().unwrap_or_else(|_| panic!("what is {number}?"))),
    };
    (value, rest)
}

fn list(mut rest: &str) -> (Value, &str) {
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix(']') {
            return (Value::List(values), rest);
        }
        let (next, after) = value(rest);
        values.push(next);
        rest = after;
    }
}

/// A text up to its closing quote, and what follows.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\' | '\'')) => value.push(c),
                other => panic!("an escape that is not expected: {other:?}"),
            },
            c => value.push(c),
        }
    }
    panic!("a quote is left open: {text}")
}
