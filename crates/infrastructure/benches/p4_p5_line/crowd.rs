//! Workers as processes of their own, and what they wrote down.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use agents_domain::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

use crate::database::{Kind, Store};
use crate::worker::{self, project};

/// Time for all workers to start before it counts.
const HEAD_START: Duration = Duration::from_secs(2);

/// What the workers do.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// Take one lock in line, hold it so long, let go.
    Line { hold: Duration },
    /// Write through the gate.
    Gate,
    /// Take etcd's lock, let go.
    Etcd { address: String },
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { hold } => write!(f, "line:{}", hold.as_millis()),
            Self::Gate => f.write_str("gate:"),
            Self::Etcd { address } => write!(f, "etcd:{address}"),
        }
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once(':').ok_or(())? {
            ("line", hold) => Ok(Self::Line { hold: Duration::from_millis(hold.parse().map_err(|_| ())?) }),
            ("gate", _) => Ok(Self::Gate),
            ("etcd", address) => Ok(Self::Etcd { address: address.to_owned() }),
            _ => Err(()),
        }
    }
}

/// One grant, in nanoseconds on the clock that all processes share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stint {
    pub(crate) asked: i64,
    pub(crate) granted: i64,
    /// Just before it was given back.
    pub(crate) leaving: i64,
}

impl fmt::Display for Stint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.asked, self.granted, self.leaving)
    }
}

impl FromStr for Stint {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let numbers: Vec<i64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let &[asked, granted, leaving] = numbers.as_slice() else { return Err(()) };
        Ok(Self { asked, granted, leaving })
    }
}

/// Now.
pub(crate) fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Some workers on one fresh database.
pub(crate) struct Crowd(Vec<Child>);

impl Crowd {
    /// Lets them work for so long; the grants of each that were asked for and made in that time.
    pub(crate) fn run(kind: Kind, task: &Task, workers: usize, length: Duration) -> Vec<Vec<Stint>> {
        let place = kind.fresh();
        prepare(&place.name(), workers);
        let begin = now() + nanoseconds(HEAD_START);
        let end = begin + nanoseconds(length);
        let start = |number| start(task, &place.name(), number, begin, end);
        let mut crowd = Self((0..workers).map(start).collect());
        let read = |child: &mut Child| {
            let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let stints = lines.map(|line| line.expect("a line").parse().expect("a stint"));
            let stints = stints.filter(|stint: &Stint| stint.granted <= end).collect();
            assert!(child.wait().expect("our child").success(), "a worker failed");
            stints
        };
        crowd.0.iter_mut().map(read).collect()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// A database with a project for all, and one for each.
fn prepare(place: &str, workers: usize) {
    let store = Store::open(place);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for number in 0..=workers {
        let project = project(number);
        runtime.block_on(store.projects().add(&project, Timestamp::default())).expect("a new project");
    }
}

fn start(task: &Task, place: &str, number: usize, begin: i64, end: i64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args([worker::FLAG, &task.to_string(), place])
        .args([(number + 1).to_string(), begin.to_string(), end.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a worker starts")
}
