//! What the program was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::linux::place::On;
use crate::linux::weather;

/// The kinds of faults that befall processes and files; what befalls a server is weather.
const FAULTS: [&str; 7] = ["kill", "stop", "stop-tree", "term", "clock", "full", "rmdir"];
/// The switches of the binary.
pub(crate) const SABOTAGE: [&str; 3] = ["fence", "kill", "marker"];
/// The parts of the program.
const PARTS: [&str; 8] = ["random", "trees", "doctored", "scenes", "t6", "t8", "t8-trees", "machines"];

/// The arguments.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How long faults are injected; `None`: the bounded slice.
    pub(crate) seconds: Option<u64>,
    pub(crate) seed: u64,
    /// How many processes drive plans at once.
    pub(crate) processes: usize,
    /// Empty: all that have a meaning.
    faults: BTreeSet<String>,
    pub(crate) sabotage: Option<String>,
    /// At most so many crash points, by chance; `None`: all, or in the bounded slice few.
    pub(crate) points: Option<usize>,
    /// Which database.
    pub(crate) on: On,
    /// Whether it was asked for; else the bounded slice has both.
    told_on: bool,
    /// How many machines share a server.
    pub(crate) machines: usize,
    /// Only this part.
    pub(crate) only: Option<String>,
    /// Keeps the directory in any case.
    pub(crate) keep: bool,
    /// Whether `cargo test NAME` asks for other tests.
    pub(crate) filtered_out: bool,
}

impl Options {
    /// Reads the arguments; what `cargo test` passes on to every target (`--nocapture`) is ignored.
    pub(crate) fn read(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            seconds: None,
            seed: 20_261_126,
            processes: 6,
            faults: BTreeSet::new(),
            sabotage: None,
            points: None,
            on: On::Sqlite,
            told_on: false,
            machines: 2,
            only: None,
            keep: false,
            filtered_out: false,
        };
        let known = [&FAULTS[..], &weather::KINDS].concat();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--seconds" => options.seconds = Some(number(value()?)?),
                "--seed" => options.seed = number(value()?)?,
                "--processes" => options.processes = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
                "--faults" => options.faults = words(value()?, &known)?,
                "--sabotage" => options.sabotage = Some(word(value()?, &SABOTAGE)?),
                "--points" => options.points = Some(usize::try_from(number(value()?)?).unwrap_or(usize::MAX)),
                "--only" => options.only = Some(word(value()?, &PARTS)?),
                "--on" => {
                    let on = word(value()?, &["sqlite", "postgres"])?;
                    (options.on, options.told_on) =
                        (if on == "sqlite" { On::Sqlite } else { On::Postgres }, true);
                }
                "--machines" => {
                    options.machines = usize::try_from(number(value()?)?).unwrap_or(2).clamp(2, 4);
                }
                "--keep" => options.keep = true,
                // A number belongs to an option that is not ours.
                other if !other.starts_with('-') && other.parse::<u64>().is_err() => {
                    options.filtered_out |= !"torture".contains(other);
                }
                _ => {}
            }
        }
        if options.only.as_deref() == Some("machines") {
            options.on = On::Postgres;
        }
        Ok(options)
    }

    /// Whether faults of that kind are wanted; all are, unless some are named.
    pub(crate) fn faults(&self) -> BTreeSet<String> {
        let all =
            if self.on == On::Postgres { [&FAULTS[..], &weather::KINDS].concat() } else { FAULTS.to_vec() };
        let named = |fault: &&str| self.faults.is_empty() || self.faults.contains(*fault);
        all.into_iter().filter(named).map(str::to_owned).collect()
    }

    /// The same, on a server.
    pub(crate) fn on_postgres(&self) -> Self {
        Self { on: On::Postgres, ..self.clone() }
    }

    /// Whether that part is to run. A run of a given length is the random part alone, and so is one
    /// with a safeguard taken out, unless told otherwise.
    pub(crate) fn wants(&self, part: &str) -> bool {
        match &self.only {
            Some(only) => only == part,
            None if self.seconds.is_some() => part == "random",
            None if self.sabotage.is_some() => part == "scenes",
            // What the slice plays on a server is a part of its own.
            None if part == "postgres" => !self.told_on,
            None if part == "machines" => !self.told_on || self.on == On::Postgres,
            None => true,
        }
    }

    /// How long faults are injected.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(12))
    }

    /// Whether this is the slice that CI runs.
    pub(crate) fn in_slice(&self) -> bool {
        self.only.is_none() && self.seconds.is_none()
    }

    /// Whether everything is to be run, however long it takes.
    pub(crate) fn in_full(&self) -> bool {
        self.only.is_some()
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn word(text: &str, known: &[&str]) -> Result<String, String> {
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}`: one of {}", known.join(", ")))
    }
}

fn words(text: &str, known: &[&str]) -> Result<BTreeSet<String>, String> {
    text.split(',').filter(|name| !name.is_empty()).map(|name| word(name, known)).collect()
}
