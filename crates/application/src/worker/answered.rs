//! For how long the store has answered a worker, without a gap.
//!
//! ```text
//! A   ✓──✓──✓──✗          ✗        ✓──✓──✓──✓──✓──✓──✓     counts B out, if it is still silent
//! B   ✓──✓──✓──✗     ✗         ✗          ✓──✓──✓──✓──✓
//!              └ the store is away ┘└ SILENCE ─────────┘
//! ```
//!
//! While the store was away nobody could say that they live. So whoever hears again of the others, by
//! its first answer, has not learned that they are silent: they may be about to say so, each after a pause
//! of its own. One that has been answered for [`SILENCE`](agents_domain::workers::SILENCE) has left them
//! the time for that.
//!
//! A gap is a pause between two answers that is longer than any should be: the store was away, or may have
//! been while this worker itself was stopped. A shorter one silences nobody for that long.

use std::time::Duration;

use agents_domain::time::BootInstant;
use agents_domain::workers::ROLL_CALL;

/// Longer is a gap; to miss one answer is none.
const GAP: Duration = ROLL_CALL.saturating_mul(2);

/// The answers to the roll calls of one worker.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Answered {
    /// The first since the last gap, and the last.
    stretch: Option<(BootInstant, BootInstant)>,
}

impl Answered {
    /// There was an answer.
    pub(super) fn again(&mut self, now: BootInstant) {
        let since = self.stretch.filter(|(_, last)| now.since(*last) <= GAP);
        self.stretch = Some((since.map_or(now, |(first, _)| first), now));
    }

    /// From the first answer to the last, if that is no gap ago.
    pub(super) fn length(self, now: BootInstant) -> Duration {
        let stretch = self.stretch.filter(|(_, last)| now.since(*last) <= GAP);
        stretch.map_or(Duration::ZERO, |(first, last)| last.since(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_goes_from_the_first_answer_to_the_last_and_begins_anew_after_a_gap() {
        let mut answered = Answered::default();
        let at = |seconds: u64| BootInstant::from_millis(0).plus(Duration::from_secs(seconds));
        assert_eq!(answered.length(at(0)), Duration::ZERO);
        let mut length = |seconds| {
            answered.again(at(seconds));
            answered.length(at(seconds)).as_secs()
        };
        assert_eq!([7, 17, 37, 47].map(&mut length), [0, 10, 30, 40], "late by one is no gap");
        assert_eq!([68, 78].map(&mut length), [0, 10]);
        assert_eq!([98, 99].map(|seconds| answered.length(at(seconds)).as_secs()), [10, 0], "asleep since");
    }
}
