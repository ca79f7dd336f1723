//! Settings: flag, then `AGENTS_*`, then `config.toml`, then the default.
//!
//! Every value is checked wherever it comes from, and a mistake names its place. No file of a
//! cloned repository configures anything.

mod database;
mod file;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use agents_domain::action::Automation;
use agents_domain::subplan::MAX_DEPTH;
use agents_domain::time::Ttl;
use clap::ValueEnum;

pub use database::{Database, InvalidDatabase};
pub use file::{ConfigFile, TEMPLATE};
pub use state::private_directory;

use crate::args::{ColorWish, Global, value};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;

/// Between TERM and KILL, unless told (`execution.md` of the design).
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// How many commands run at once on this machine, unless told (`execution.md` of the design).
const DEFAULT_CONCURRENCY: u32 = 4;

/// What a big repository takes over a slow line, and more than a hook should.
const DEFAULT_REMOTE_TIMEOUT: Duration = Duration::from_mins(10);

/// What helps against nearly every URL of a server that cannot be read.
const ESCAPES: &str = "write postgres://USER:PASSWORD@HOST:PORT/DATABASE?KEY=VALUE, and within a part `%` as %25, `@` as \
                       %40, `/` as %2F, `:` as %3A, `?` as %3F, `&` as %26, `=` as %3D and a blank as %20; or leave the \
                       password out and give it in PGPASSWORD or ~/.pgpass";

/// Deeper nesting of subplans than this is a mistake, whatever is configured.
const DEEPEST: u32 = 20;

/// What is in force for one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The configuration file, whether it exists or not.
    pub config_file: PathBuf,
    /// Where database, worktrees and logs live; made with mode 0700 by whoever needs it.
    pub state_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// The same, past its pooler; `None`: there is none, or no way past it.
    pub direct: Option<Database>,
    /// Whether a pooler in transaction mode stands before it.
    pub pooled: bool,
    /// How long a lock lasts unless renewed.
    pub lease_ttl: Ttl,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How many commands run at once on this machine.
    pub concurrency: u32,
    /// How deep subplans may nest.
    pub subplan_depth: u32,
    /// The name of this machine among those that share the database; `None`: the system says.
    pub machine: Option<String>,
    /// How long one exchange with the remote of a project may take.
    pub remote_timeout: Duration,
    /// The level of new plans that are given none; `None`: their action says.
    pub automation: Option<Automation>,
    /// When colour is used.
    pub color: ColorWish,
}

impl Settings {
    /// Puts flags, environment and file together. Reads the file, and nothing else.
    pub fn resolve(flags: &Global, env: &Env) -> Result<Self, Failure> {
        let (config_file, state_dir) = places(flags, env)?;
        let explicit = flags.config.is_some() || env.config.is_some();
        let file = ConfigFile::read(&config_file, explicit)?;
        Ok(Self {
            database: database(flags, env, &file, &config_file, &state_dir)?,
            direct: setting(
                "database_direct_url",
                env.database_direct_url.as_ref(),
                file.database_direct_url.as_ref(),
                &config_file,
                direct,
            )?,
            pooled: setting(
                "database_pooled",
                env.database_pooled.as_ref(),
                file.database_pooled.as_ref(),
                &config_file,
                yes_or_no,
            )?
            .unwrap_or_default(),
            lease_ttl: match flags.lease_ttl {
                Some(given) => given,
                None => setting(
                    "lease_ttl",
                    env.lease_ttl.as_ref(),
                    file.lease_ttl.as_ref(),
                    &config_file,
                    |text| value::ttl(text).map_err(|error| error.to_string()),
                )?
                .unwrap_or_default(),
            },
            grace: setting("grace", env.grace.as_ref(), file.grace.as_ref(), &config_file, |text| {
                length(text, None)
            })?
            .unwrap_or(DEFAULT_GRACE),
            concurrency: setting(
                "concurrency",
                env.concurrency.as_ref(),
                file.concurrency.as_ref(),
                &config_file,
                |text| number(text, 64),
            )?
            .unwrap_or(DEFAULT_CONCURRENCY),
            subplan_depth: setting(
                "subplan_depth",
                env.subplan_depth.as_ref(),
                file.subplan_depth.as_ref(),
                &config_file,
                |text| number(text, DEEPEST),
            )?
            .unwrap_or(MAX_DEPTH),
            machine: setting(
                "machine",
                env.machine.as_ref(),
                file.machine.as_ref(),
                &config_file,
                machine_name,
            )?,
            remote_timeout: setting(
                "remote_timeout",
                env.remote_timeout.as_ref(),
                file.remote_timeout.as_ref(),
                &config_file,
                |text| length(text, Some(["1s", "24h"])),
            )?
            .unwrap_or(DEFAULT_REMOTE_TIMEOUT),
            automation: setting(
                "automation",
                env.automation.as_ref(),
                file.automation.as_ref(),
                &config_file,
                level,
            )?,
            color: match flags.color {
                Some(given) => given,
                None => setting("color", env.color.as_ref(), file.color.as_ref(), &config_file, |text| {
                    ColorWish::from_str(text, false).map_err(|_| "use auto, always or never".to_owned())
                })?
                .unwrap_or_default(),
            },
            config_file,
            state_dir,
        })
    }
}

fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text.trim().parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("use a number from 1 to {most}"))
}

/// A length of time; `within`: from the one to the other.
fn length(text: &str, within: Option<[&str; 2]>) -> Result<Duration, String> {
    let parsed = |text| value::duration(text).map_err(|error| error.to_string());
    let given = parsed(text)?;
    match within {
        Some([least, most]) if !(parsed(least)?..=parsed(most)?).contains(&given) => {
            Err(format!("use a time from {least} to {most}"))
        }
        _ => Ok(given),
    }
}

/// It stands in rows, messages and lines for people; nothing that could be taken for more.
fn machine_name(text: &str) -> Result<String, String> {
    const LONGEST: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = (1..=LONGEST).contains(&text.len()) && text.chars().all(fits);
    if good {
        Ok(text.to_owned())
    } else {
        Err("use letters, digits, `.`, `_` and `-`, at most 64".to_owned())
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.trim() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("use yes or no".to_owned()),
    }
}

fn direct(text: &str) -> Result<Database, String> {
    match Database::parse(text, None) {
        Ok(Database::Sqlite(_)) => Err("a file has no pooler before it; use postgres://…".to_owned()),
        database => database.map_err(|error| error.to_string()),
    }
}

fn level(text: &str) -> Result<Automation, String> {
    Automation::parse(text).ok_or_else(|| "use manual, review or auto".to_owned())
}

/// The configuration file and the state directory. `AGENTS_HOME` moves both.
fn places(flags: &Global, env: &Env) -> Result<(PathBuf, PathBuf), Failure> {
    let home = env.home.as_ref();
    let state = home.map(|home| home.join("state")).or_else(|| Some(env.xdg_state.as_ref()?.join("agents")));
    let config = flags
        .config
        .clone()
        .or_else(|| env.config.clone())
        .or_else(|| home.map(|home| home.join("config.toml")))
        .or_else(|| Some(env.xdg_config.as_ref()?.join("agents/config.toml")));
    config.zip(state).ok_or_else(|| {
        Failure::usage("there is no home directory to keep files in").hint("set HOME, or AGENTS_HOME")
    })
}

/// A value from the environment, else from the file; a mistake names where it stands.
fn setting<T>(
    key: &str,
    variable: Option<&String>,
    in_file: Option<&String>,
    file: &Path,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    let wrong = |place: String, text: &str, why: &str| {
        // A URL may hold a password.
        let text =
            if key.ends_with("url") { "what is written there".to_owned() } else { format!("`{text}`") };
        let failure =
            Failure::new(Exit::Usage, "invalid_config", format!("{place}: {text} is no {key}: {why}"));
        if key.ends_with("url") { failure.hint(ESCAPES) } else { failure }
    };
    if let Some(text) = variable {
        let place = || format!("AGENTS_{}", key.to_ascii_uppercase());
        return parse(text).map(Some).map_err(|why| wrong(place(), text, &why));
    }
    let place = || file.display().to_string();
    in_file.map(|text| parse(text).map_err(|why| wrong(place(), text, &why))).transpose()
}

/// Relative paths are meant from where they are written: the working directory, or the file's.
fn database(
    flags: &Global,
    env: &Env,
    file: &ConfigFile,
    config_file: &Path,
    state_dir: &Path,
) -> Result<Database, Failure> {
    let written = |text: &str, place: String, base: Option<&Path>| {
        Database::parse(text, base).map_err(|error| database_failure(&error, &place))
    };
    if let Some(text) = &flags.database_url {
        return written(text, "--database-url".to_owned(), None);
    }
    if let Some(text) = &env.database_url {
        return written(text, "AGENTS_DATABASE_URL".to_owned(), None);
    }
    match &file.database_url {
        Some(text) => written(text, config_file.display().to_string(), config_file.parent()),
        None => Ok(Database::Sqlite(state_dir.join("agents.db"))),
    }
}

