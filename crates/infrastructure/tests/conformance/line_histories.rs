//! Random histories of holders and waiters, against the pure record and the pure rule.
//!
//! The model keeps a [`LockRecord`] for each key and the tickets in their order. After every step
//! the answer of the store, and then the whole line, must be what they say.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use agents_domain::lock::{
    AcquireRequest, Caller, Grant, LockError, LockKey, LockRecord, Passage, Respect, Ticket, TicketNumber,
};
use agents_domain::time::{BootInstant, Clock as _};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::line::asking;
use crate::support::{Fixture, Opener, TERM, Unfenced, request};
use crate::values::owner;

const KEYS: usize = 3;
const HISTORIES: usize = 64;

#[derive(Debug, Clone)]
enum Op {
    Take { who: u32, keys: Vec<usize> },
    Renew { who: u32, ticket: usize },
    Leave { who: u32, ticket: usize },
    Acquire { who: u32, keys: Vec<usize>, ticket: Option<usize>, dead: Vec<usize> },
    Release { who: u32, key: usize },
    ReleaseAll { who: u32 },
    Pass { secs: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let (who, ticket) = (1u32..5, 0usize..6);
    let keys = proptest::collection::vec(0..KEYS, 1..3);
    let dead = proptest::collection::vec(ticket.clone(), 0..2);
    let place = proptest::option::weighted(0.8, ticket.clone());
    prop_oneof![
        3 => (who.clone(), keys.clone()).prop_map(|(who, keys)| Op::Take { who, keys }),
        1 => (who.clone(), ticket.clone()).prop_map(|(who, ticket)| Op::Renew { who, ticket }),
        1 => (who.clone(), ticket).prop_map(|(who, ticket)| Op::Leave { who, ticket }),
        5 => (who.clone(), keys, place, dead)
            .prop_map(|(who, keys, ticket, dead)| Op::Acquire { who, keys, ticket, dead }),
        3 => (who.clone(), 0..KEYS).prop_map(|(who, key)| Op::Release { who, key }),
        1 => who.prop_map(|who| Op::ReleaseAll { who }),
        2 => (1u64..6).prop_map(|secs| Op::Pass { secs }),
    ]
}

struct Model {
    keys: Vec<LockKey>,
    records: Vec<LockRecord>,
    /// Every ticket there ever was, and the end of its life; `None`: it is gone.
    tickets: Vec<(Ticket, Option<BootInstant>)>,
}

impl Model {
    /// The `n`-th ticket, as a caller names it.
    fn number(&self, n: usize) -> TicketNumber {
        self.tickets.get(n).map_or(TicketNumber::from_storage(1_000), |(ticket, _)| ticket.number)
    }

    fn find(&mut self, who: u32, number: TicketNumber) -> Option<&mut Option<BootInstant>> {
        let its = |(ticket, end): &&mut (Ticket, Option<BootInstant>)| {
            ticket.number == number && ticket.owner == owner(who) && end.is_some()
        };
        self.tickets.iter_mut().find(its).map(|(_, end)| end)
    }

    fn line(&self, now: BootInstant) -> Vec<Ticket> {
        let living = self.tickets.iter().filter_map(|(ticket, end)| Some((ticket, (*end)?)));
        living.map(|(ticket, end)| Ticket { over: now >= end, ..ticket.clone() }).collect()
    }

    fn holds(&self, who: u32) -> Vec<LockKey> {
        let its = |key: &usize| self.records[*key].tenure().is_some_and(|tenure| tenure.owner == owner(who));
        (0..KEYS).filter(its).map(|key| self.keys[key].clone()).collect()
    }

