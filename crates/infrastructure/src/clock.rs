//! Time: the system's clocks, and one moved by hand.
//!
//! The only readers of time apart from the timers of the runtime and of the process guard. Wall
//! time is for people and records and may jump; boot time never goes back while this boot lasts.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agents_domain::time::{BootInstant, Clock, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Linux: `CLOCK_BOOTTIME`, which runs on through suspend.
#[cfg(target_os = "linux")]
const BOOT_CLOCK: ClockId = ClockId::Boottime;
/// Elsewhere the monotonic clock; on macOS it, too, runs on through sleep.
#[cfg(not(target_os = "linux"))]
const BOOT_CLOCK: ClockId = ClockId::Monotonic;

/// The clocks of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock adapter")]
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(since_epoch(SystemTime::now()))
    }

    fn boottime(&self) -> BootInstant {
        let time = clock_gettime(BOOT_CLOCK);
        BootInstant::from_millis(time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000))
    }
}

/// Milliseconds since the epoch; negative for a wall clock set before it.
fn since_epoch(time: SystemTime) -> i64 {
    let millis = |distance: Duration| i64::try_from(distance.as_millis()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

/// A clock that stands still until it is moved: for tests, here and of embedders.
///
/// ```
/// use std::time::Duration;
/// use agents_domain::time::{Clock, Timestamp};
/// use agents_infrastructure::clock::HandClock;
///
/// let clock = HandClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.now().as_millis(), 3_000);
/// assert_eq!(clock.boottime().as_millis(), 2_000);
/// ```
#[derive(Debug, Default)]
pub struct HandClock {
    wall: AtomicI64,
    boot: AtomicI64,
}

impl HandClock {
    /// A clock at this wall time, freshly booted.
    pub const fn new(wall: Timestamp) -> Self {
        Self { wall: AtomicI64::new(wall.as_millis()), boot: AtomicI64::new(0) }
    }

    /// Lets time pass, on both clocks; saturates.
    pub fn advance(&self, by: Duration) {
        self.set_wall(self.now().plus(by));
        self.set_boottime(self.boottime().plus(by));
    }

    /// Sets wall time alone, as an administrator might, backwards too.
    pub fn set_wall(&self, to: Timestamp) {
        self.wall.store(to.as_millis(), Ordering::SeqCst);
    }

    /// Sets boot time alone; going back stands for a reboot.
    pub fn set_boottime(&self, to: BootInstant) {
        self.boot.store(to.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }

    fn boottime(&self) -> BootInstant {
        BootInstant::from_millis(self.boot.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_never_goes_back() {
        let clock = SystemClock;
        let first = clock.boottime();
        assert!(clock.boottime() >= first);
        assert!(first.as_millis() > 0);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "compared with what is under test")]
    fn wall_time_is_the_systems() {
        let before = since_epoch(SystemTime::now());
        let read = SystemClock.now().as_millis();
        assert!((before..=before + 60_000).contains(&read), "{read} is not near {before}");
    }

    #[test]
    fn a_wall_clock_before_the_epoch_is_negative() {
        assert_eq!(since_epoch(UNIX_EPOCH - Duration::from_millis(7)), -7);
    }

    #[test]
    fn the_two_clocks_of_a_hand_clock_can_part() {
        let clock = HandClock::default();
        clock.set_boottime(BootInstant::from_millis(50));
        clock.set_wall(Timestamp::from_millis(-9));
        assert_eq!((clock.now().as_millis(), clock.boottime().as_millis()), (-9, 50));
    }
}
