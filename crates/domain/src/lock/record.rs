//! The pure lock record: the one place that decides whether a lock is granted.
//!
//! Every adapter is tested against it, step by step, over random histories. `now` is whatever
//! monotonic line the store lives on (SQLite: `CLOCK_BOOTTIME`; memory: the clock handed in;
//! PostgreSQL: the server's clock). Only differences on that line are ever looked at.
//!
//! ```text
//!            acquire(a)            acquire(a): same token, later end
//!   free ───────────────► held(a, token+1) ──┐
//!    ▲                        │  ▲           │
//!    │ release, evict         │  └───────────┘
//!    └────────────────────────┤
//!                             │ expired (and not spared) or proven dead: acquire(b)
//!                             ▼
//!                       held(b, token+2)
//! ```

use std::time::Duration;

use crate::id::OwnerId;
use crate::lock::FencingToken;
use crate::time::BootInstant;

/// Who holds a lock, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The holder.
    pub owner: OwnerId,
    /// When the term ends unless renewed. Held while `now < expires`.
    pub expires: BootInstant,
}

/// The state of one lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockRecord {
    token: FencingToken,
    tenure: Option<Tenure>,
}

/// A lock that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The record afterwards.
    pub record: LockRecord,
    /// The token of the grant.
    pub token: FencingToken,
    /// Whether the same owner held it before.
    pub reentrant: bool,
}

/// A lock that somebody else holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occupied {
    /// By whom, until when.
    pub tenure: Tenure,
    /// At which token.
    pub token: FencingToken,
}

/// For how long a holder is respected by another who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Respect {
    /// No longer: it is dead beyond doubt.
    NoLonger,
    /// Until its term is over.
    UntilItsEnd,
    /// Beyond that: it is spared, so that whoever asks can find out whether it lives.
    BeyondItsEnd,
}

impl Respect {
    fn keeps(self, tenure: Tenure, now: BootInstant) -> bool {
        match self {
            Self::NoLonger => false,
            Self::UntilItsEnd => now < tenure.expires,
            Self::BeyondItsEnd => true,
        }
    }
}

impl LockRecord {
    /// A lock that was never held.
    pub const fn new() -> Self {
        Self { token: FencingToken::from_storage(0), tenure: None }
    }

    /// A record as a store holds it.
    pub const fn from_storage(token: FencingToken, tenure: Option<Tenure>) -> Self {
        Self { token, tenure }
    }

    /// The token of the last grant; 0 if there was none.
    pub const fn token(&self) -> FencingToken {
        self.token
    }

    /// The holder, expired or not; `None` if released.
    pub const fn tenure(&self) -> Option<Tenure> {
        self.tenure
    }

    /// Asks for the lock. Free, or held by another who is not respected any more: granted at the
    /// next token. Held by the same owner: granted again at the same token, and the end is never
    /// moved forward. An owner who let its own term run out, with nobody having come, still holds it.
    pub fn acquire(
        self,
        owner: OwnerId,
        now: BootInstant,
        ttl: Duration,
        respect: Respect,
    ) -> Result<Grant, Occupied> {
        let expires = now.plus(ttl);
        if let Some(tenure) = self.tenure {
            if tenure.owner == owner {
                let expires = expires.max(tenure.expires);
                let record = Self { tenure: Some(Tenure { owner, expires }), ..self };
                return Ok(Grant { record, token: self.token, reentrant: true });
            }
            if respect.keeps(tenure, now) {
                return Err(Occupied { tenure, token: self.token });
            }
        }
        let token = FencingToken::from_storage(self.token.value() + 1);
        let record = Self { token, tenure: Some(Tenure { owner, expires }) };
        Ok(Grant { record, token, reentrant: false })
    }

    /// Extends a term, also after its end, as long as nobody else came. `None`: not this term.
    pub fn renew(self, owner: OwnerId, token: FencingToken, now: BootInstant, ttl: Duration) -> Option<Self> {
        let tenure = self.tenure.filter(|_| self.is_term(owner, token))?;
        let expires = now.plus(ttl).max(tenure.expires);
        Some(Self { tenure: Some(Tenure { owner, expires }), ..self })
    }

    /// Ends a term. `None`: not this term, nothing changes.
    pub fn release(self, owner: OwnerId, token: FencingToken) -> Option<Self> {
        self.is_term(owner, token).then_some(Self { tenure: None, ..self })
    }

    /// Ends whatever term is at that token, whoever holds it. `None`: the token has moved on, or
    /// the lock is free.
    pub fn evict(self, token: FencingToken) -> Option<Self> {
        (self.tenure.is_some() && self.token == token).then_some(Self { tenure: None, ..self })
    }

