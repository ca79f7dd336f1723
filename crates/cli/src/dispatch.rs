//! From a parsed command to its report: one match, one function for each command.

use serde_json::json;

use crate::args::{Cli, Command, Topic, topic};
use crate::config::Settings;
use crate::env::Env;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report};

/// Runs one command.
pub fn dispatch(cli: &Cli, _settings: &Settings, _env: &Env) -> Result<Report, Failure> {
    match &cli.command {
        Command::Help { topic } => help(topic),
        command => Err(Failure::internal(format!("`{}` is not part of this build", command.name()))),
    }
}

fn help(words: &[String]) -> Result<Report, Failure> {
    let codes = match topic(words)? {
        Topic::ExitCodes(codes) => codes,
        Topic::Command(text) => {
            return Ok(Report { body: Body::Text(text.clone()), ..Report::of(json!({ "text": text })) });
        }
    };
    let mut grid = Grid::new(&["CODE", "MEANING"]);
    for exit in &codes {
        grid.row([exit.code().to_string(), exit.meaning().to_owned()]);
    }
    let data: Vec<_> =
        codes.iter().map(|exit| json!({ "code": exit.code(), "meaning": exit.meaning() })).collect();
    Ok(Report { body: Body::Table(grid), ..Report::of(json!({ "exit_codes": data })) })
}