/// The database that an argument names; a relative path starts in the working directory.
pub fn database_at(text: &str) -> Result<Database, Failure> {
    Database::parse(text, None).map_err(|error| database_failure(&error, "the target"))
}

fn database_failure(error: &InvalidDatabase, place: &str) -> Failure {
    let code = match error {
        InvalidDatabase::Unsupported { .. } => "database_unsupported",
        InvalidDatabase::Malformed { .. } | InvalidDatabase::Url { .. } => "invalid_database_url",
    };
    let failure = Failure::new(Exit::Usage, code, format!("{place}: {error}"));
    match error {
        InvalidDatabase::Url { .. } => failure.hint(ESCAPES),
        _ => failure.hint(
            "use sqlite:///abs/path, sqlite:path, a path, or postgres://…; without any, the database is in the state directory",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare() -> Env {
        Env {
            xdg_config: Some("/nowhere/config".into()),
            xdg_state: Some("/nowhere/state".into()),
            ..Env::default()
        }
    }

    fn configured(text: &str) -> (tempfile::TempDir, Env) {
        let dir = tempfile::tempdir().expect("scratch directory");
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        let env = Env { home: Some(dir.path().into()), ..bare() };
        (dir, env)
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let settings = Settings::resolve(&Global::default(), &bare()).expect("defaults");
        assert_eq!(settings.config_file, Path::new("/nowhere/config/agents/config.toml"));
        assert_eq!(settings.database, Database::Sqlite("/nowhere/state/agents/agents.db".into()));
        assert_eq!((settings.lease_ttl, settings.grace), (Ttl::default(), Duration::from_secs(10)));
        assert_eq!((settings.automation, settings.color), (None, ColorWish::Auto));
        assert_eq!(settings.concurrency, 4);
    }

    #[test]
    fn there_are_one_to_sixty_four_places() {
        let resolved = |text: &str| {
            let env = Env { concurrency: Some(text.to_owned()), ..bare() };
            Settings::resolve(&Global::default(), &env).map(|settings| settings.concurrency)
        };
        assert_eq!((resolved("1"), resolved(" 64 ")), (Ok(1), Ok(64)));
        for bad in ["0", "65", "-1", "many", "4.0"] {
            let failure = resolved(bad).expect_err("out of bounds");
            assert!(failure.message.starts_with("AGENTS_CONCURRENCY: "), "{}", failure.message);
        }
        let (_keep, env) = configured("concurrency = \"2\"");
        assert_eq!(Settings::resolve(&Global::default(), &env).expect("file").concurrency, 2);
    }

    #[test]
    fn an_exchange_with_a_remote_takes_a_second_to_a_day_and_ten_minutes_unless_told() {
        let resolved = |text: Option<&str>| {
            let env = Env { remote_timeout: text.map(str::to_owned), ..bare() };
            Settings::resolve(&Global::default(), &env).map(|settings| settings.remote_timeout)
        };
        assert_eq!(resolved(None), Ok(Duration::from_mins(10)));
        for (text, given) in [("1s", Duration::from_secs(1)), ("24h", Duration::from_hours(24))] {
            assert_eq!(resolved(Some(text)), Ok(given));
        }
        for bad in ["999ms", "24h1s", "soon"] {
            let failure = resolved(Some(bad)).expect_err("out of bounds");
            assert!(failure.message.starts_with("AGENTS_REMOTE_TIMEOUT: "), "{}", failure.message);
        }
        let (_keep, env) = configured("remote_timeout = \"2m\"");
        let told = Settings::resolve(&Global::default(), &env).expect("file").remote_timeout;
        assert_eq!(told, Duration::from_mins(2));
    }

    #[test]
    fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
        let text = "lease_ttl = \"10s\"\ngrace = \"1s\"\nautomation = \"auto\"\ncolor = \"never\"\ndatabase_url = \"f.db\"";
        let (dir, mut env) = configured(text);
        let from_file = Settings::resolve(&Global::default(), &env).expect("file");
        assert_eq!(from_file.lease_ttl.as_duration(), Duration::from_secs(10));
        assert_eq!(from_file.grace, Duration::from_secs(1));
        assert_eq!((from_file.automation, from_file.color), (Some(Automation::Auto), ColorWish::Never));
        assert_eq!(from_file.database, Database::Sqlite(dir.path().join("f.db")));
        assert_eq!(from_file.state_dir, dir.path().join("state"));

        env.lease_ttl = Some("20s".to_owned());
        env.color = Some("always".to_owned());
        env.database_url = Some("/v.db".to_owned());
        let from_env = Settings::resolve(&Global::default(), &env).expect("variables");
        assert_eq!(from_env.lease_ttl.as_duration(), Duration::from_secs(20));
        assert_eq!(
            (from_env.color, from_env.database),
            (ColorWish::Always, Database::Sqlite("/v.db".into()))
        );

        let flags = Global {
            lease_ttl: Ttl::new(Duration::from_secs(30)).ok(),
            color: Some(ColorWish::Auto),
            database_url: Some("sqlite:///w.db".to_owned()),
            ..Global::default()
        };
        let from_flags = Settings::resolve(&flags, &env).expect("flags");
        assert_eq!(from_flags.lease_ttl.as_duration(), Duration::from_secs(30));
        assert_eq!(
            (from_flags.color, from_flags.database),
            (ColorWish::Auto, Database::Sqlite("/w.db".into()))
        );
    }

    #[test]
    fn a_mistake_names_its_place() {
        let (dir, mut env) = configured("grace = \"soon\"");
        let place = dir.path().join("config.toml");
        let failure = Settings::resolve(&Global::default(), &env).expect_err("no length of time");
        assert!(failure.message.starts_with(&format!("{}: `soon` is no grace", place.display())));
        for (variable, name) in [("x", "AGENTS_AUTOMATION"), ("y", "AGENTS_COLOR")] {
            env.grace = Some("1s".to_owned());
            env.automation = (name == "AGENTS_AUTOMATION").then(|| variable.to_owned());
            env.color = (name == "AGENTS_COLOR").then(|| variable.to_owned());
            let failure = Settings::resolve(&Global::default(), &env).expect_err("no such word");
            assert!(failure.message.starts_with(name) && failure.exit == Exit::Usage, "{}", failure.message);
        }
        let ttl = Env { lease_ttl: Some("1s".to_owned()), ..bare() };
        assert!(
            Settings::resolve(&Global::default(), &ttl).expect_err("too short").message.contains("5s to 1h")
        );
    }

    #[test]
    fn another_database_is_refused_wherever_it_is_named() {
        let env = Env { database_url: Some("mysql://db/agents".to_owned()), ..bare() };
        let failure = Settings::resolve(&Global::default(), &env).expect_err("unsupported");
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "database_unsupported"));
        assert!(failure.message.starts_with("AGENTS_DATABASE_URL: "));
        let flags = Global { database_url: Some("sqlite:".to_owned()), ..Global::default() };
        assert_eq!(Settings::resolve(&flags, &bare()).expect_err("no path").code, "invalid_database_url");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_may_have_a_pooler_before_it() {
        let env = Env {
            database_url: Some("postgres://pool/agents".to_owned()),
            database_direct_url: Some("postgres://db/agents".to_owned()),
            database_pooled: Some("yes".to_owned()),
            ..bare()
        };
        let settings = Settings::resolve(&Global::default(), &env).expect("valid");
        assert!(matches!(settings.direct, Some(Database::Postgres(_))) && settings.pooled);
        for (url, pooled) in
            [("agents.db", "yes"), ("mysql://u:secret@h/d", "yes"), ("postgres://h/d", "perhaps")]
        {
            let env = Env {
                database_direct_url: Some(url.to_owned()),
                database_pooled: Some(pooled.to_owned()),
                ..bare()
            };
            let failure = Settings::resolve(&Global::default(), &env).expect_err("wrong");
            assert!(
                failure.exit == Exit::Usage && !failure.message.contains("secret"),
                "{}",
                failure.message
            );
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let flags = Global { config: Some("/nowhere/c.toml".into()), ..Global::default() };
        let failure = Settings::resolve(&flags, &bare()).expect_err("missing");
        assert!(failure.exit == Exit::Usage && failure.message.contains("/nowhere/c.toml"));
        let env = Env { config: Some("/nowhere/e.toml".into()), ..bare() };
        assert!(Settings::resolve(&Global::default(), &env).is_err());
    }

    #[test]
    fn without_a_home_directory_there_is_no_place() {
        let failure = Settings::resolve(&Global::default(), &Env::default()).expect_err("no place");
        assert_eq!(failure.exit, Exit::Usage);
    }
}
