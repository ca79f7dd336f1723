//! What an action runs: vectors, scripts, timeouts and retries.

use std::ops::RangeInclusive;
use std::time::Duration;

use agents_domain::action::{PhaseSpec, Program, RetryPolicy};
use jiff::SignedDuration;

use super::super::document::{PhaseEntry, RetryEntry, Vector};
use super::super::located::{Located, Position};
use super::super::yaml::Fault;
use super::fault;
use super::templates::Rehearsal;

/// No command is waited for longer: a year.
const LONGEST: Duration = Duration::from_hours(365 * 24);
/// Attempts that a phase may have by itself.
const ATTEMPTS: RangeInclusive<u32> = 1..=100;
/// Exit codes of a command that failed.
const FAILURES: RangeInclusive<i32> = 1..=255;
/// Why `{{` in a script is refused.
const NO_TEMPLATE: &str = "`shell` is not a template, `{{` would reach the shell as it stands: \
                           arguments are in the environment, as `$AGENTS_ARG_<NAME>`";

/// What one phase runs.
pub(super) fn phase(entry: Located<PhaseEntry>, rehearsal: &mut Rehearsal<'_>) -> Result<PhaseSpec, Fault> {
    let Located { value, at } = entry;
    Ok(PhaseSpec {
        program: program(value.run, value.shell, at, rehearsal)?,
        timeout: value.timeout.as_ref().map(timeout).transpose()?,
        retry: value.retry.as_ref().map(retry).transpose()?,
    })
}

/// Exactly one of `run` and `shell`; `at` is the place of the mapping that should hold it.
pub(super) fn program(
    run: Option<Vector>,
    shell: Option<Located<String>>,
    at: Option<Position>,
    rehearsal: &mut Rehearsal<'_>,
) -> Result<Program, Fault> {
    match (run, shell) {
        (Some(run), None) => vector(run, rehearsal),
        (None, Some(shell)) => script(shell),
        (Some(_), Some(shell)) => Err(fault(shell.at, "give either `run` or `shell`, not both")),
        (None, None) => Err(fault(at, "one of `run` and `shell` is needed here")),
    }
}

/// An argument vector, its templates rehearsed.
pub(super) fn vector(items: Vector, rehearsal: &mut Rehearsal<'_>) -> Result<Program, Fault> {
    match items.value.first() {
        None => return Err(fault(items.at, "the command is empty")),
        Some(first) if first.value.trim().is_empty() => {
            return Err(fault(first.at, "the first item names the program; it is empty"));
        }
        Some(_) => {}
    }
    items.value.iter().try_for_each(|item| rehearsal.item(item))?;
    Ok(Program::Run(items.value.into_iter().map(|item| item.value).collect()))
}

fn script(script: Located<String>) -> Result<Program, Fault> {
    let rule = if script.value.trim().is_empty() {
        "the script is empty"
    } else if script.value.contains('\0') {
        "the script contains a NUL byte"
    } else if script.value.contains("{{") {
        NO_TEMPLATE
    } else {
        return Ok(Program::Shell(script.value));
    };
    Err(fault(script.at, rule))
}

pub(super) fn timeout(text: &Located<String>) -> Result<Duration, Fault> {
    let duration = duration(text)?;
    if duration.is_zero() || duration > LONGEST {
        return Err(fault(text.at, "a timeout must be more than 0 and at most 8760h"));
    }
    Ok(duration)
}

fn backoff(text: &Located<String>) -> Result<Duration, Fault> {
    let duration = duration(text)?;
    if duration.is_zero() || duration > RetryPolicy::LONGEST_PAUSE {
        return Err(fault(text.at, "backoff must be more than 0 and at most 1h"));
    }
    Ok(duration)
}

/// Durations as `jiff` reads them: `90s`, `10m`, `1h30m`, `1h 30m`, `PT10M`.
fn duration(text: &Located<String>) -> Result<Duration, Fault> {
    let parsed = text.value.parse::<SignedDuration>().ok();
    let Some(duration) = parsed.and_then(|duration| Duration::try_from(duration).ok()) else {
        let message = format!("`{}` is not a duration: write for example 90s, 10m or 1h30m", text.value);
        return Err(fault(text.at, message));
    };
    Ok(duration)
}

fn retry(entry: &RetryEntry) -> Result<RetryPolicy, Fault> {
    let attempts = u32::try_from(entry.max_attempts.value).ok().filter(|count| ATTEMPTS.contains(count));
    let Some(max_attempts) = attempts else {
        return Err(fault(entry.max_attempts.at, "max_attempts must be between 1 and 100"));
    };
    let on_exit = entry.on_exit.iter().map(exit_code).collect::<Result<_, _>>()?;
    let backoff = entry.backoff.as_ref().map(backoff).transpose()?;
    Ok(RetryPolicy { max_attempts, on_exit, backoff })
}

fn exit_code(code: &Located<i64>) -> Result<i32, Fault> {
    i32::try_from(code.value)
        .ok()
        .filter(|code| FAILURES.contains(code))
        .ok_or_else(|| fault(code.at, "an exit code of a failure is between 1 and 255"))
}
