//! Identities and jitter: drawn at random, or counted.
//!
//! The only place that draws randomness. ULIDs of one [`SystemIds`] rise strictly, also within a
//! millisecond and when the wall clock steps back, so that events sort as they were made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agents_domain::id::{Ids, Ulid};
use ulid::{Generator, Overflow};

/// Random identities: 48 bits of wall time in milliseconds, then 80 random bits.
#[derive(Debug)]
pub struct SystemIds {
    generator: Mutex<Generator>,
}

impl SystemIds {
    /// A source of its own; order holds within it, uniqueness among all.
    pub const fn new() -> Self {
        Self { generator: Mutex::new(Generator::new()) }
    }
}

impl Default for SystemIds {
    fn default() -> Self {
        Self::new()
    }
}

impl Ids for SystemIds {
    fn ulid(&self) -> Ulid {
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        // The 80 bits of one millisecond used up: go on counting into the next.
        domain(generator.generate().unwrap_or_else(Overflow::commit_overflow_increment))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the id adapter")]
    fn jitter(&self, max: Duration) -> Duration {
        scale(max, ulid::Ulid::generate().random())
    }
}

fn domain(drawn: ulid::Ulid) -> Ulid {
    Ulid::parse(&drawn.to_string()).expect("the ulid crate writes canonical ULIDs")
}

/// `max` times a fraction in [0, 1), of which the low 32 bits of `random` are the digits.
fn scale(max: Duration, random: u128) -> Duration {
    let nanos = max.as_nanos().saturating_mul(random & u128::from(u32::MAX)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Identities that count up from 1, for tests, here and of embedders.
///
/// ```
/// use agents_domain::id::Ids;
/// use agents_infrastructure::ids::CountingIds;
///
/// assert_eq!(CountingIds::default().ulid().as_str(), "00000000000000000000000001");
/// ```
#[derive(Debug, Default)]
pub struct CountingIds {
    drawn: AtomicU64,
}

impl Ids for CountingIds {
    fn ulid(&self) -> Ulid {
        let number = self.drawn.fetch_add(1, Ordering::SeqCst) + 1;
        // Decimal digits are digits of Crockford's base 32 too, and sort alike.
        Ulid::parse(&format!("{number:026}")).expect("26 digits are a ULID")
    }

    /// Always half of `max`.
    fn jitter(&self, max: Duration) -> Duration {
        max / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_rise_within_a_millisecond() {
        let ids = SystemIds::default();
        let drawn: Vec<Ulid> = (0..10_000).map(|_| ids.ulid()).collect();
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        let ids = SystemIds::new();
        let max = Duration::from_millis(20);
        assert!((0..1000).all(|_| ids.jitter(max) < max));
        assert_eq!(ids.jitter(Duration::ZERO), Duration::ZERO);
        assert_eq!(scale(max, u128::from(u32::MAX) / 2 + 1), max / 2);
        assert_eq!(scale(Duration::MAX, u128::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn counted_identities_are_told_apart() {
        let ids = CountingIds::default();
        assert!(ids.ulid() < ids.ulid());
        assert_eq!(ids.jitter(Duration::from_secs(4)), Duration::from_secs(2));
    }
}
