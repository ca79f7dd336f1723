//! What the program was asked for.

use std::collections::BTreeSet;
use std::time::Duration;

/// The kinds of faults.
pub(crate) const FAULTS: [&str; 7] = ["kill", "stop", "stop-tree", "term", "clock", "full", "rmdir"];
/// The switches of the binary.
pub(crate) const SABOTAGE: [&str; 3] = ["fence", "kill", "marker"];
/// The parts of the program.
const PARTS: [&str; 7] = ["random", "trees", "doctored", "scenes", "t6", "t8", "t8-trees"];

/// The arguments.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How long faults are injected; `None`: the bounded slice.
    pub(crate) seconds: Option<u64>,
    pub(crate) seed: u64,
    /// How many processes drive plans at once.
    pub(crate) processes: usize,
    pub(crate) faults: BTreeSet<String>,
    pub(crate) sabotage: Option<String>,
    /// At most so many crash points, by chance; `None`: all, or in the bounded slice few.
    pub(crate) points: Option<usize>,
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
            faults: FAULTS.map(str::to_owned).into(),
            sabotage: None,
            points: None,
            only: None,
            keep: false,
            filtered_out: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--seconds" => options.seconds = Some(number(value()?)?),
                "--seed" => options.seed = number(value()?)?,
                "--processes" => options.processes = usize::try_from(number(value()?)?).unwrap_or(1).max(1),
                "--faults" => options.faults = words(value()?, &FAULTS)?,
                "--sabotage" => options.sabotage = Some(word(value()?, &SABOTAGE)?),
                "--points" => options.points = Some(usize::try_from(number(value()?)?).unwrap_or(usize::MAX)),
                "--only" => options.only = Some(word(value()?, &PARTS)?),
                "--keep" => options.keep = true,
                // A number belongs to an option that is not ours.
                other if !other.starts_with('-') && other.parse::<u64>().is_err() => {
                    options.filtered_out |= !"torture".contains(other);
                }
                _ => {}
            }
        }
        Ok(options)
    }

    /// Whether that part is to run. A run of a given length is the random part alone, and so is one
    /// with a safeguard taken out, unless told otherwise.
    pub(crate) fn wants(&self, part: &str) -> bool {
        match &self.only {
            Some(only) => only == part,
            None if self.seconds.is_some() => part == "random",
            None if self.sabotage.is_some() => part == "scenes",
            None => true,
        }
    }

    /// How long faults are injected.
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.unwrap_or(12))
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
