//! What a program sends to SQLite, recorded as it goes through Diesel, as a script for `peer.c`.
//!
//! Every connection that is opened while the recorder is in place reports its statements, with the
//! values bound to them. Those of the heartbeat thread are left out: they belong to no transition.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};

/// The thread whose statements are nobody's transition.
const HEARTBEAT: &str = "heartbeat";

static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

enum Line {
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

fn lines<T>(work: impl FnOnce(&mut Vec<Line>) -> T) -> T {
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

/// The script of all transitions so far. What came before the first one is the settings of the
/// connections that take part, and nothing else.
pub(crate) fn script() -> (String, String) {
    lines(|lines| {
        let first = lines.iter().position(|line| matches!(line, Line::Begins)).expect("a transition");
        let takes_part = |number| {
            let is = |line: &Line| matches!(line, Line::Statement(other, _) if other == number);
            lines[first..].iter().any(is)
        };
        let mut script = Script::default();
        for (at, line) in lines.iter().enumerate() {
            match line {
                Line::Begins => script.steps.push_str("T\n"),
                Line::Statement(number, text) if at >= first => script.add(*number, text),
                Line::Statement(number, text) if text.starts_with("PRAGMA") && takes_part(number) => {
                    script.add(*number, text);
                }
                Line::Statement(..) => {}
            }
        }
        (script.statements + &script.steps, script.shown)
    })
}

#[derive(Default)]
struct Script {
    /// By their text.
    numbers: HashMap<String, usize>,
    connections: HashMap<usize, usize>,
    statements: String,
    steps: String,
    /// For people: each statement once.
    shown: String,
}

impl Script {
    fn add(&mut self, connection: usize, text: &str) {
        let (sql, values) = text.split_once(" -- binds: ").map_or((text, None), |(sql, v)| (sql, Some(v)));
        let next = self.numbers.len();
        let number = *self.numbers.entry(sql.to_owned()).or_insert_with(|| {
            let _ = writeln!(self.statements, "S {}", sql.replace('\n', " "));
            let _ = writeln!(self.shown, "{sql}");
            next
        });
        let next = self.connections.len();
        let connection = *self.connections.entry(connection).or_insert(next);
        // Settings are several statements in one; SQLite prepares the first only.
        let kind = if sql.starts_with("PRAGMA") { 'X' } else { 'R' };
        let _ = writeln!(self.steps, "{kind} {connection} {number}");
        for value in values.map(parse).unwrap_or_default() {
            let _ = match value {
                Value::Null => writeln!(self.steps, "n"),
                Value::Number(number) => writeln!(self.steps, "i {number}"),
                Value::Text(text) => writeln!(self.steps, "t {}\n{text}", text.len()),
            };
        }
    }
}

enum Value {
    Null,
    Number(i64),
    Text(String),
}

/// The values of `[1, Some("a"), None, true]`.
fn parse(list: &str) -> Vec<Value> {
    let mut rest = list.trim().strip_prefix('[').expect("a list");
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',', ')']);
        rest = rest.strip_prefix("Some(").unwrap_or(rest);
        if rest.starts_with(']') {
            return values;
        }
        if let Some(text) = rest.strip_prefix('"') {
            let (value, after) = quoted(text);
            values.push(Value::Text(value));
            rest = after;
            continue;
        }
        let end = rest.find([',', ')', ']']).expect("the list ends");
        values.push(match &rest[..end] {
            "None" => Value::Null,
            "true" => Value::Number(1),
            "false" => Value::Number(0),
            number => Value::Number(number.parse().unwrap_or_else(|_| panic!("what is {number}?"))),
        });
        rest = &rest[end..];
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
