//! What all benchmarks share: a clock, and figures that say how sure they are.
//!
//! Two things are compared by doing them in turn, in short blocks: A B A B …, so that whatever
//! else the machine does meets both. Each round yields a ratio of medians; quoted are the median
//! of these ratios, the least and the greatest. A benchmark never passes or fails.

use std::fmt::{self, Display, Formatter};
use std::io::{self, Write as _};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds that `work` takes, on the monotonic clock.
pub(crate) fn nanoseconds(work: impl FnOnce()) -> u64 {
    let now = || {
        let time = clock_gettime(ClockId::Monotonic);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    let began = now();
    work();
    u64::try_from(now() - began).unwrap_or_default()
}

/// Writes a line of the report.
pub(crate) fn say(line: &str) {
    // A closed stdout is nobody reading.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Whether `cargo bench` runs this, and not `cargo test --all-targets`, which only builds.
pub(crate) fn wanted() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Median, least and greatest of some numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// Of at least one number.
    pub(crate) fn of(mut numbers: Vec<f64>) -> Self {
        numbers.sort_by(f64::total_cmp);
        let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
        Self { median: f64::midpoint(low, high), least: numbers[0], greatest: numbers[numbers.len() - 1] }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.2}  (min {:.2}, max {:.2})", self.median, self.least, self.greatest)
    }
}

/// Times of two things that were done in turn, in microseconds, round by round.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    plain: Vec<Vec<f64>>,
    ours: Vec<Vec<f64>>,
}

impl Turns {
    /// Takes that many rounds of that many times each; `plain` is what `ours` is compared with.
    pub(crate) fn take(rounds: usize, block: usize, mut plain: impl FnMut(), mut ours: impl FnMut()) -> Self {
        let mut turns = Self::default();
        for _ in 0..rounds {
            turns.round(times(block, &mut plain), times(block, &mut ours));
        }
        turns
    }

    /// Adds one round that was timed elsewhere, in microseconds.
    pub(crate) fn round(&mut self, plain: Vec<f64>, ours: Vec<f64>) {
        self.plain.push(plain);
        self.ours.push(ours);
    }

    /// Of the thing it is compared with, and of ours, in microseconds.
    pub(crate) fn absolute(&self) -> (Spread, Spread) {
        (Spread::of(self.plain.concat()), Spread::of(self.ours.concat()))
    }

    /// Ours ÷ the other, round by round.
    pub(crate) fn ratio(&self) -> Spread {
        let median = |times: &Vec<f64>| Spread::of(times.clone()).median;
        Spread::of(
            self.plain.iter().zip(&self.ours).map(|(plain, ours)| median(ours) / median(plain)).collect(),
        )
    }
}

/// So many times of `work`, in microseconds.
#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
pub(crate) fn times(block: usize, work: &mut impl FnMut()) -> Vec<f64> {
    (0..block).map(|_| nanoseconds(&mut *work) as f64 / 1_000.0).collect()
}
