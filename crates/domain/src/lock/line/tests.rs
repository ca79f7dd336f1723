//! The rule by examples, and over random lines.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::name::Name;

const KEYS: u8 = 4;

fn key(n: u8) -> LockKey {
    LockKey::Project(Name::parse(&format!("k{n}")).expect("a name"))
}

fn keys(numbers: &[u8]) -> Vec<LockKey> {
    numbers.iter().map(|n| key(*n)).collect()
}

fn owner(n: u8) -> OwnerId {
    OwnerId::parse(&format!("0000000000000000000000000{n}")).expect("valid")
}

fn ticket(number: i64, who: u8, wants: &[u8]) -> Ticket {
    let holder = Holder {
        host: "box".into(),
        boot_id: "boot".into(),
        pid_namespace: "ns".into(),
        pid: u32::from(who),
        started: 1,
        user: "ada".into(),
        operation: "plan apply".into(),
    };
    let number = TicketNumber::from_storage(number);
    let since = Timestamp::default();
    Ticket { number, owner: owner(who), keys: keys(wants), since, over: false, holder }
}

/// The numbers ahead of, and passed by, one who asks.
fn asked(
    line: &[Ticket],
    who: u8,
    wants: &[u8],
    holds: &[u8],
    own: Option<i64>,
    dead: &[i64],
) -> (Vec<i64>, Vec<i64>) {
    let (wants, holds) = (keys(wants), keys(holds));
    let dead: Vec<TicketNumber> = dead.iter().copied().map(TicketNumber::from_storage).collect();
    let ticket = own.map(TicketNumber::from_storage);
    let caller = Caller { owner: owner(who), keys: &wants, holds: &holds, ticket, dead: &dead };
    let passage = Passage::of(line, &caller);
    let numbers = |tickets: Vec<&Ticket>| tickets.iter().map(|ticket| ticket.number.value()).collect();
    (numbers(passage.ahead), numbers(passage.passed))
}

/// The line of the picture at the top.
fn line() -> Vec<Ticket> {
    vec![ticket(5, 1, &[0]), ticket(6, 2, &[0, 1]), ticket(7, 3, &[1]), ticket(8, 4, &[2])]
}

#[rstest]
#[case::first(1, &[0], Some(5), &[])]
#[case::wide(2, &[0, 1], Some(6), &[5])]
#[case::behind_the_wide_one(3, &[1], Some(7), &[6])]
#[case::of_another_key(4, &[2], Some(8), &[])]
#[case::without_a_ticket(5, &[1], None, &[6, 7])]
#[case::where_nobody_waits(5, &[3], None, &[])]
#[case::with_a_ticket_that_is_gone(5, &[0], Some(1), &[5, 6])]
#[case::with_the_ticket_of_another(5, &[0], Some(5), &[5, 6])]
#[case::with_a_ticket_for_something_else(1, &[1], Some(5), &[6, 7])]
fn who_comes_first(#[case] who: u8, #[case] wants: &[u8], #[case] own: Option<i64>, #[case] ahead: &[i64]) {
    assert_eq!(asked(&line(), who, wants, &[], own, &[]).0, ahead);
}

#[test]
fn the_dead_and_the_silent_keep_nobody_back_and_are_passed() {
    let mut line = line();
    line[0].over = true;
    assert_eq!(asked(&line, 2, &[0, 1], &[], Some(6), &[]), (vec![], vec![5]));
    assert_eq!(asked(&line, 3, &[1], &[], Some(7), &[6]), (vec![], vec![6]), "5 is not in its way");
    assert_eq!(asked(&line, 5, &[0], &[], None, &[6]), (vec![], vec![5, 6]));
}

#[test]
fn who_holds_it_already_does_not_queue() {
    assert_eq!(asked(&line(), 9, &[0], &[0], None, &[]).0, [0_i64; 0]);
    assert_eq!(asked(&line(), 9, &[0, 2], &[0], None, &[]).0, [8], "for the rest it does");
}

#[test]
fn a_ticket_that_waits_for_the_caller_does_not_keep_it_back() {
    // 6 wants 0 and 1; who holds 0 may take 1: else both would wait for ever.
    assert_eq!(asked(&line(), 9, &[1], &[0], None, &[]).0, [7]);
}

#[test]
fn a_standing_says_who_and_where() {
    let mut standing = Standing { key: key(0), held: None, ahead: line(), ticket: None, since: None };
    assert_eq!(standing.to_string(), "project/local/k0 is free, but it is the turn of ada (pid 1 on box)");
    standing.ticket = Some(TicketNumber::from_storage(9));
    assert!(standing.to_string().ends_with("; place 5 in line"), "{standing}");
    standing.ahead.clear();
    assert!(standing.to_string().contains("was not free"), "{standing}");
    assert_eq!(
        (TicketNumber::from_storage(9).to_string(), Mark::from_storage(3).value()),
        ("9".to_owned(), 3)
    );
}

fn a_line() -> impl Strategy<Value = Vec<Ticket>> {
    let wants = proptest::collection::btree_set(0..KEYS, 1..=usize::from(KEYS));
    proptest::collection::vec((1u8..9, wants, any::<bool>(), 1i64..4), 0..12).prop_map(|places| {
        let mut number = 0;
        let place = |(who, wants, over, step): (u8, std::collections::BTreeSet<u8>, bool, i64)| {
            number += step;
            let wants: Vec<u8> = wants.into_iter().collect();
            Ticket { over, ..ticket(number, who, &wants) }
        };
        places.into_iter().map(place).collect()
    })
}

/// The words of the design, one by one, instead of the code.
fn by_the_book(line: &[Ticket], who: u8, wants: &[u8], own: Option<i64>) -> Vec<i64> {
    let mut ahead = Vec::new();
    for other in line.iter().filter(|other| !other.over && Some(other.number.value()) != own) {
        let mine = line.iter().find(|t| Some(t.number.value()) == own && t.owner == owner(who));
        let contested = keys(wants).into_iter().filter(|key| other.keys.contains(key));
        for key in contested {
            let behind = match mine {
                Some(mine) if mine.keys.contains(&key) => other.number < mine.number,
                _ => true,
            };
            if behind && !ahead.contains(&other.number.value()) {
                ahead.push(other.number.value());
            }
        }
    }
    ahead
}

proptest! {
    #[test]
    fn the_rule_is_the_design_word_for_word(
        line in a_line(), who in 1u8..9, wants in proptest::collection::vec(0..KEYS, 1..4), pick in 0usize..14
    ) {
        let mine = line.get(pick).filter(|ticket| ticket.owner == owner(who));
        let own = mine.map(|ticket| ticket.number.value());
        prop_assert_eq!(asked(&line, who, &wants, &[], own, &[]).0, by_the_book(&line, who, &wants, own));
    }

    #[test]
    fn somebody_is_always_first_and_nobody_is_passed_by_one_who_came_later(line in a_line()) {
        let turn = |ticket: &Ticket| {
            let caller = Caller {
                owner: ticket.owner, keys: &ticket.keys, holds: &[], ticket: Some(ticket.number), dead: &[],
            };
            Passage::of(&line, &caller).ahead.is_empty()
        };
        let living: Vec<&Ticket> = line.iter().filter(|ticket| !ticket.over).collect();
        if let Some(first) = living.first() {
            prop_assert!(turn(first), "the line moves");
        }
        for (at, one) in living.iter().enumerate() {
            for later in &living[at + 1..] {
                let share = one.keys.iter().any(|key| later.keys.contains(key));
                prop_assert!(!share || !turn(later), "{:?} passes {:?}", later.number, one.number);
            }
        }
    }
}
