//! The command line as types: the only place that knows clap.
//!
//! [`parse`] turns text into a [`Cli`] whose values are well formed, or into a [`Stop`]: help to
//! print, or a usage failure. Every command has an example in its help; a test parses each.

pub mod action;
pub mod db;
pub mod events;
pub mod global;
pub mod lock;
pub mod plan;
pub mod project;
mod topic;
mod usage;
pub mod value;
pub mod worker;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use global::{ColorWish, Format, Global};
pub use topic::{Topic, topic};
pub use usage::{Stop, command_wished, format_wished};

use action::ActionCommand;
use db::DbCommand;
use events::EventsArgs;
use lock::LockCommand;
use plan::PlanCommand;
use project::ProjectCommand;
use value::ArgumentInput;
use worker::WorkerCommand;

/// Runs plans on git repositories, each transition exactly once, under an enforced lock.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "agents",
    version,
    after_help = "Examples:\n  agents demo\n  agents run fix-lint . --apply\n  agents plan list\n\nExit codes: agents help exit-codes"
)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What is removed.
#[derive(Debug, Clone, Args)]
pub struct PruneArgs {
    /// Of finished plans, only what has been at rest for so long (12h, 7d)
    #[arg(long, value_name = "D", default_value = "7d", value_parser = value::age)]
    pub older_than: std::time::Duration,
    /// Remove it, not only list it
    #[arg(long)]
    pub yes: bool,
    /// Of finished plans, also what is nowhere else: directories without a whole snapshot, artifacts
    #[arg(long)]
    pub kept: bool,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Create the configuration and the database; what is there stays
    #[command(after_help = "Examples:\n  agents init")]
    Init,
    /// Run plans from start to end in a scratch repository: no key, no network
    #[command(after_help = "Examples:\n  agents demo\n  agents demo --subplans")]
    Demo {
        /// One plan with ten subplans, of which one fails and two do not go together
        #[arg(long)]
        subplans: bool,
    },
    /// Register the repositories that plans work on
    #[command(subcommand)]
    Project(ProjectCommand),
    /// Register the actions that plans use
    #[command(subcommand)]
    Action(ActionCommand),
    /// Use an action on projects: strategize, execute and, when asked, apply in one go
    Run(plan::RunArgs),
    /// Create plans, move them along, look at them
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Look at the locks that are held
    #[command(subcommand)]
    Lock(LockCommand),
    /// Work off what was ordered with --detach
    #[command(subcommand)]
    Worker(WorkerCommand),
    /// Take over what ended processes left behind: record it, so that it can be tried again
    #[command(after_help = "Examples:\n  agents recover")]
    Recover,
    /// Remove what plans left on disk and what is safe elsewhere; without --yes, only list it
    #[command(after_help = "Examples:\n  agents prune\n  agents prune --older-than 30d --yes")]
    Prune(PruneArgs),
    /// Check configuration, database, git, disk, locks, plans and worktrees; changes nothing
    #[command(after_help = "Examples:\n  agents diagnostics\n  agents diagnostics --json")]
    Diagnostics,
    /// Show what happens to all plans, in the order in which it was committed
    Events(EventsArgs),
    /// Show numbers for monitoring, in the text format of Prometheus
    #[command(after_help = "Examples:\n  agents metrics\n  agents metrics --json")]
    Metrics,
    /// Look after the database
    #[command(subcommand)]
    Db(DbCommand),
    /// Explain a command or a topic
    #[command(after_help = "Examples:\n  agents help exit-codes\n  agents help plan execute")]
    Help {
        /// `exit-codes`, or the words of a command
        #[arg(value_name = "TOPIC")]
        topic: Vec<String>,
    },
}

impl Command {
    /// The name in the JSON envelope: `plan.execute`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Demo { .. } => "demo",
            Self::Project(command) => command.name(),
            Self::Action(command) => command.name(),
            Self::Run(_) => "run",
            Self::Plan(command) => command.name(),
            Self::Lock(command) => command.name(),
            Self::Worker(command) => command.name(),
            Self::Recover => "recover",
            Self::Prune(_) => "prune",
            Self::Diagnostics => "diagnostics",
            Self::Events(_) => "events",
            Self::Metrics => "metrics",
            Self::Db(command) => command.name(),
            Self::Help { .. } => "help",
        }
    }

    /// The `--arg key=value` of the command.
    fn arguments(&self) -> &[ArgumentInput] {
        match self {
            Self::Run(run) => &run.plan.args,
            Self::Plan(PlanCommand::Use(plan)) => &plan.args,
            _ => &[],
        }
    }
}

/// Whether this process is the guard of a child (`agents __exec`), to be served before anything
/// else: it is no command for people and takes no arguments.
pub fn is_guard(argv: &[OsString]) -> bool {
    argv.len() == 2 && argv[1] == "__exec"
}

/// What this process is to run as the escort of a git that speaks with a remote (`agents __escort git …`), to be
/// served before anything else: it is no command for people.
pub fn escorted(argv: &[OsString]) -> Option<&[OsString]> {
    argv.get(2..).filter(|line| !line.is_empty() && argv[1] == "__escort")
}

