//! `agents init`: configuration and database; what is there stays.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use serde_json::json;

use crate::app::Base;
use crate::config::{self, TEMPLATE};
use crate::failure::Failure;
use crate::render::Report;
use crate::store::Store;

/// Makes what is missing. Two at once are fine; if it dies in between, calling it again goes on.
pub fn init(base: &Base) -> Result<Report, Failure> {
    base.make_state_dir()?;
    let made = write_config(base)?;
    let store = Store::create(&base.settings)?;
    let (config, database) = (base.settings.config_file.display(), store.place());
    let data = json!({
        "config": config.to_string(),
        "database": database,
        "state_dir": base.settings.state_dir.display().to_string(),
    });
    let verb = if made { "made" } else { "kept" };
    Ok(Report::of(data)
        .message(format!("configuration: {config} ({verb})"))
        .message(format!("database: {database}"))
        .message("next: agents project add PATH, agents action add FILE; or just: agents demo"))
}

/// Whether the file was made; an existing one is never touched.
fn write_config(base: &Base) -> Result<bool, Failure> {
    let path = &base.settings.config_file;
    if let Some(folder) = path.parent() {
        config::private_directory(folder)?;
    }
    let cannot = |error: std::io::Error| {
        Failure::usage(format!("{} cannot be written", path.display())).caused_by(&error)
    };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(TEMPLATE.as_bytes()).map(|()| true).map_err(cannot),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot(error)),
    }
}
