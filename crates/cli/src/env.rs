//! The environment, read once: variables, directories, and what the streams are.
//!
//! Nothing else reads the environment. Of variables only `AGENTS_*`, the XDG base directories
//! and what terminals agree on are looked at; a bare `DATABASE_URL` belongs to the user's app.

#![expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use etcetera::BaseStrategy;
use etcetera::base_strategy::Xdg;

/// What the process was started with. An empty variable counts as not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Env {
    /// `AGENTS_HOME`, absolute: configuration and state live below it.
    pub home: Option<PathBuf>,
    /// `AGENTS_CONFIG`: the configuration file.
    pub config: Option<PathBuf>,
    /// `AGENTS_DATABASE_URL`.
    pub database_url: Option<String>,
    /// `AGENTS_DATABASE_DIRECT_URL`.
    pub database_direct_url: Option<String>,
    /// `AGENTS_DATABASE_POOLED`.
    pub database_pooled: Option<String>,
    /// `AGENTS_LEASE_TTL`.
    pub lease_ttl: Option<String>,
    /// `AGENTS_GRACE`.
    pub grace: Option<String>,
    /// `AGENTS_CONCURRENCY`.
    pub concurrency: Option<String>,
    /// `AGENTS_SUBPLAN_DEPTH`.
    pub subplan_depth: Option<String>,
    /// `AGENTS_MACHINE`.
    pub machine: Option<String>,
    /// `AGENTS_REMOTE_TIMEOUT`.
    pub remote_timeout: Option<String>,
    /// `AGENTS_AUTOMATION`.
    pub automation: Option<String>,
    /// `AGENTS_COLOR`.
    pub color: Option<String>,
    /// `$XDG_CONFIG_HOME`, or its default.
    pub xdg_config: Option<PathBuf>,
    /// `$XDG_STATE_HOME`, or its default.
    pub xdg_state: Option<PathBuf>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// `TERM` is `dumb`.
    pub dumb: bool,
    /// What the streams are.
    pub streams: Streams,
    /// This program, to be started again: as the guard of a child, and by the demo.
    pub executable: PathBuf,
    /// Everything, for children.
    pub inherited: Vec<(OsString, OsString)>,
    /// Where scratch files go.
    pub temp_dir: PathBuf,
    /// `AGENTS_SABOTAGE`.
    #[cfg(feature = "sabotage")]
    pub sabotage: Option<String>,
    /// `AGENTS_FAILPOINT`.
    #[cfg(feature = "sabotage")]
    pub failpoint: Option<String>,
}

/// What stdin, stdout and stderr are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streams {
    /// A person may answer on stdin.
    pub input_is_terminal: bool,
    /// stdout is a terminal.
    pub output_is_terminal: bool,
    /// stderr is a terminal.
    pub error_is_terminal: bool,
    /// Columns of the terminal on stdout.
    pub width: Option<u16>,
    /// Its lines.
    pub height: Option<u16>,
}

impl Env {
    /// Reads the environment of this process.
    pub fn read() -> Self {
        let bases = Xdg::new().ok();
        Self {
            xdg_config: bases.as_ref().map(BaseStrategy::config_dir),
            xdg_state: bases.as_ref().and_then(BaseStrategy::state_dir),
            streams: Streams::read(),
            executable: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("agents")),
            inherited: std::env::vars_os().collect(),
            temp_dir: std::env::temp_dir(),
            ..Self::from_variables(|name| std::env::var_os(name))
        }
    }

    /// Takes the variables from elsewhere; directories and streams are left out.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let text = |name: &str| set(name).map(|value| value.to_string_lossy().into_owned());
        let absolute = |value: OsString| std::path::absolute(&value).unwrap_or_else(|_| value.into());
        Self {
            home: set("AGENTS_HOME").map(absolute),
            config: set("AGENTS_CONFIG").map(PathBuf::from),
            database_url: text("AGENTS_DATABASE_URL"),
            database_direct_url: text("AGENTS_DATABASE_DIRECT_URL"),
            database_pooled: text("AGENTS_DATABASE_POOLED"),
            lease_ttl: text("AGENTS_LEASE_TTL"),
            grace: text("AGENTS_GRACE"),
            concurrency: text("AGENTS_CONCURRENCY"),
            subplan_depth: text("AGENTS_SUBPLAN_DEPTH"),
            machine: text("AGENTS_MACHINE"),
            remote_timeout: text("AGENTS_REMOTE_TIMEOUT"),
            automation: text("AGENTS_AUTOMATION"),
            color: text("AGENTS_COLOR"),
            no_color: set("NO_COLOR").is_some(),
            #[cfg(feature = "sabotage")]
            sabotage: text("AGENTS_SABOTAGE"),
            #[cfg(feature = "sabotage")]
            failpoint: text("AGENTS_FAILPOINT"),
            dumb: text("TERM").is_some_and(|term| term == "dumb"),
            ..Self::default()
        }
    }
}

impl Streams {
    fn read() -> Self {
        let stdout = std::io::stdout();
        let output_is_terminal = stdout.is_terminal();
        let size = output_is_terminal.then(|| rustix::termios::tcgetwinsize(&stdout).ok()).flatten();
        Self {
            input_is_terminal: std::io::stdin().is_terminal(),
            output_is_terminal,
            error_is_terminal: std::io::stderr().is_terminal(),
            width: size.map(|size| size.ws_col).filter(|columns| *columns > 0),
            height: size.map(|size| size.ws_row).filter(|lines| *lines > 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_not_set_and_a_bare_database_url_is_not_ours() {
        let env = Env::from_variables(|name| match name {
            "AGENTS_LEASE_TTL" | "NO_COLOR" => Some(OsString::new()),
            "DATABASE_URL" => Some("postgres://app".into()),
            "TERM" => Some("dumb".into()),
            _ => None,
        });
        assert_eq!(env, Env { dumb: true, ..Env::default() });
    }

    #[test]
    fn a_relative_home_is_made_absolute() {
        let env = Env::from_variables(|name| (name == "AGENTS_HOME").then(|| "scratch".into()));
        assert!(env.home.expect("set").is_absolute());
    }

    #[test]
    fn this_process_has_an_environment() {
        let env = Env::read();
        assert_eq!(env.xdg_config.is_some(), env.xdg_state.is_some());
    }
}