/// The command tree that parses, explains, and is checked by tests. `help` is our own command,
/// so clap's is off everywhere.
pub fn command() -> clap::Command {
    Cli::command().disable_help_subcommand(true).mut_subcommands(|group| group.disable_help_subcommand(true))
}

/// Parses a command line, the program's name first.
pub fn parse(argv: &[OsString]) -> Result<Cli, Stop> {
    let mut tree = command();
    let parsed = tree.try_get_matches_from_mut(argv).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = parsed.map_err(|error| usage::stop(&error, argv))?;
    match contradiction(&cli) {
        None => Ok(cli),
        Some(words) => Err(usage::stop(&tree.error(ErrorKind::ArgumentConflict, words), argv)),
    }
}

/// What clap cannot see: flags given at different levels, and keys given twice.
fn contradiction(cli: &Cli) -> Option<String> {
    if cli.global.wait.is_some() && cli.global.no_wait {
        return Some("the argument '--wait <D>' cannot be used with '--no-wait'".to_owned());
    }
    let arguments = cli.command.arguments();
    let twice = |(at, input): (usize, &ArgumentInput)| {
        let again = arguments[..at].iter().any(|earlier| earlier.name == input.name);
        again.then(|| format!("the argument '--arg {}=…' is given twice", input.name))
    };
    arguments.iter().enumerate().find_map(twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parsed(line: &str) -> Cli {
        parse(&argv(line)).unwrap_or_else(|stop| panic!("`{line}` does not parse: {stop:?}"))
    }

    /// Every command that can be run, with its path of words.
    fn leaves(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
        let path = format!("{path}{}", command.get_name());
        if !command.has_subcommands() {
            return vec![(path, command.clone())];
        }
        command.get_subcommands().flat_map(|sub| leaves(sub, &format!("{path} "))).collect()
    }

    fn examples(text: &str) -> Vec<&str> {
        text.lines().map(str::trim).filter(|line| line.starts_with("agents ")).collect()
    }

    #[test]
    fn clap_finds_no_fault_with_the_tree() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_that_parse_as_that_command() {
        for (path, leaf) in leaves(&command(), "") {
            let help = leaf.get_after_help().unwrap_or_else(|| panic!("`{path}` has no example")).to_string();
            assert!(!examples(&help).is_empty(), "`{path}` has no example");
            for example in examples(&help) {
                crate::remedy::check(example).unwrap_or_else(|why| panic!("{why}"));
                assert!(example.starts_with(&path), "`{example}` is an example of `{path}`");
            }
            assert!(leaf.get_about().is_some(), "`{path}` says nothing about itself");
        }
    }

    #[test]
    fn names_in_json_are_the_words_of_the_command() {
        for (path, leaf) in leaves(&command(), "") {
            let help = leaf.get_after_help().expect("checked above").to_string();
            let words = crate::remedy::words(examples(&help)[0]).expect("checked above");
            let cli = parse(&words.iter().map(OsString::from).collect::<Vec<_>>()).expect("checked above");
            assert_eq!(format!("agents {}", cli.command.name().replace('.', " ")), path);
        }
    }

    #[test]
    fn the_reference_shows_every_command_and_only_what_parses() {
        let reference = include_str!("../../../docs/reference/cli.md");
        let shown = examples(reference);
        for (path, _) in leaves(&command(), "") {
            assert!(shown.iter().any(|line| line.starts_with(&path)), "the reference lacks `{path}`");
        }
        for line in shown {
            crate::remedy::check(line).unwrap_or_else(|why| panic!("docs/reference/cli.md: {why}"));
        }
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let cli = parsed("agents --json -q plan list --lease-ttl 1m -vv --wait 5m --color never");
        assert_eq!(cli.global.format(), Format::Json);
        assert!(cli.global.quiet && cli.global.verbose == 2 && cli.global.color == Some(ColorWish::Never));
        assert_eq!(cli.global.wait, Some(std::time::Duration::from_mins(5)));
    }

    #[test]
    fn only_the_bare_word_is_the_guard() {
        assert!(is_guard(&argv("agents __exec")));
        assert!(!is_guard(&argv("agents __exec x")) && !is_guard(&argv("agents")));
        assert_eq!(escorted(&argv("agents __escort git x")), Some(&argv("git x")[..]));
        assert_eq!((escorted(&argv("agents __escort")), escorted(&argv("agents run git"))), (None, None));
    }

    #[test]
    fn contradictions_at_different_levels_are_usage_errors() {
        for line in ["agents --wait 5m recover --no-wait", "agents run fix . --arg a=1 --arg b=2 --arg a=3"] {
            let Err(Stop::Usage(failure)) = parse(&argv(line)) else { panic!("`{line}` parses") };
            assert_eq!(failure.exit, crate::exit::Exit::Usage);
        }
        parsed("agents run fix . --arg a=1 --arg b=2");
        parsed("agents plan use fix api web --arg a=1 --automation auto --name Lint");
    }

    #[test]
    fn commands_of_later_versions_do_not_parse() {
        for line in ["agents report 01JV", "agents completions bash", "agents plan help"] {
            assert!(matches!(parse(&argv(line)), Err(Stop::Usage(_))), "{line}");
        }
    }
}
