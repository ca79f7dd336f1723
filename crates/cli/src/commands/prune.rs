//! `agents prune`: removes what plans left on disk, plan by plan; without `--yes` it only lists.

use agents_application::LifecycleError;
use agents_application::housekeeping::{Judged, PruneError, Verdict, Wish};
use agents_domain::housekeeping::LeftoverKind;
use agents_domain::id::PlanId;
use agents_domain::lock::LockError;
use serde_json::{Value, json};

use crate::app::App;
use crate::args::PruneArgs;
use crate::commands::drive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report};

/// The age that is asked for unless told, in seconds.
const WEEK: u64 = 7 * 24 * 60 * 60;

/// What came of all plans.
struct Tally {
    grid: Grid,
    items: Vec<Value>,
    skipped: Vec<Value>,
    messages: Vec<String>,
    /// What goes or went, and of how many bytes; what did not go although it was to.
    count: usize,
    bytes: u64,
    failed: usize,
    only_if_kept: usize,
}

/// One plan that cannot be pruned does not stop the rest.
pub fn prune(app: &App, args: &PruneArgs) -> Result<Report, Failure> {
    let projects = app.block_on(app.store.projects().list())?;
    let plans = app.block_on(app.leftovers().plans(&projects))?;
    let (keeper, wish) = (app.housekeeper(), Wish { older_than: args.older_than, kept: args.kept });
    let mut tally = Tally::new();
    drive::over_many(app, "agents prune", async || {
        for plan in plans {
            if app.stop.requested().is_some() {
                break;
            }
            let found = if args.yes { keeper.prune(plan, wish).await } else { keeper.look(plan, wish).await };
            match found {
                Ok(found) => found.iter().for_each(|one| tally.add(one, args)),
                Err(error) => tally.skip(plan, &error),
            }
        }
    })?;
    // Last, so that it is read: a lock that stays is in somebody's way.
    let warnings = app.watch.take_warnings();
    Ok(warnings.into_iter().fold(tally.report(args), Report::message))
}

impl Tally {
    fn new() -> Self {
        let grid = Grid::new(&["PLAN", "ATTEMPT", "PROJECT", "WHAT", "SIZE", "OUTCOME", "PATH"]);
        let (items, skipped, messages) = (Vec::new(), Vec::new(), Vec::new());
        Self { grid, items, skipped, messages, count: 0, bytes: 0, failed: 0, only_if_kept: 0 }
    }

    fn add(&mut self, one: &Judged, args: &PruneArgs) {
        let (leftover, goes) = (&one.leftover, one.verdict.goes(args.kept));
        let (outcome, reason) = outcome(one, goes);
        if goes && one.removed.is_ok() {
            self.count += 1;
            self.bytes += leftover.bytes;
        }
        self.failed += usize::from(one.removed.is_err());
        self.only_if_kept += usize::from(!goes && matches!(one.verdict, Verdict::OnlyIfKept(_)));
        let attempt = leftover.attempt.map(|attempt| attempt.to_string()).unwrap_or_default();
        let project = leftover.project.as_ref().map(ToString::to_string).unwrap_or_default();
        let shown =
            reason.as_ref().map_or_else(|| outcome.to_owned(), |reason| format!("{outcome}: {reason}"));
        let (what, path) = (what(&leftover.kind), leftover.path.display().to_string());
        self.items.push(json!({
            "plan_id": leftover.plan.as_str(), "attempt": leftover.attempt,
            "project": leftover.project.as_ref().map(ToString::to_string), "what": what,
            "path": path, "bytes": leftover.bytes, "outcome": outcome, "reason": reason,
        }));
        let (plan, size) = (leftover.plan.to_string(), size(leftover.bytes));
        self.grid.row([plan, attempt, project, what.to_owned(), size, shown, path]);
    }

    fn skip(&mut self, plan: PlanId, error: &PruneError) {
        let (code, reason) = match error {
            PruneError::Lifecycle(LifecycleError::NoSuchPlan { .. }) => {
                ("unknown", "this database has no such plan; what it left is not touched".to_owned())
            }
            PruneError::Lifecycle(LifecycleError::Lock {
                source: LockError::Conflict { .. } | LockError::Queued(_),
                ..
            }) => ("held", "another process holds it; left alone".to_owned()),
            error => {
                self.failed += 1;
                ("failed", error.to_string())
            }
        };
        self.messages.push(format!("plan {plan}: {reason}"));
        self.skipped.push(json!({ "plan_id": plan.as_str(), "code": code, "reason": reason }));
    }

    fn report(self, args: &PruneArgs) -> Report {
        let data = json!({
            "dry_run": !args.yes, "items": self.items, "skipped": self.skipped,
            "count": self.count, "bytes": self.bytes,
        });
        let mut report = Report { body: Body::Table(self.grid), ..Report::of(data) };
        report.messages = self.messages;
        let sum = format!("{} of {}", things(self.count), size(self.bytes));
        report.messages.push(match (args.yes, self.count) {
            (true, _) => format!("removed {sum}"),
            (false, 0) => "nothing would be removed".to_owned(),
            (false, _) => format!("{sum} would be removed; do it with: {} --yes", command(args, args.kept)),
        });
        if self.only_if_kept > 0 {
            let (kept, are) = (things(self.only_if_kept), if self.only_if_kept == 1 { "is" } else { "are" });
            let list = command(args, true);
            report.messages.push(format!("{kept} {are} nowhere else; list it with: {list}"));
        }
        if self.failed > 0 {
            report.exit = Exit::Internal;
        }
        report
    }
}

/// The command that looks at the same things.
fn command(args: &PruneArgs, kept: bool) -> String {
    let age = match args.older_than.as_secs() {
        WEEK => String::new(),
        seconds => format!(" --older-than {seconds}s"),
    };
    format!("agents prune{age}{}", if kept { " --kept" } else { "" })
}

/// One word, and a reason where there is one.
fn outcome(one: &Judged, goes: bool) -> (&'static str, Option<String>) {
    match (&one.removed, &one.verdict) {
        (Err(error), _) => ("failed", Some(error.clone())),
        (Ok(true), _) => ("removed", None),
        (Ok(false), Verdict::OnlyIfKept(reason)) if goes => ("would go", Some(reason.clone())),
        (Ok(false), Verdict::Goes) => ("would go", None),
        (Ok(false), Verdict::OnlyIfKept(reason)) => ("kept", Some(reason.clone())),
        (Ok(false), Verdict::Stays(reason)) => ("stays", Some(reason.clone())),
    }
}

const fn what(kind: &LeftoverKind) -> &'static str {
    match kind {
        LeftoverKind::Worktree => "worktree",
        LeftoverKind::Preview => "preview",
        LeftoverKind::Record => "record",
        LeftoverKind::Files { .. } => "files",
        LeftoverKind::Branch { .. } => "branch",
        LeftoverKind::Foreign { .. } => "foreign",
    }
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

/// `512 B`, `3 KiB`, `20 MiB`; rounded up, so that only nothing is 0.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!([0, 1023, 1024, 1025, 1 << 20].map(size), ["0 B", "1023 B", "1 KiB", "2 KiB", "1 MiB"]);
        assert_eq!((things(1), things(2)), ("1 thing".to_owned(), "2 things".to_owned()));
    }
}
