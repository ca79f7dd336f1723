//! `agents db …`: looking after the database.

mod moving;

use serde_json::json;

use crate::app::Base;
use crate::args::db::DbCommand;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report};
use crate::store::{Described, Store};

/// Runs one of them.
pub fn db(base: &Base, command: &DbCommand) -> Result<Report, Failure> {
    let settings = &base.settings;
    match command {
        DbCommand::Status => Ok(status(Store::describe(settings)?)),
        DbCommand::Migrate => Ok(status(Store::migrate(settings)?).message("the database is up to date")),
        DbCommand::Check => check(&Store::open(settings)?),
        DbCommand::CopyTo { url } => moving::copy_to(base, url),
        DbCommand::Adopt { restored: true } => moving::restored(base),
        DbCommand::Adopt { restored: false } => {
            let adoption = Store::adopt(settings)?;
            let from = adoption.from.clone().unwrap_or_else(|| "nobody".to_owned());
            let data = json!({ "from": adoption.from, "cleared": adoption.cleared });
            Ok(Report::of(data).message(format!(
                "the database is this machine's now (was: {from}); {} locks of the other were cleared",
                adoption.cleared
            )))
        }
    }
}

fn status(described: Described) -> Report {
    let report = Report { body: Body::Facts(described.facts), ..Report::of(described.data) };
    if described.pending { report.message("next: agents db migrate") } else { report }
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
