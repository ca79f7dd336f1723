//! The peer on PostgreSQL: the statements of two transitions, there and back, as a script for pgbench.
//!
//! A value is what it was in the recording, bound as a parameter of the same type. What the recording
//! saw grow by the same step each time (version, token, number of the event) is a variable that grows by
//! it; what must be new (the id of an event) is made of a number that is. Times stand still. So pgbench
//! goes on in the recorded place where the recording ended, and afterwards [`Peer::check`] asks the plan
//! itself whether it has moved as often.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::database::{Kind, Place};
use crate::recorder::{self, Line, Value};
use crate::walk::Walk;

/// Transitions there and back that are recorded; the first of them set up connections and the like.
const RECORDED: (usize, usize) = (8, 3);
/// The same, in each run of pgbench before it counts: statements are prepared and planned then.
const COLD: usize = 10;
/// The length of an identity.
const ULID: usize = 26;

/// The version of pgbench; `None`: there is none.
pub(crate) fn version() -> Option<String> {
    let output = Command::new("pgbench").arg("--version").output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// pgbench, where the recording ended.
pub(crate) struct Peer {
    walk: Walk,
    directory: TempDir,
    script: Script,
    url: String,
    /// How often it has gone there and back.
    done: usize,
    before: u64,
    _place: Place,
}

impl Peer {
    /// Records some transitions in a place of its own.
    pub(crate) fn record() -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
        let place = Kind::Postgres.fresh();
        recorder::record();
        let mut walk = Walk::new(&place.name(), true);
        for _ in 0..2 * RECORDED.0 {
            recorder::transition();
            walk.step();
        }
        recorder::stop();
        let (cycles, settings) = recorded();
        let url = format!("{}{settings}", place.name());
        let before = walk.version();
        let peer = Self { walk, directory, script: Script::of(&cycles), url, done: 0, before, _place: place };
        fs::write(peer.file(), &peer.script.text).expect("written");
        peer
    }

    /// What pgbench is told.
    pub(crate) fn script(&self) -> &str {
        &self.script.text
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("script")
    }

    /// The times of so many transitions, in microseconds: half of there and back.
    pub(crate) fn block(&mut self, transitions: usize) -> Vec<f64> {
        let (cycles, log) = (COLD + transitions / 2, self.directory.path().join("log"));
        let mut pgbench = Command::new("pgbench");
        pgbench.args(["-M", "prepared", "-n", "-c", "1", "-t", &cycles.to_string(), "-l", "--log-prefix"]);
        pgbench.arg(&log).arg("-f").arg(self.file());
        for (name, value) in self.script.variables(self.done) {
            pgbench.args(["-D", &format!("{name}={value}")]);
        }
        let ended = pgbench.arg(&self.url).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let ended = ended.expect("pgbench is there");
        assert!(ended.status.success(), "pgbench: {}", String::from_utf8_lossy(&ended.stderr));
        self.done += cycles;
        let logs = fs::read_dir(self.directory.path()).expect("our directory").flatten();
        let log = logs.map(|file| file.path()).find(|path| path.extension().is_some()).expect("a log");
        let times = fs::read_to_string(&log).expect("read");
        fs::remove_file(log).expect("removed");
        // Client, number, time, …
        let time = |line: &str| line.split(' ').nth(2).and_then(|time| time.parse::<f64>().ok());
        times.lines().skip(COLD).map(|line| time(line).expect("a time") / 2.0).collect()
    }

    /// Whether the plan has moved as often as pgbench has moved it.
    pub(crate) fn check(&self) {
        let moved = self.walk.version() - self.before;
        assert_eq!(usize::try_from(moved).ok(), Some(2 * self.done), "pgbench did something else");
    }
}

type Statement = (String, Vec<Value>);

/// The statements of each time there and back that counts, and the settings of their connections, as the
/// end of a URL.
fn recorded() -> (Vec<Vec<Statement>>, String) {
    recorder::lines(|lines| {
        let first = lines.iter().position(|line| matches!(line, Line::Begins)).expect("a transition");
        let (before, after) = lines.split_at(first);
        let (mut transitions, mut parties) = (Vec::new(), BTreeSet::new());
        for line in after {
            match line {
                Line::Begins => transitions.push(Vec::new()),
                Line::Statement(connection, text) => {
                    parties.insert(*connection);
                    let (sql, values) = recorder::parts(text);
                    transitions.last_mut().expect("one began").push((sql.replace('\n', " "), values));
                }
            }
        }
        let texts = before.iter().filter_map(|line| match line {
            Line::Statement(connection, text) if parties.contains(connection) => Some(text),
            _ => None,
        });
        let settings: Vec<String> = texts.flat_map(|text| text.split(';').filter_map(setting)).collect();
        let cycles = transitions.chunks(2).map(<[Vec<Statement>]>::concat).skip(RECORDED.1).collect();
        (cycles, format!("?options={}", settings.join("%20")))
    })
}

/// `SET name = value` as an option of a connection.
fn setting(statement: &str) -> Option<String> {
    let (name, value) = statement.trim().strip_prefix("SET ")?.split_once('=')?;
    let value = value.trim().trim_matches('\'').replace(' ', "%5C%20").replace('"', "%22");
    Some(format!("-c{}%3D{value}", name.trim()))
}