    /// Whether a write with this owner and token is let through. Expired but untouched is not
    /// stale: nobody was let in.
    pub fn is_term(&self, owner: OwnerId, token: FencingToken) -> bool {
        self.token == token && self.tenure.is_some_and(|tenure| tenure.owner == owner)
    }

    /// Whether somebody holds it beyond the end of the term: `now >= expires`.
    pub fn is_stale(&self, now: BootInstant) -> bool {
        self.tenure.is_some_and(|tenure| now >= tenure.expires)
    }
}

impl Default for LockRecord {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TTL: Duration = Duration::from_secs(10);

    fn owner(n: u8) -> OwnerId {
        OwnerId::parse(&format!("0000000000000000000000000{n}")).expect("valid")
    }

    fn at(millis: i64) -> BootInstant {
        BootInstant::from_millis(millis)
    }

    fn held() -> LockRecord {
        LockRecord::new().acquire(owner(1), at(0), TTL, Respect::UntilItsEnd).expect("free").record
    }

    #[test]
    fn a_free_lock_is_granted_at_the_next_token() {
        let grant = LockRecord::default().acquire(owner(1), at(0), TTL, Respect::UntilItsEnd).expect("free");
        assert_eq!((grant.token.value(), grant.reentrant), (1, false));
        assert_eq!(grant.record.tenure(), Some(Tenure { owner: owner(1), expires: at(10_000) }));
    }

    #[test]
    fn another_owner_is_refused_until_the_very_end_of_the_term() {
        let refused = held().acquire(owner(2), at(9_999), TTL, Respect::UntilItsEnd).expect_err("held");
        assert_eq!((refused.tenure.owner, refused.token.value()), (owner(1), 1));
        assert!(!held().is_stale(at(9_999)) && held().is_stale(at(10_000)));
        assert_eq!(
            held().acquire(owner(2), at(10_000), TTL, Respect::UntilItsEnd).expect("expired").token.value(),
            2
        );
    }

    #[test]
    fn the_same_owner_keeps_its_token_and_never_loses_time() {
        let again =
            held().acquire(owner(1), at(0), Duration::from_secs(5), Respect::UntilItsEnd).expect("own");
        assert!(again.reentrant);
        assert_eq!(again.record, held());
    }

    #[test]
    fn the_dead_are_replaced_before_their_end_and_the_spared_not_even_after() {
        let grant = held().acquire(owner(2), at(1), TTL, Respect::NoLonger).expect("dead");
        assert_eq!(grant.token.value(), 2);
        assert!(held().acquire(owner(2), at(99_000), TTL, Respect::BeyondItsEnd).is_err());
        let own = held().acquire(owner(1), at(99_000), TTL, Respect::BeyondItsEnd).expect("its own");
        assert!(own.reentrant);
    }

    #[test]
    fn a_sleeper_may_renew_if_nobody_came() {
        let renewed = held().renew(owner(1), held().token(), at(99_000), TTL).expect("mine");
        assert_eq!(renewed.tenure().expect("held").expires, at(109_000));
        let taken = held().acquire(owner(2), at(10_000), TTL, Respect::UntilItsEnd).expect("expired").record;
        assert_eq!(taken.renew(owner(1), held().token(), at(11_000), TTL), None);
    }

    #[test]
    fn release_and_evict_end_only_the_term_they_name() {
        let token = held().token();
        assert_eq!(held().release(owner(2), token), None);
        assert_eq!(held().evict(FencingToken::from_storage(9)), None);
        let free = held().release(owner(1), token).expect("mine");
        assert_eq!((free.tenure(), free.token()), (None, token));
        assert_eq!(held().evict(token), Some(free));
        assert_eq!(free.evict(token), None);
        assert!(!free.is_term(owner(1), token) && held().is_term(owner(1), token));
    }

    proptest! {
        #[test]
        fn tokens_only_grow_and_two_owners_never_share_one(
            steps in proptest::collection::vec((1u8..4, 0u8..4, 0i64..15_000), 1..80)
        ) {
            let (mut record, mut now) = (LockRecord::new(), 0);
            let mut granted: Vec<(FencingToken, OwnerId)> = Vec::new();
            for (who, what, pause) in steps {
                now += pause;
                let before = record.token();
                match what {
                    0 => record = record.release(owner(who), before).unwrap_or(record),
                    1 => record = record.renew(owner(who), before, at(now), TTL).unwrap_or(record),
                    2 => record = record.evict(before).unwrap_or(record),
                    _ => if let Ok(grant) = record.acquire(owner(who), at(now), TTL, Respect::UntilItsEnd) {
                        prop_assert!(granted.iter().all(|(t, o)| *t < grant.token || *o == owner(who)));
                        granted.push((grant.token, owner(who)));
                        record = grant.record;
                    }
                }
                prop_assert!(record.token() >= before);
            }
        }
    }
}
