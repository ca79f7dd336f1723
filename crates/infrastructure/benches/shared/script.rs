//! What was recorded of SQLite, as a script for `peer.c`.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::recorder::{Line, Value, lines, parts};

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
        let (sql, values) = parts(text);
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
        for value in values {
            let _ = match value {
                Value::Null => writeln!(self.steps, "n"),
                Value::Bool(truth) => writeln!(self.steps, "i {}", i64::from(truth)),
                Value::Number(number) => writeln!(self.steps, "i {number}"),
                Value::Text(text) => writeln!(self.steps, "t {}\n{text}", text.len()),
                Value::List(_) => panic!("SQLite has no lists"),
            };
        }
    }
}