/// A script, and the variables it begins with.
#[derive(Default)]
struct Script {
    text: String,
    constants: Vec<String>,
    /// The last recorded number, and by how much it grows each time.
    growing: Vec<(i64, i64)>,
}

impl Script {
    fn of(cycles: &[Vec<Statement>]) -> Self {
        let (mut script, mut statements) = (Self::default(), String::new());
        for (at, (sql, _)) in cycles[0].iter().enumerate() {
            let alike = |cycle: &Vec<Statement>| cycle.len() == cycles[0].len() && cycle[at].0 == *sql;
            assert!(cycles.iter().all(alike), "transitions are not alike: {sql}");
            assert!(!sql.trim_end_matches([' ', ';']).contains(';'), "several statements in one: {sql}");
            let values = (0..cycles[0][at].1.len()).map(|value| {
                let seen: Vec<&Value> = cycles.iter().map(|cycle| &cycle[at].1[value]).collect();
                script.parameter(&seen, third_of_unnest(sql, value + 1))
            });
            let values: Vec<String> = values.collect();
            let _ = writeln!(statements, "{};", put(sql.trim_end_matches([' ', ';']), &values));
        }
        for (number, (_, step)) in script.growing.iter().enumerate() {
            let _ = writeln!(script.text, "\\set v{number} :v{number} + {step}");
        }
        script.text += &statements;
        script
    }

    /// With what it begins after so many times there and back.
    fn variables(&self, done: usize) -> impl Iterator<Item = (String, String)> {
        let done = i64::try_from(done).expect("few");
        let growing = self.growing.iter().map(move |(last, step)| (last + step * done).to_string());
        let growing = growing.enumerate().map(|(at, value)| (format!("v{at}"), value));
        let constants = self.constants.iter().cloned().enumerate();
        constants.map(|(at, value)| (format!("c{at}"), value)).chain(growing)
    }

    /// A parameter that is in the script what it was in the recording.
    fn parameter(&mut self, seen: &[&Value], numbers: bool) -> String {
        match seen[seen.len() - 1] {
            Value::Null => "NULL".to_owned(),
            Value::Bool(truth) => self.constant(truth.to_string(), "boolean"),
            Value::Number(last) => match step(seen) {
                Some(step) => self.grows(*last, step, "bigint"),
                None => self.constant(last.to_string(), "bigint"),
            },
            Value::Text(last) if last.len() == ULID && *seen[0] != Value::Text(last.clone()) => {
                // Of all that is new, no two begin at the same number.
                let first = i64::try_from(self.growing.len()).expect("few") * 1_000_000_000_000;
                format!("lpad({}, {ULID}, '0')", self.grows(first, 1, "text"))
            }
            Value::Text(last) => self.constant(last.clone(), "text"),
            Value::List(last) => self.list(last, seen, numbers),
        }
    }

    fn list(&mut self, last: &[Value], seen: &[&Value], numbers: bool) -> String {
        let of = |list: &Value, at: usize| match list {
            Value::List(values) => values.get(at).cloned().expect("lists are of one length"),
            _ => panic!("a list, and then none"),
        };
        let elements = (0..last.len()).map(|at| {
            let seen: Vec<Value> = seen.iter().map(|list| of(list, at)).collect();
            self.parameter(&seen.iter().collect::<Vec<_>>(), false)
        });
        let elements = elements.collect::<Vec<_>>().join(", ");
        let numbers = last.first().map_or(numbers, |first| matches!(first, Value::Number(_)));
        format!("ARRAY[{elements}]::{}[]", if numbers { "bigint" } else { "text" })
    }

    fn constant(&mut self, value: String, kind: &str) -> String {
        if value.is_empty() {
            // pgbench takes no such variable.
            return format!("''::{kind}");
        }
        self.constants.push(value);
        format!(":c{}::{kind}", self.constants.len() - 1)
    }

    fn grows(&mut self, last: i64, step: i64, kind: &str) -> String {
        self.growing.push((last, step));
        format!(":v{}::{kind}", self.growing.len() - 1)
    }
}

/// By how much a number grows each time, if it does and always by as much.
fn step(seen: &[&Value]) -> Option<i64> {
    let numbers = seen.iter().filter_map(|value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    });
    let numbers: Vec<i64> = numbers.collect();
    let steps: BTreeSet<i64> = numbers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let same = numbers.len() == seen.len() && steps.len() == 1;
    steps.first().copied().filter(|step| same && *step != 0)
}

/// Whether a parameter is the third list of terms (types, ids, tokens): of an empty list the recording
/// does not say that it is one of numbers.
fn third_of_unnest(sql: &str, number: usize) -> bool {
    number > 2 && sql.contains(&format!("unnest(${}, ${}, ${number}", number - 2, number - 1))
}

/// The statement with its parameters in place.
fn put(sql: &str, values: &[String]) -> String {
    let mut pieces = sql.split('$');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let number: usize = piece[..end].parse().expect("the number of a parameter");
        text += &values[number - 1];
        text += &piece[end..];
    }
    text
}
