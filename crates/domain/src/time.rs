//! Time as values: the domain never reads a clock.

use std::time::Duration;

use thiserror::Error;

/// A moment on the wall clock: milliseconds since the Unix epoch, UTC. For people; leases are
/// judged on [`BootInstant`] where the store has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved on by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// How long ago `earlier` was, by the wall clock; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        elapsed(self.0, earlier.0)
    }
}

/// A moment on `CLOCK_BOOTTIME`: milliseconds since this boot, running on through suspend.
/// Meaningless across boots; compare only where the boot id is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BootInstant(i64);

impl BootInstant {
    /// From milliseconds since boot.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since boot.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment moved on by `by`; saturates.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(millis(by)))
    }

    /// How long ago `earlier` was; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        elapsed(self.0, earlier.0)
    }
}

fn elapsed(now: i64, earlier: i64) -> Duration {
    Duration::from_millis(u64::try_from(now.saturating_sub(earlier)).unwrap_or(0))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A lease's length out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a lease of {given:?} is out of bounds: it must be between 5s and 3600s")]
pub struct TtlOutOfBounds {
    /// What was asked for.
    pub given: Duration,
}

/// How long a lease lasts without a renewal: 5 s to 3600 s, 300 s by default (`locks.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ttl(Duration);

impl Ttl {
    /// The shortest lease.
    pub const MIN: Duration = Duration::from_secs(5);
    /// The longest lease.
    pub const MAX: Duration = Duration::from_hours(1);

    /// A lease length within the bounds.
    pub fn new(length: Duration) -> Result<Self, TtlOutOfBounds> {
        if (Self::MIN..=Self::MAX).contains(&length) {
            Ok(Self(length))
        } else {
            Err(TtlOutOfBounds { given: length })
        }
    }

    /// The length as a duration.
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self(Duration::from_mins(5))
    }
}

/// Reads time. The only way time enters; a hand-driven one stands in for it in tests.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// Wall time, for people and records.
    fn now(&self) -> Timestamp;
    /// Time since boot, suspend included; what leases and trust are judged on.
    fn boottime(&self) -> BootInstant;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_bounds_are_inclusive() {
        assert!(Ttl::new(Duration::from_secs(5)).is_ok());
        assert!(Ttl::new(Duration::from_hours(1)).is_ok());
        assert!(Ttl::new(Duration::from_millis(4999)).is_err());
        assert!(Ttl::new(Duration::from_millis(3_600_001)).is_err());
        assert_eq!(Ttl::default().as_duration(), Duration::from_mins(5));
    }

    #[test]
    fn instants_saturate() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::MAX).as_millis(), i64::MAX);
        assert_eq!(BootInstant::from_millis(5).since(BootInstant::from_millis(9)), Duration::ZERO);
        assert_eq!(BootInstant::from_millis(9).since(BootInstant::from_millis(5)), Duration::from_millis(4));
        assert_eq!(BootInstant::from_millis(1).plus(Duration::from_secs(1)).as_millis(), 1001);
    }
}
