//! Random histories of several owners, against the pure lock record, step by step.
//!
//! The model is one [`LockRecord`] for each key. After every step the answer of the store, and
//! then the whole table, must be what the model says: grants, tokens, conflicts, renewals,
//! releases, evictions, and which terms are stale.

use std::fmt::Debug;
use std::time::Duration;

use agents_domain::lock::{
    AcquireRequest, Conflict, FencingToken, Grant, LockError, LockFilter, LockKey, LockRecord, Occupied,
    Overdue, Release, Renewal, Term,
};
use agents_domain::plan::Opening;
use agents_domain::time::{BootInstant, Clock as _, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::{Fixture, Opener, Unfenced, request, ttl};
use crate::values::{new_plan, owner};

/// Two plans and two projects.
const KEYS: usize = 4;
const HISTORIES: usize = 96;

/// A term of a key: its `back`-th last token.
type Past = (usize, usize);

#[derive(Debug, Clone)]
pub(crate) enum Op {
    Acquire { who: u32, keys: Vec<usize>, secs: u64, dead: Vec<Past>, spared_but: Option<Vec<Past>> },
    Renew { who: u32, terms: Vec<Past>, secs: u64 },
    Release { who: u32, term: Past },
    ReleaseAll { who: u32 },
    Evict { term: Past },
    Pass { millis: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let (who, past, secs) = (1u32..4, (0..KEYS, 0usize..3), 5u64..9);
    let keys = proptest::collection::vec(0..KEYS, 1..4);
    let dead = proptest::collection::vec(past.clone(), 0..3);
    let spared_but = proptest::option::of(dead.clone());
    let terms = proptest::collection::vec(past.clone(), 0..5);
    prop_oneof![
        4 => (who.clone(), keys, secs.clone(), dead, spared_but).prop_map(
            |(who, keys, secs, dead, spared_but)| Op::Acquire { who, keys, secs, dead, spared_but }),
        3 => (who.clone(), terms, secs).prop_map(|(who, terms, secs)| Op::Renew { who, terms, secs }),
        2 => (who.clone(), past.clone()).prop_map(|(who, term)| Op::Release { who, term }),
        1 => who.prop_map(|who| Op::ReleaseAll { who }),
        1 => past.prop_map(|term| Op::Evict { term }),
        // Whole seconds too, so that ends of terms are met exactly.
        3 => prop_oneof![0u64..4_000, (1u64..6).prop_map(|secs| secs * 1_000)].prop_map(|millis| Op::Pass { millis }),
    ]
}

/// Two owners, one key: what no lock that protects anything answers twice.
pub(crate) fn rivals() -> Vec<Op> {
    [1, 2].map(|who| Op::Acquire { who, keys: vec![0], secs: 5, dead: Vec::new(), spared_but: None }).to_vec()
}

/// What the record says of each key, and the tokens it has had.
struct Model {
    keys: Vec<LockKey>,
    records: Vec<LockRecord>,
    tokens: Vec<Vec<FencingToken>>,
    /// Wall time less boot time: the clocks of this test go together.
    offset: i64,
}

impl Model {
    fn term(&self, (key, back): Past) -> Term {
        let tokens = &self.tokens[key];
        (self.keys[key].clone(), tokens[tokens.len().saturating_sub(back + 1)])
    }

    fn set(&mut self, key: usize, record: LockRecord) {
        self.records[key] = record;
        if self.tokens[key].last() != Some(&record.token()) {
            self.tokens[key].push(record.token());
        }
    }

    fn wall(&self, instant: BootInstant) -> Timestamp {
        Timestamp::from_millis(instant.as_millis() + self.offset)
    }

    fn end(&self, key: usize) -> Option<Timestamp> {
        self.records[key].tenure().map(|tenure| self.wall(tenure.expires))
    }

    fn renew(&mut self, who: u32, term: Past, now: BootInstant, ttl: Duration) -> Renewal {
        let (key, token) = (term.0, self.term(term).1);
        match (self.records[key].renew(owner(who), token, now, ttl), self.records[key].tenure()) {
            (Some(record), _) => {
                self.set(key, record);
                Renewal::Extended { expires_at: self.end(key).expect("held") }
            }
            (None, Some(tenure)) => Renewal::Lost { by: tenure.owner },
            (None, None) => Renewal::Expired,
        }
    }

    fn clear(&mut self, key: usize, record: Option<LockRecord>) -> Release {
        let Some(record) = record else { return Release::NotHeld };
        self.set(key, record);
        Release::Released
    }
}

fn same<T: PartialEq + Debug>(store: &T, model: &T, what: &dyn Debug) -> Result<(), String> {
    if store == model { Ok(()) } else { Err(format!("{what:?}: {store:?}, and not {model:?}")) }
}

/// What the record says to a request, key by key, each once and in order.
fn decide(
    model: &Model,
    request: &AcquireRequest,
    now: BootInstant,
) -> Vec<(usize, Result<Grant, Occupied>)> {
    let asked = (0..KEYS).filter(|&key| request.keys.contains(&model.keys[key]));
    let decision = |key: usize| {
        let record = model.records[key];
        let respect = request.respect(&model.keys[key], record.token());
        (key, record.acquire(request.owner, now, request.ttl.as_duration(), respect))
    };
    asked.map(decision).collect()
}

async fn acquire(store: &Fixture, model: &mut Model, asked: &AcquireRequest) -> Result<(), String> {
    let now = store.clock.boottime();
    let decisions = decide(model, asked, now);
    match store.locks.acquire(asked).await {
        Ok(leases) => {
            same(&leases.len(), &decisions.len(), asked)?;
            for (lease, (key, decision)) in leases.iter().zip(decisions) {
                let grant =
                    decision.map_err(|occupied| format!("{asked:?}: granted, and yet {occupied:?}"))?;
                model.set(key, grant.record);
                let seen = (&lease.key, lease.fence.token(), lease.fence.owner(), lease.reentrant);
                let due = (&model.keys[key], Some(grant.token), Some(asked.owner), grant.reentrant);
                same(&seen, &due, asked)?;
                same(&Some(lease.expires_at), &model.end(key), asked)?;
            }
            Ok(())
        }
        Err(LockError::Conflict(Conflict(held))) => {
            let said = (held.key, held.owner, held.token, held.expires_at, held.stale);
            let occupied =
                decisions.iter().filter_map(|(key, decision)| Some((*key, decision.as_ref().err()?)));
            let mut true_ones = occupied.map(|(key, Occupied { tenure, token })| {
                (
                    model.keys[key].clone(),
                    tenure.owner,
                    *token,
                    model.wall(tenure.expires),
                    now >= tenure.expires,
                )
            });
            let is_true = true_ones.any(|conflict| conflict == said);
            if is_true { Ok(()) } else { Err(format!("{asked:?}: no such conflict: {said:?}")) }
        }
        Err(error) => Err(format!("{asked:?}: {error}")),
    }
}

async fn apply(store: &Fixture, model: &mut Model, op: &Op) -> Result<(), String> {
    let now = store.clock.boottime();
    match op {
        Op::Acquire { who, keys, secs, dead, spared_but } => {
            let named: Vec<&LockKey> = keys.iter().map(|key| &model.keys[*key]).collect();
            let terms = |past: &[Past]| past.iter().map(|term| model.term(*term)).collect();
            let overdue = spared_but.as_deref();
            let overdue = overdue.map_or(Overdue::Replaced, |but| Overdue::Spared { but: terms(but) });
            let (ttl, proven_dead) = (ttl(Duration::from_secs(*secs)), terms(dead));
            let asked = AcquireRequest { ttl, proven_dead, overdue, ..request(*who, &named) };
            acquire(store, model, &asked).await
        }
        Op::Renew { who, terms, secs } => {
            let length = Duration::from_secs(*secs);
            let named: Vec<Term> = terms.iter().map(|term| model.term(*term)).collect();
            let answer = store.locks.renew(owner(*who), &named, ttl(length)).await;
            same(&answer, &Ok(terms.iter().map(|term| model.renew(*who, *term, now, length)).collect()), op)
        }
        Op::Release { who, term } => {
            let (key, token) = (term.0, model.term(*term).1);
            let answer = store.locks.release(owner(*who), &model.term(*term)).await;
            same(&answer, &Ok(model.clear(key, model.records[key].release(owner(*who), token))), op)
        }
        Op::ReleaseAll { who } => {
            let answer = store.locks.release_all_for_owner(owner(*who)).await;
            let released = (0..KEYS).filter(|&key| {
                let record = model.records[key];
                model.clear(key, record.release(owner(*who), record.token())) == Release::Released
            });
            same(&answer, &Ok(released.map(|_| 1).sum()), op)
        }
        Op::Evict { term } => {
            let answer = store.locks.evict(&model.term(*term), owner(9), "stuck").await;
            let (key, token) = (term.0, model.term(*term).1);
            same(&answer, &Ok(model.clear(key, model.records[key].evict(token))), op)
        }
        Op::Pass { millis } => {
            store.clock.advance(Duration::from_millis(*millis));
            Ok(())
        }
    }
}

/// The whole table of the store is the whole table of the model.
async fn compare(store: &Fixture, model: &Model, op: &Op) -> Result<(), String> {
    let now = store.clock.boottime();
    for stale_only in [false, true] {
        let listed =
            store.locks.list(&LockFilter { key: None, stale_only }).await.map_err(|e| e.to_string())?;
        let listed: Vec<_> =
            listed.into_iter().map(|l| (l.key, l.owner, l.token, l.expires_at, l.stale)).collect();
        let row = |key: usize| {
            let (record, stale) = (model.records[key], model.records[key].is_stale(now));
            let tenure = record.tenure().filter(|_| stale || !stale_only)?;
            Some((model.keys[key].clone(), tenure.owner, record.token(), model.wall(tenure.expires), stale))
        };
        same(&listed, &(0..KEYS).filter_map(row).collect(), op)?;
    }
    Ok(())
}

/// Runs one history; `Err` says where store and model part.
pub(crate) async fn run(store: &Fixture, history: &[Op]) -> Result<(), String> {
    let mut keys = Vec::new();
    for number in [1, 2] {
        let new = new_plan(number, store.clock.now());
        keys.push(store.plans.create(&new, &Opening::Unfenced).await.map_err(|e| e.to_string())?.key);
    }
    keys.extend(store.projects([1, 2]).await);
    let offset = store.clock.now().as_millis() - store.clock.boottime().as_millis();
    let never = LockRecord::new();
    let mut model =
        Model { keys, records: vec![never; KEYS], tokens: vec![vec![never.token()]; KEYS], offset };
    for op in history {
        apply(store, &mut model, op).await?;
        compare(store, &model, op).await?;
    }
    Ok(())
}

pub(crate) async fn random_histories_agree_with_the_pure_record(open: Opener) {
    let mut runner = TestRunner::default();
    for _ in 0..open(Unfenced::Refused).histories(HISTORIES) {
        let history =
            proptest::collection::vec(op(), 1..50).new_tree(&mut runner).expect("a history").current();
        if let Err(difference) = run(&open(Unfenced::Allowed), &history).await {
            panic!("{difference}\nafter {history:#?}");
        }
    }
}
