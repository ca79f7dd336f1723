//! `agents diagnostics`: what is well and what is not. Changes nothing.

pub(super) mod remotes;
mod worktrees;

use std::path::Path;

use agents_domain::places::Places as _;
use agents_infrastructure::git::Git;
use serde_json::json;

use crate::app::{App, Base};
use crate::commands::{recover, worker};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report, occupant_lines, places_line};
use crate::store::Store;

/// Less free space than this and work may be lost (MiB).
const DISK_ERROR: u64 = 100;
/// Less free space than this is worth a word (MiB).
const DISK_WARN: u64 = 1024;

/// How one thing is.
struct Check {
    name: &'static str,
    status: &'static str,
    message: String,
    hint: Option<String>,
}

fn ok(name: &'static str, message: impl Into<String>) -> Check {
    Check { name, status: "ok", message: message.into(), hint: None }
}

fn failed(name: &'static str, failure: Failure) -> Check {
    Check { name, status: "error", message: failure.message, hint: failure.hints.into_iter().next() }
}

fn bad(name: &'static str, status: &'static str, message: impl Into<String>, hint: &str) -> Check {
    Check { name, status, message: message.into(), hint: Some(hint.to_owned()) }
}

/// Looks at everything; exit 1 if anything is an error.
pub fn diagnostics(base: Base) -> Result<Report, Failure> {
    let mut checks = vec![config(&base), migrations(&base), git(), disk(&base.settings.state_dir)];
    match base.open() {
        Err(failure) => checks.push(failed("database", failure)),
        Ok(app) => {
            checks.push(ok("database", app.store.place()));
            checks.extend([fencing(&app), locks(&app), plans(&app), places(&app)]);
            checks.extend([workers(&app), remotes::check(&app), worktrees::check(&app)]);
        }
    }
    Ok(report(&checks))
}

fn config(base: &Base) -> Check {
    let file = &base.settings.config_file;
    let state = if file.exists() { "read" } else { "not there; defaults are in force" };
    ok("config", format!("{}: {state}", file.display()))
}

fn migrations(base: &Base) -> Check {
    match Store::describe(&base.settings) {
        Ok(status) if status.pending => {
            bad("migrations", "error", format!("schema {}", status.schema_version), "agents db migrate")
        }
        Ok(status) if status.schema_version > status.known_version => {
            let message = format!("schema {}, newer than this program", status.schema_version);
            bad("migrations", "error", message, "use a newer version of agents")
        }
        Ok(status) => ok("migrations", format!("schema {}, current", status.schema_version)),
        Err(failure) => failed("migrations", failure),
    }
}

fn git() -> Check {
    match Git::default().check() {
        Ok(()) => ok("git", "recent enough"),
        Err(error) => bad("git", "error", error.to_string(), "install git 2.38 or newer"),
    }
}

fn disk(state_dir: &Path) -> Check {
    let Some(there) = state_dir.ancestors().find(|path| path.exists()) else {
        return bad("disk", "error", "no directory to look at", "agents init");
    };
    match rustix::fs::statvfs(there) {
        Err(error) => bad("disk", "warn", error.to_string(), "look at the file system"),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize) >> 20;
            let message = format!("{free} MiB free at {}", there.display());
            match free {
                DISK_WARN.. => ok("disk", message),
                DISK_ERROR.. => bad("disk", "warn", message, "make room"),
                _ => bad("disk", "error", message, "make room"),
            }
        }
    }
}

fn fencing(app: &App) -> Check {
    if app.lifecycle().locks().is_fenced() {
        ok("fencing", "every transition is made under a lock and checked by its token")
    } else {
        bad("fencing", "error", "transitions are not fenced", "use a build with a lock service")
    }
}

fn locks(app: &App) -> Check {
    match app.block_on(app.locks().count_stale()) {
        Ok(0) => ok("locks", "no stale locks"),
        Ok(n) => bad("locks", "warn", format!("{n} stale"), "agents lock list --stale"),
        Err(error) => bad("locks", "error", error.to_string(), "agents db check"),
    }
}

fn plans(app: &App) -> Check {
    match recover::stuck(app) {
        Ok(stuck) if stuck.is_empty() => ok("plans", "none is without a driver"),
        Ok(stuck) => {
            bad("plans", "warn", format!("{} in processing without a driver", stuck.len()), "agents recover")
        }
        Err(failure) => bad("plans", "error", failure.message, "agents db check"),
    }
}

fn places(app: &App) -> Check {
    match app.block_on(app.places().census()) {
        Ok(census) => {
            let who = occupant_lines(&census).into_iter();
            ok("places", std::iter::once(places_line(&census)).chain(who).collect::<Vec<_>>().join("; "))
        }
        Err(error) => bad("places", "error", error.to_string(), "mend the state directory"),
    }
}

/// Orders that nobody is there to take up.
fn workers(app: &App) -> Check {
    let counted = app.block_on(async {
        let open = app.orders().list().await?;
        let waiting = open.iter().filter(|order| order.claim.is_none()).count();
        Ok::<_, Failure>((open.len(), waiting, worker::alive(app).await?.len()))
    });
    match counted {
        Ok((_, waiting, 0)) if waiting > 0 => {
            let message = format!("{waiting} orders wait, and no worker is alive");
            bad("workers", "warn", message, "agents worker run")
        }
        Ok((open, waiting, alive)) => {
            ok("workers", format!("{alive} alive; {open} orders open, {waiting} of them wait"))
        }
        Err(failure) => bad("workers", "error", failure.message, "agents db check"),
    }
}

fn report(checks: &[Check]) -> Report {
    let mut grid = Grid::new(&["CHECK", "STATUS", "MESSAGE", "HINT"]);
    for check in checks {
        let hint = check.hint.clone().unwrap_or_default();
        grid.row([check.name.to_owned(), check.status.to_owned(), check.message.clone(), hint]);
    }
    let data: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name, "status": check.status, "message": check.message, "hint": check.hint,
            })
        })
        .collect();
    let failed = checks.iter().any(|check| check.status == "error");
    let exit = if failed { Exit::Internal } else { Exit::Done };
    Report { body: Body::Table(grid), exit, ..Report::of(json!({ "checks": data })) }
}
