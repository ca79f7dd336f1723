//! `agents db copy-to` and `agents db adopt --restored`.
//!
//! A copy that both sides went on from would be two truths about the same plans and repositories. So the
//! copy is a move: the database that is left is closed, and says where everything is now.

use std::time::Duration;

use agents_domain::id::Ids as _;
use agents_domain::lock::{HeldLock, Liveness, Processes};
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::store::moving::{Address, Departure, Move, Moved, Step, carry_out};
use serde_json::json;

use crate::app::Base;
use crate::config::{Settings, database_at};
use crate::failure::Failure;
use crate::remedy::quoted;
use crate::render::{Body, Grid, Progress, Report};
use crate::store::Store;

/// Between two looks at locks that are waited for.
const PAUSE: Duration = Duration::from_millis(200);

/// Below so many rows, a table is not worth a word while it is copied.
const LARGE: u64 = 10_000;

/// Moves everything to another database.
pub(super) fn copy_to(base: &Base, url: &str) -> Result<Report, Failure> {
    let settings = &base.settings;
    let target = Settings { database: database_at(url)?, direct: None, pooled: false, ..settings.clone() };
    let (from, to) = (Store::address(settings)?, Store::address(&target)?);
    if from.identity.is_some() && from.identity == to.identity {
        return Err(Failure::usage(format!("{} is the database that is to be moved", to.place)));
    }
    let departure = leave(base)?;
    let arrival = Store::arrive(&target)?;
    let mark = Move { id: SystemIds::new().ulid().to_string(), to: to.place.clone() };
    let mut shown = Shown { progress: &base.progress, last: ("", 0) };
    let moved = carry_out(departure, arrival, &mark, &mut |step| shown.step(step));
    base.progress.finish();
    let moved = moved.map_err(|error| Failure::of_move(error, &from.place))?;
    Ok(report(&moved, &from, &to))
}

/// The database that is left, once nobody alive holds a lock in it.
fn leave(base: &Base) -> Result<Departure, Failure> {
    let bound = base.flags.wait.unwrap_or_default();
    let processes = base.processes();
    let mut waited = Duration::ZERO;
    loop {
        let mut departure = Store::leave(&base.settings)?;
        let living = |held: &HeldLock| !held.stale && processes.liveness(&held.holder) != Liveness::Dead;
        let Some(held) = departure.held()?.into_iter().find(living) else { return Ok(departure) };
        if waited >= bound {
            return Err(Failure::locked(&held, processes.liveness(&held.holder)));
        }
        if waited.is_zero() {
            base.progress.transition(&format!("waiting for {}", held.key));
        }
        drop(departure);
        rest(PAUSE);
        waited += PAUSE;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a look locks writers out, so it must not be held while one waits; and a signal ends the process"
)]
fn rest(pause: Duration) {
    std::thread::sleep(pause);
}

/// What has been said of how far it is.
struct Shown<'a> {
    progress: &'a Progress,
    last: (&'static str, u64),
}

impl Shown<'_> {
    /// Says every tenth of a large table.
    fn step(&mut self, step: Step) {
        let (what, done, of) = match step {
            Step::Copied { table, rows, of } => (table, rows, of),
            Step::Replayed { plans, of } => ("", plans, of),
        };
        let tenth = (done * 10).checked_div(of).unwrap_or_default();
        if of < LARGE || (what, tenth) == self.last {
            return;
        }
        self.last = (what, tenth);
        let doing = if what.is_empty() { "replaying logs" } else { what };
        self.progress.transition(&format!("{doing}: {done} of {of}"));
    }
}

fn report(moved: &Moved, from: &Address, to: &Address) -> Report {
    let mut grid = Grid::new(&["TABLE", "ROWS"]);
    for (table, rows) in &moved.tables {
        grid.row([(*table).to_owned(), rows.to_string()]);
    }
    let tables: serde_json::Map<_, _> =
        moved.tables.iter().map(|(table, rows)| ((*table).to_owned(), json!(rows))).collect();
    let data = json!({
        "from": from.place,
        "to": to.place,
        "tables": tables,
        "replayed": moved.replayed,
        "already": moved.already,
    });
    let report = Report { body: Body::Table(grid), ..Report::of(data) };
    let report = if moved.already {
        report.message(format!("everything has been moved to {} before", to.place))
    } else {
        report.message(format!("everything is in {} now; {} logs replayed there", to.place, moved.replayed))
    };
    report
        .message(format!("{} is closed: commands that use it are refused", from.place))
        .message("next: set AGENTS_DATABASE_URL to the new one, or database_url in the configuration file")
        .message(format!("try it: agents --database-url {} plan list", quoted(&to.place)))
}

/// Makes a restored backup safe to go on with. Refused while a process that is seen to live on this
/// machine holds a lock, for how long ever: it would be torn from its work.
pub(super) fn restored(base: &Base) -> Result<Report, Failure> {
    let settings = &base.settings;
    // What cannot be left cannot be restored either, and is told why below; or it is of another machine,
    // whose processes are not to be seen from here.
    if let Ok(mut there) = Store::leave(settings) {
        let processes = base.processes();
        let lives = |held: &HeldLock| processes.liveness(&held.holder) == Liveness::Alive;
        if let Some(held) = there.held()?.into_iter().find(lives) {
            return Err(Failure::alive(&held));
        }
    }
    let restored = Store::restored(settings)?;
    let data = json!({
        "cleared": restored.cleared,
        "tickets": restored.tickets,
        "reopened_from": restored.reopened,
    });
    let report = Report::of(data).message(format!(
        "{} leases and {} places in line were cleared; every fencing token is higher than any before",
        restored.cleared, restored.tickets
    ));
    let report = match &restored.reopened {
        Some(to) => report.message(format!("the database is open again; do not use {to} any more")),
        None => report,
    };
    Ok(report.message("next: agents db check, then agents recover"))
}
