//! P2: our whole transition (acquire, write, release) ÷ the same statements without us.
//!
//! Ours is one call of the service: locks, decision, Diesel and all. The yardstick runs the statements
//! that were recorded from the very same transitions, in their order and with the same durability, each
//! prepared once. It takes no gate, decides nothing, and has no heartbeat beside it. A recording cannot
//! go stale: it is made anew each time.
//!
//! On SQLite the yardstick is the C API (`shared/peer.c`, a process of its own), with the same values,
//! connections, `PRAGMA`s and file, linked with the SQLite that is built into this program. On PostgreSQL
//! it is `pgbench -M prepared`; what grows from transition to transition grows there, too.
//!
//! `cargo bench -p agents-infrastructure --bench p2_c_api [-- postgres]`; `-- --statements` prints what
//! is compared. Without a C compiler, or the built SQLite beside this program, or without pgbench, there
//! is no ratio, and the report says so.

#[path = "p2_c_api/c_api.rs"]
mod c_api;
#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "nothing is listed")]
mod database;
#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "the peer times itself")]
mod figures;
#[path = "p2_c_api/pgbench.rs"]
mod pgbench;
#[path = "shared/recorder.rs"]
mod recorder;
#[path = "shared/script.rs"]
mod script;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/walk.rs"]
mod walk;

use database::Kind;
use figures::{Turns, say, wanted};
use walk::Walk;

/// Rounds, and transitions of either kind in a round.
const ROUNDS: (usize, usize) = (60, 20);
/// Rounds before it counts: connections, statements and the log are warm then.
const WARM: usize = 3;

fn main() {
    if !wanted() {
        return;
    }
    let statements = std::env::args().any(|argument| argument == "--statements");
    match Kind::told() {
        Kind::Sqlite => on_sqlite(statements),
        Kind::Postgres => on_postgres(statements),
    }
}

fn on_sqlite(statements: bool) {
    let recorded = c_api::record();
    if statements {
        return say(&recorded.shown);
    }
    match recorded.peer() {
        Ok(mut peer) => {
            let (title, yardstick) = (format!("SQLite {}", peer.version), "same statements, C API ");
            compare(Kind::Sqlite, &title, yardstick, |transitions| peer.block(transitions));
        }
        Err(reason) => say(&format!("P2  no ratio: {reason}")),
    }
}

fn on_postgres(statements: bool) {
    let mut peer = pgbench::Peer::record();
    if statements {
        return say(peer.script());
    }
    match pgbench::version() {
        Some(version) => {
            let title = format!("PostgreSQL, {version}");
            compare(Kind::Postgres, &title, "same statements, pgbench", |transitions| {
                peer.block(transitions)
            });
            peer.check();
        }
        None => say("P2  no ratio: pgbench is not on PATH (Debian: postgresql-contrib)"),
    }
}

/// Rounds of the peer and of whole transitions in turn.
fn compare(kind: Kind, title: &str, yardstick: &str, mut peer: impl FnMut(usize) -> Vec<f64>) {
    let place = kind.fresh();
    let mut ours = Walk::new(&place.name(), true);
    let mut turns = |rounds| {
        let mut turns = Turns::default();
        for _ in 0..rounds {
            let plain = peer(ROUNDS.1);
            // One round of ours alone, timed as everywhere.
            turns.round(plain, figures::times(ROUNDS.1, &mut || ours.step()));
        }
        turns
    };
    turns(WARM);
    let turns = turns(ROUNDS.0);
    let (plain, whole) = turns.absolute();
    say(&format!("P2  {title}, durable, {} transitions of either kind", ROUNDS.0 * ROUNDS.1));
    say(&format!("    {yardstick} {plain} µs"));
    say(&format!("    whole transition         {whole} µs"));
    say(&format!("    ratio, by rounds         {}   aim ≤ 1.5", turns.ratio()));
}
