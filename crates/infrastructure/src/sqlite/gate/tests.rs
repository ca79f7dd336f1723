//! Waiting at the gate is fair, bounded, and says who is in the way.

use super::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

fn gate(dir: &tempfile::TempDir, bound: Duration) -> Gate {
    Gate::new(&dir.path().join("agents.db"), bound)
}

const LONG: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_millis(30);

#[test]
fn a_wait_that_is_too_long_names_the_process_in_the_way() {
    let dir = tempfile::tempdir().expect("dir");
    let turn = gate(&dir, SHORT).enter(Entrance::Ordinary).expect("free");
    let blocked = gate(&dir, SHORT).enter(Entrance::Ordinary).expect_err("taken");
    let who = format!("process {} has kept the database", std::process::id());
    assert!(blocked.contains(&who), "{blocked}");
    drop(turn);
    gate(&dir, LONG).enter(Entrance::Ordinary).expect("the abandoned waiter lets go");
}

#[test]
fn however_often_somebody_gives_up_one_thread_waits() {
    let dir = tempfile::tempdir().expect("dir");
    let held = gate(&dir, SHORT).enter(Entrance::Ordinary).expect("free");
    let patient = Gate { bound: LONG, ..gate(&dir, SHORT) };
    let gate = Gate { bound: SHORT, ..patient.clone() };
    for entrance in [Entrance::Ordinary, Entrance::Heartbeat] {
        for _ in 0..5 {
            gate.enter(entrance).expect_err("taken");
        }
    }
    // This gate, its patient twin, and one thread.
    assert_eq!(gate.helpers.each_ref().map(Arc::strong_count), [3, 3]);
    drop(held);
    for entrance in [Entrance::Ordinary, Entrance::Heartbeat] {
        drop(patient.enter(entrance).expect("who is left behind is taken on, or gives its turn back"));
    }
}

#[test]
fn two_threads_may_wait_at_one_gate() {
    let dir = tempfile::tempdir().expect("dir");
    let gate = gate(&dir, LONG);
    let held = gate.enter(Entrance::Ordinary).expect("free");
    thread::scope(|scope| {
        let waiters =
            [(); 3].map(|()| scope.spawn(|| drop(gate.enter(Entrance::Ordinary).expect("in time"))));
        // Two have threads of their own beside the one of the gate.
        while Arc::strong_count(&gate.helpers[0]) < 2 {
            thread::yield_now();
        }
        drop(held);
        for waiter in waiters {
            waiter.join().expect("no panic");
        }
    });
}

#[test]
fn one_who_is_stuck_in_the_queue_is_named_as_well() {
    let dir = tempfile::tempdir().expect("dir");
    let gate = gate(&dir, SHORT);
    let queue = sign(lock(&gate.queue).expect("free")).expect("signed");
    let blocked = gate.enter(Entrance::Ordinary).expect_err("taken");
    assert!(blocked.contains(&format!("process {}", std::process::id())), "{blocked}");
    gate.enter(Entrance::Heartbeat).expect("heartbeats pass the queue");
    drop(queue);
}

#[test]
fn an_unsigned_lock_is_still_reported() {
    let dir = tempfile::tempdir().expect("dir");
    let gate = gate(&dir, SHORT);
    let _turn = lock(&gate.turn).expect("free");
    assert!(gate.enter(Entrance::Heartbeat).expect_err("taken").starts_with("another process"));
}

#[test]
fn a_gate_that_cannot_be_opened_is_a_sentence() {
    let dir = tempfile::tempdir().expect("dir");
    let gate = Gate::new(&dir.path().join("missing/agents.db"), SHORT);
    let broken = gate.enter(Entrance::Ordinary).expect_err("no directory");
    assert!(broken.contains("cannot be used"), "{broken}");
}

#[test]
fn waiters_get_their_turn_and_only_one_at_a_time() {
    let dir = tempfile::tempdir().expect("dir");
    let (inside, entered) = (AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for n in 0..4 {
            let (gate, inside, entered) = (gate(&dir, LONG), &inside, &entered);
            let entrance = if n == 0 { Entrance::Heartbeat } else { Entrance::Ordinary };
            scope.spawn(move || {
                for _ in 0..50 {
                    let turn = gate.enter(entrance).expect("in time");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    entered.fetch_add(1, Ordering::SeqCst);
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                }
            });
        }
    });
    assert_eq!(entered.into_inner(), 200);
}

#[test]
fn the_lock_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("dir");
    let gate = gate(&dir, LONG);
    drop(gate.enter(Entrance::Ordinary).expect("free"));
    for path in [&gate.queue, &gate.turn] {
        assert_eq!(path.metadata().expect("there").permissions().mode() & 0o077, 0);
    }
}
