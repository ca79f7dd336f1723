//! The binary `agents`: hands the process's arguments, environment and streams to the library,
//! and is the only place that ends the process.

use std::process::ExitCode;

use agents_cli::args;
use agents_cli::env::Env;
use agents_infrastructure::{git, process};

fn main() -> ExitCode {
    let argv: Vec<_> = std::env::args_os().collect();
    if args::is_guard(&argv) {
        return process::run_guard();
    }
    if let Some(line) = args::escorted(&argv) {
        return git::run_escort(line);
    }
    let env = Env::read();
    agents_cli::run(&argv, &env, Box::new(std::io::stdout()), Box::new(std::io::stderr())).into()
}