    fn named(&self, keys: &[usize]) -> Vec<&LockKey> {
        keys.iter().map(|key| &self.keys[*key]).collect()
    }
}

fn same<T: PartialEq + Debug>(store: &T, model: &T, what: &dyn Debug) -> Result<(), String> {
    if store == model { Ok(()) } else { Err(format!("{what:?}: {store:?}, and not {model:?}")) }
}

async fn acquire(store: &Fixture, model: &mut Model, who: u32, asked: &AcquireRequest) -> Result<(), String> {
    let now = store.clock.boottime();
    let wanted: Vec<usize> = (0..KEYS).filter(|key| asked.keys.contains(&model.keys[*key])).collect();
    let grant = |key: &usize| model.records[*key].acquire(owner(who), now, TERM, Respect::UntilItsEnd);
    let grants: Result<Vec<Grant>, _> = wanted.iter().map(grant).collect();
    let (line, holds) = (model.line(now), model.holds(who));
    let caller = Caller {
        owner: owner(who),
        keys: &asked.keys,
        holds: &holds,
        ticket: asked.ticket,
        dead: &asked.dead_tickets,
    };
    let passage = Passage::of(&line, &caller);
    let ahead: Vec<TicketNumber> = passage.ahead.iter().map(|ticket| ticket.number).collect();
    match (store.locks.acquire(asked).await, grants) {
        (Err(LockError::Conflict(_)), Err(_)) => Ok(()),
        (Err(LockError::Queued(standing)), Ok(_)) => {
            let said = standing.ahead.iter().map(|ticket| ticket.number).collect();
            same(&said, &ahead, asked)?;
            if said.is_empty() { Err(format!("{asked:?}: behind nobody")) } else { Ok(()) }
        }
        (Ok(leases), Ok(grants)) => {
            same(&Vec::new(), &ahead, asked)?;
            same(&leases.len(), &grants.len(), asked)?;
            let passed: Vec<TicketNumber> = passage.passed.iter().map(|ticket| ticket.number).collect();
            for (key, grant) in wanted.iter().zip(grants) {
                model.records[*key] = grant.record;
            }
            for (ticket, end) in &mut model.tickets {
                let used = asked.ticket == Some(ticket.number) && ticket.owner == owner(who);
                if used || passed.contains(&ticket.number) {
                    *end = None;
                }
            }
            Ok(())
        }
        (answer, due) => Err(format!("{asked:?}: {answer:?}, and not {due:?}, behind {ahead:?}")),
    }
}

async fn apply(store: &Fixture, model: &mut Model, op: &Op) -> Result<(), String> {
    let now = store.clock.boottime();
    match op {
        Op::Take { who, keys } => {
            let asked = asking(*who, &model.named(keys));
            let number = store.line.take(&asked).await.map_err(|error| error.to_string())?;
            let last = model.tickets.last().map(|(ticket, _)| ticket.number);
            same(&(Some(number) > last), &true, op)?;
            let keys: BTreeSet<LockKey> = asked.keys.into_iter().collect();
            let (since, holder) = (store.clock.now(), asked.holder);
            let keys = keys.into_iter().collect();
            let ticket = Ticket { number, owner: owner(*who), keys, since, over: false, holder };
            model.tickets.push((ticket, Some(now.plus(Ticket::LIFE))));
            Ok(())
        }
        Op::Renew { who, ticket } => {
            let number = model.number(*ticket);
            let answer = store.line.renew(owner(*who), number, Ticket::LIFE).await;
            let found = model.find(*who, number);
            let due = found.is_some();
            if let Some(end) = found {
                *end = Some(now.plus(Ticket::LIFE));
            }
            same(&answer, &Ok(due), op)
        }
        Op::Leave { who, ticket } => {
            let number = model.number(*ticket);
            let answer = store.line.leave(owner(*who), number).await;
            let due = model.find(*who, number).is_some_and(|end| end.take().is_some());
            same(&answer, &Ok(due), op)
        }
        Op::Acquire { who, keys, ticket, dead } => {
            let ticket = ticket.map(|ticket| model.number(ticket));
            let dead_tickets = dead.iter().map(|ticket| model.number(*ticket)).collect();
            let asked = AcquireRequest { ticket, dead_tickets, ..request(*who, &model.named(keys)) };
            acquire(store, model, *who, &asked).await
        }
        Op::Release { who, key } => {
            let record = model.records[*key];
            let term = (model.keys[*key].clone(), record.token());
            store.locks.release(owner(*who), &term).await.map_err(|error| error.to_string())?;
            model.records[*key] = record.release(owner(*who), record.token()).unwrap_or(record);
            Ok(())
        }
        Op::ReleaseAll { who } => {
            store.locks.release_all_for_owner(owner(*who)).await.map_err(|error| error.to_string())?;
            for record in &mut model.records {
                *record = record.release(owner(*who), record.token()).unwrap_or(*record);
            }
            let its = model.tickets.iter_mut().filter(|(ticket, _)| ticket.owner == owner(*who));
            for (_, end) in its {
                *end = None;
            }
            Ok(())
        }
        Op::Pass { secs } => {
            store.clock.advance(Duration::from_secs(*secs));
            Ok(())
        }
    }
}

async fn run(store: &Fixture, history: &[Op]) -> Result<(), String> {
    let keys: Vec<LockKey> = store.projects([1, 2, 3]).await.into();
    let mut model = Model { keys: keys.clone(), records: vec![LockRecord::new(); KEYS], tickets: Vec::new() };
    for op in history {
        apply(store, &mut model, op).await?;
        let view = store.line.look(&keys, None, None).await.map_err(|error| error.to_string())?;
        same(&view.map(|view| view.line), &Some(model.line(store.clock.boottime())), op)?;
    }
    Ok(())
}

pub(crate) async fn random_lines_agree_with_the_pure_rule(open: Opener) {
    let mut runner = TestRunner::default();
    for _ in 0..open(Unfenced::Refused).histories(HISTORIES) {
        let history =
            proptest::collection::vec(op(), 1..60).new_tree(&mut runner).expect("a history").current();
        if let Err(difference) = run(&open(Unfenced::Refused), &history).await {
            panic!("{difference}\nafter {history:#?}");
        }
    }
}
