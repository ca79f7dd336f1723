//! P3: durable transitions per second ÷ pairs of lock and unlock per second of etcd, nobody in the way.
//!
//! A transition is the whole of it: acquire, write, release (see `walk`), by one process. Of etcd it is
//! one session with one lease, `lock/lock` and `lock/unlock` through its gRPC-JSON gateway over one
//! connection; the server keeps its log on the disk that SQLite has its file on. Rounds in turn:
//! `cargo bench -p agents-infrastructure --bench p3_etcd [-- postgres]`.
//! Without `etcd` (Debian: `etcd-server`) there is no ratio, and the report says so.

#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "nothing is listed")]
mod database;
#[path = "shared/etcd.rs"]
mod etcd;
#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "rates are compared, not times")]
mod figures;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/walk.rs"]
#[expect(dead_code, reason = "nobody asks how often")]
mod walk;

use database::Kind;
use etcd::{Etcd, Session};
use figures::{Spread, nanoseconds, say, wanted};
use walk::Walk;

/// Rounds, and transitions or pairs in a round.
const ROUNDS: (usize, u32) = (40, 50);
/// Rounds before it counts: connections, statements and logs are warm then.
const WARM: usize = 3;

/// How many per second, of a round of them.
#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
fn rate(mut work: impl FnMut()) -> f64 {
    let round = nanoseconds(|| (0..ROUNDS.1).for_each(|_| work()));
    f64::from(ROUNDS.1) * 1e9 / round as f64
}

fn main() {
    if !wanted() {
        return;
    }
    let kind = Kind::told();
    let place = kind.fresh();
    let mut walk = Walk::new(&place.name(), true);
    let etcd = Etcd::start();
    let mut session = etcd.as_ref().map(|etcd| Session::open(&etcd.address()));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..WARM + ROUNDS.0 {
        let pairs = session.as_mut().map(|session| rate(|| pair(session)));
        let transitions = rate(|| walk.step());
        if round >= WARM {
            theirs.extend(pairs);
            ours.push(transitions);
        }
    }
    report(kind, theirs, &ours);
}

fn pair(session: &mut Session) {
    let key = session.lock();
    session.unlock(&key, || ());
}

fn report(kind: Kind, theirs: Vec<f64>, ours: &[f64]) {
    say(&format!("P3  {}, {} rounds of {} of either kind", kind.name(), ROUNDS.0, ROUNDS.1));
    say(&format!("    transitions/s            {}", Spread::of(ours.to_vec())));
    if theirs.is_empty() {
        return say("    etcd is not on PATH (Debian: etcd-server): no ratio");
    }
    say(&format!("    etcd lock and unlock/s   {}", Spread::of(theirs.clone())));
    let ratios = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    let aim = if kind == Kind::Sqlite { 4 } else { 1 };
    say(&format!("    ratio, by rounds         {}   aim ≥ {aim}", Spread::of(ratios)));
}
