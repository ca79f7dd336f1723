//! The clock since boot, which no nemesis moves, and waits that are no sleep of a test: the commands
//! of plans take time, and so does what the nemesis does.

use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since boot.
pub(crate) fn now() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}

/// Lets time go by: for a signal that nobody gives.
pub(crate) fn pass(time: Duration) {
    let (_nobody, signal) = channel::<()>();
    signal.recv_timeout(time).ok();
}

/// The hidden argument under which this program tells both clocks, to see which of them lies.
pub(crate) const TELL: &str = "__clocks";

/// The moment of boot by the time of day, in milliseconds since the epoch, as this program sees it: nobody
/// lies to it.
#[expect(clippy::disallowed_methods, reason = "the time of day is what is asked for")]
pub(crate) fn boot_in_epoch() -> i64 {
    let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    day.map_or(0, |day| i64::try_from(day.as_millis()).expect("small")) - now()
}

/// The time of day in seconds, and the time since boot in milliseconds.
#[expect(clippy::disallowed_methods, reason = "the time of day is what is asked for")]
pub(crate) fn tell() -> String {
    let day = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{} {}", day.map_or(0, |day| day.as_secs()), now())
}

/// The same, read back.
pub(crate) fn told(text: &str) -> Option<(i64, i64)> {
    let (day, boot) = text.trim().split_once(' ')?;
    Some((day.parse().ok()?, boot.parse().ok()?))
}
