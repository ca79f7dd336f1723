//! How it looks: arguments, configuration, failures, rendering.
//!
//! The way of one command: text → [`args`] → [`dispatch`] → [`render`] → exit code. Three
//! promises hold for every command:
//!
//! 1. stdout carries data only, and with `--json` exactly one document, on failure too.
//! 2. Only [`render`] writes, only [`mod@env`] reads the environment, only `main` exits.
//! 3. Every exit code is one of [`exit::Exit`], and every command that a message names parses.

#[cfg(not(feature = "sqlite"))]
compile_error!(
    "agents keeps plans in SQLite unless told: build it with the feature sqlite, and postgres beside it"
);

pub mod app;
pub mod args;
pub mod commands;
pub mod config;
pub mod dispatch;
pub mod env;
pub mod exit;
pub mod failure;
pub mod remedy;
pub mod render;
#[cfg(feature = "sabotage")]
pub mod sabotage;
pub mod signals;
pub mod store;
pub mod watch;

use std::ffi::OsString;
use std::io::Write;

use args::{Cli, Command, Stop};
use env::Env;
use exit::Exit;
use failure::Failure;
use render::{Body, Output, Progress, Report, Shared, Style};

/// Runs one command line from its text to its exit code.
pub fn run(argv: &[OsString], env: &Env, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Exit {
    let cli = match args::parse(argv) {
        Ok(cli) => cli,
        Err(stop) => return stopped(stop, argv, env, out, err),
    };
    let command = cli.command.name();
    render::trace(cli.global.verbose);
    match config::Settings::resolve(&cli.global, env) {
        Ok(settings) => {
            let err = Shared::new(err);
            let progress = match cli.command {
                Command::Worker(_) => Progress::lines(&cli.global, Box::new(err.clone())),
                _ => Progress::new(&cli.global, env, Box::new(err.clone())),
            };
            let output = Output::new(Style::of(&cli.global, &settings, env), out, Box::new(err));
            let outcome = dispatch::dispatch(&cli, &settings, env, progress);
            output.finish(command, outcome.map_err(|failure| advised(&cli, argv, failure)))
        }
        Err(failure) => Output::new(Style::before_settings(cli.global.format(), env), out, err)
            .finish(command, Err(failure)),
    }
}

/// A command line that names no command to run: help, the version, or a mistake.
fn stopped(
    stop: Stop,
    argv: &[OsString],
    env: &Env,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
) -> Exit {
    let output = Output::new(Style::before_settings(args::format_wished(argv), env), out, err);
    let outcome = match stop {
        Stop::Text(text) => {
            let data = serde_json::json!({ "text": &text });
            Ok(Report { body: Body::Text(text), ..Report::of(data) })
        }
        Stop::Usage(failure) => Err(*failure),
    };
    output.finish(&args::command_wished(argv), outcome)
}

/// A conflict suggests to wait, unless the command said how long.
fn advised(cli: &Cli, argv: &[OsString], failure: Failure) -> Failure {
    let told = cli.global.no_wait || cli.global.wait.is_some();
    if told { failure } else { failure.suggest_waiting(argv) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use render::Capture;
    use serde_json::Value;

    fn ran(line: &str, env: &Env) -> (Exit, String, String) {
        let argv: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let (out, err) = (Capture::default(), Capture::default());
        let exit = run(&argv, env, Box::new(out.clone()), Box::new(err.clone()));
        (exit, out.text(), err.text())
    }

    fn bare() -> Env {
        Env { home: Some("/nowhere".into()), ..Env::default() }
    }

    #[test]
    fn json_is_one_document_however_a_command_ends() {
        for (line, command, code) in [
            ("agents --json", "agents", 2),
            ("agents --json plan exeucte 01JV", "plan", 2),
            ("agents plan status - --format json", "plan.status", 2),
            ("agents --json help nothing", "help", 2),
            ("agents --json recover --config /nowhere/c.toml", "recover", 2),
            ("agents --json help exit-codes", "help", 0),
            ("agents plan execute --help --json", "plan.execute", 0),
            ("agents --json --version", "agents", 0),
        ] {
            let (exit, out, err) = ran(line, &bare());
            let document: Value = serde_json::from_str(&out).unwrap_or_else(|why| panic!("`{line}`: {why}"));
            assert_eq!((document["command"].as_str(), exit.code()), (Some(command), code), "{line}");
            assert_eq!((document["exit_code"].as_u64(), err.as_str()), (Some(code.into()), ""), "{line}");
        }
    }

    #[test]
    fn help_goes_to_stdout_and_mistakes_to_stderr() {
        let (exit, out, err) = ran("agents help plan execute", &bare());
        assert!(exit == Exit::Done && out.contains("Usage: agents plan execute") && err.is_empty());
        let (exit, out, err) = ran("agents plan exeucte 01JV", &bare());
        assert!(exit == Exit::Usage && out.is_empty() && err.starts_with("error: unrecognized"), "{err}");
        let (_, out, _) = ran("agents help exit-codes --format plain", &bare());
        assert_eq!(out.lines().count(), Exit::ALL.len());
    }

    #[test]
    fn a_mistake_in_the_settings_is_told_before_anything_is_done() {
        let env = Env { grace: Some("soon".to_owned()), ..bare() };
        let (exit, out, err) = ran("agents recover", &env);
        assert!(exit == Exit::Usage && out.is_empty() && err.contains("AGENTS_GRACE"), "{err}");
    }

    #[test]
    fn only_commands_that_did_not_say_how_long_to_wait_are_told_to() {
        let argv = ["agents", "plan", "execute", "01JV8Q"].map(OsString::from);
        let Ok(cli) = args::parse(&argv) else { panic!("does not parse") };
        let locked = || Failure::new(Exit::Conflict, "lock_conflict", "locked");
        assert_eq!(advised(&cli, &argv, locked()).hints.len(), 1);
        let mut patient = cli.clone();
        patient.global.no_wait = true;
        assert!(advised(&patient, &argv, locked()).hints.is_empty());
    }
}
