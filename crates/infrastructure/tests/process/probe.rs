//! A binary that is guard and driver, for the tests of the process runner.
//!
//! ```text
//! agents-process-probe __exec                      the guard
//! agents-process-probe __escort PROGRAM ARG…       the escort of a git that speaks with a remote
//! agents-process-probe drive LOG PROGRAM ARG…      a driver; prints how it ended, and its peak memory
//! ```

#![expect(clippy::disallowed_methods, reason = "a program of its own, which hands its environment in")]

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::action::Program;
use agents_domain::id::Ids as _;
use agents_domain::runner::{Context, Invocation, PhaseRunner as _, RunError};
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::git::{ESCORT_COMMAND, run_escort};
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::{GUARD_COMMAND, ProcessRunner, run_guard};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((mode, [])) if mode == GUARD_COMMAND => run_guard(),
        Some((mode, program)) if mode == ESCORT_COMMAND => {
            run_escort(&program.iter().map(OsString::from).collect::<Vec<_>>())
        }
        Some((mode, [log, program @ ..])) if mode == "drive" => drive(log, program),
        _ => ExitCode::FAILURE,
    }
}

fn drive(log: &str, program: &[String]) -> ExitCode {
    let runner = ProcessRunner::new(
        std::env::current_exe().expect("a path"),
        std::env::vars_os(),
        &[],
        render,
        Arc::new(SystemClock),
    );
    let invocation = Invocation {
        plan: SystemIds::new().ulid().into(),
        attempt: 1,
        purpose: "execute".to_owned(),
        program: Program::Run(program.to_vec()),
        context: Context::default(),
        directory: "/".into(),
        log: log.into(),
        timeout: None,
        grace: Duration::from_secs(10),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let report = runtime.block_on(runner.run(invocation, Box::pin(std::future::pending())));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let ended = report.map(|report| report.ended);
    writeln!(std::io::stdout(), "{ended:?}\n{peak}").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn render(program: &Program, _: &Context, purpose: &str) -> Result<Vec<String>, RunError> {
    match program {
        Program::Run(argv) => Ok(argv.clone()),
        Program::Shell(_) => Err(RunError::Template {
            purpose: purpose.to_owned(),
            reason: "the probe gives arguments".to_owned(),
        }),
    }
}
