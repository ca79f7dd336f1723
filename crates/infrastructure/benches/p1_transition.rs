//! P1: a fenced, locked transition (acquire, write, release) ÷ the same one with no lock.
//!
//! Both are durable, each on a database of its own (see `walk`). `cargo bench -p
//! agents-infrastructure --bench p1_transition`.

#[path = "../../../benches/figures.rs"]
mod figures;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/walk.rs"]
mod walk;

use figures::{Turns, say, wanted};
use walk::Walk;

/// Rounds, and transitions of either kind in a round.
const ROUNDS: (usize, usize) = (60, 20);

fn main() {
    if !wanted() {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let mut unfenced = Walk::new(&directory.path().join("unfenced.db"), false);
    let mut fenced = Walk::new(&directory.path().join("fenced.db"), true);
    let mut turns = |rounds| Turns::take(rounds, ROUNDS.1, || unfenced.step(), || fenced.step());
    // Connections, statements and the log are warm before it counts.
    turns(3);
    let turns = turns(ROUNDS.0);
    let (plain, ours) = turns.absolute();
    say(&format!("P1  SQLite, durable, {} transitions of either kind", ROUNDS.0 * ROUNDS.1));
    say(&format!("    no lock             {plain} µs"));
    say(&format!("    fenced and locked   {ours} µs"));
    say(&format!("    ratio, by rounds    {}   aim ≤ 1.5", turns.ratio()));
}
