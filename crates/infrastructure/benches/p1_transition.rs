//! P1: a fenced, locked transition (acquire, write, release) ÷ the same one with no lock.
//!
//! Both are durable, each on a database of its own (see `walk`). `cargo bench -p
//! agents-infrastructure --bench p1_transition [-- postgres]`.

#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "nothing is listed")]
mod database;
#[path = "../../../benches/figures.rs"]
mod figures;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/walk.rs"]
#[expect(dead_code, reason = "nobody asks how often")]
mod walk;

use database::Kind;
use figures::{Turns, say, wanted};
use walk::Walk;

/// Rounds, and transitions of either kind in a round.
const ROUNDS: (usize, usize) = (60, 20);

fn main() {
    if !wanted() {
        return;
    }
    let kind = Kind::told();
    let places = [kind.fresh(), kind.fresh()];
    let mut unfenced = Walk::new(&places[0].name(), false);
    let mut fenced = Walk::new(&places[1].name(), true);
    let mut turns = |rounds| Turns::take(rounds, ROUNDS.1, || unfenced.step(), || fenced.step());
    // Connections, statements and the log are warm before it counts.
    turns(3);
    let turns = turns(ROUNDS.0);
    let (plain, ours) = turns.absolute();
    say(&format!("P1  {}, durable, {} transitions of either kind", kind.name(), ROUNDS.0 * ROUNDS.1));
    say(&format!("    no lock             {plain} µs"));
    say(&format!("    fenced and locked   {ours} µs"));
    let aim = if kind == Kind::Sqlite { "1.5" } else { "2" };
    say(&format!("    ratio, by rounds    {}   aim ≤ {aim}", turns.ratio()));
}
