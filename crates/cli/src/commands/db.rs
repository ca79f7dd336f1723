//! `agents db …`: looking after the database.

use agents_infrastructure::sqlite::{self, DatabaseStatus, SqliteStore};
use serde_json::json;

use crate::app::Base;
use crate::args::db::DbCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report};
use crate::store::Store;

/// Runs one of them.
pub fn db(base: &Base, command: &DbCommand) -> Result<Report, Failure> {
    let options = base.sqlite_options(base.settings.database.path());
    match command {
        DbCommand::Status => Ok(status(&sqlite::status(&options.path)?)),
        DbCommand::Migrate => {
            let after = SqliteStore::migrate(&options)?;
            Ok(status(&after).message("the database is up to date"))
        }
        DbCommand::Check => check(&Store::open(base)?),
        DbCommand::Adopt => {
            let adoption = SqliteStore::adopt(&options)?;
            let from = adoption.from.clone().unwrap_or_else(|| "nobody".to_owned());
            let data = json!({ "from": adoption.from, "cleared": adoption.cleared });
            Ok(Report::of(data).message(format!(
                "the database is this machine's now (was: {from}); {} locks of the other were cleared",
                adoption.cleared
            )))
        }
    }
}

fn status(status: &DatabaseStatus) -> Report {
    let facts = vec![
        ("path", status.path.display().to_string()),
        ("size", status.size.to_string()),
        ("schema", format!("{} (known: {})", status.schema_version, status.known_version)),
        ("pending", status.pending.to_string()),
        ("journal", status.journal_mode.clone()),
        ("machine", status.machine.clone().unwrap_or_default()),
    ];
    let data = json!({
        "path": status.path.display().to_string(),
        "size": status.size,
        "schema_version": status.schema_version,
        "known_version": status.known_version,
        "pending": status.pending,
        "journal_mode": status.journal_mode,
        "machine": status.machine,
    });
    let report = Report { body: Body::Facts(facts), ..Report::of(data) };
    if status.pending { report.message("next: agents db migrate") } else { report }
}

fn check(store: &Store) -> Result<Report, Failure> {
    let found = store.check()?;
    let sound = found.problems.is_empty();
    let data = json!({ "plans": found.plans, "problems": found.problems });
    let message = if sound {
        format!("sound: {} plans replayed", found.plans)
    } else {
        format!("{} problems in {} plans", found.problems.len(), found.plans)
    };
    let exit = if sound { Exit::Done } else { Exit::Store };
    Ok(Report { body: Body::Text(found.problems.join("\n")), exit, ..Report::of(data) }.message(message))
}
