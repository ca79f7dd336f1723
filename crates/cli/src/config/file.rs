//! `config.toml`: texts by key; their meaning is checked where they are put together.

use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::exit::Exit;
use crate::failure::Failure;

/// What `agents init` writes where there is no file: every key, with its default, switched off.
pub const TEMPLATE: &str = r#"# Configuration of agents. A flag and an AGENTS_* variable go before it.
# All values are texts in quotes.

# The database: sqlite:///abs/path, sqlite:path, a path beside this file, or
# postgres://user@host/database for a server. Without it: agents.db in the state directory.
#database_url = "agents.db"

# Whether a pooler in transaction mode (PgBouncer) stands before that server: yes or no.
#database_pooled = "no"

# The same server without its pooler: with it, those who wait are woken by the server instead of asking
# again and again.
#database_direct_url = "postgres://user@host/database"

# How long a lock lasts unless renewed: 5s to 1h.
#lease_ttl = "5m"

# How long a command has between TERM and KILL.
#grace = "10s"

# How many commands run at once on this machine, over all plans: 1 to 64.
#concurrency = "4"

# How deep subplans may nest: 1 to 20.
#subplan_depth = "5"

# The name of this machine among those that share the database: letters, digits, `.`, `_`, `-`.
# Without it: the system's machine id, shown as the host's name.
#machine = "builder-1"

# How long one exchange with the remote of a project may take, a fetch or a push: 1s to 24h.
#remote_timeout = "10m"

# The level of new plans that are given none: manual, review or auto.
# Without it: what their action says.
#automation = "review"

# Colour on stderr: auto, always or never.
#color = "auto"
"#;

/// The keys of the file. Any other is an error: a misspelt key would be a silent default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Which database.
    pub database_url: Option<String>,
    /// The same, past its pooler.
    pub database_direct_url: Option<String>,
    /// Whether there is one.
    pub database_pooled: Option<String>,
    /// How long a lock lasts unless renewed.
    pub lease_ttl: Option<String>,
    /// Between TERM and KILL.
    pub grace: Option<String>,
    /// How many commands run at once.
    pub concurrency: Option<String>,
    /// How deep subplans may nest.
    pub subplan_depth: Option<String>,
    /// The name of this machine.
    pub machine: Option<String>,
    /// How long one exchange with a remote may take.
    pub remote_timeout: Option<String>,
    /// The level of new plans.
    pub automation: Option<String>,
    /// When colour is used.
    pub color: Option<String>,
}

impl ConfigFile {
    /// Reads the file. One that is not there is empty, unless somebody named it.
    pub fn read(path: &Path, explicit: bool) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(error) if error.kind() == ErrorKind::NotFound && !explicit => Ok(Self::default()),
            Err(error) => {
                let message = format!("the configuration {} cannot be read", path.display());
                Err(Failure::new(Exit::Usage, "invalid_config", message).caused_by(&error))
            }
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let (line, column) = error.span().map_or((1, 1), |span| position(text, span.start));
            let message =
                format!("{}:{line}:{column}: {}", path.display(), error.message().replace('\n', " "));
            Failure::new(Exit::Usage, "invalid_config", message)
        })
    }
}

/// Line and column of a byte, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_named_with_its_place_and_the_keys_there_are() {
        let failure = ConfigFile::parse("color = \"auto\"\nleese_ttl = \"1m\"\n", Path::new("c.toml"))
            .expect_err("unknown key");
        assert!(failure.message.starts_with("c.toml:2:1: unknown field `leese_ttl`"), "{}", failure.message);
        assert!(failure.message.contains("`lease_ttl`"));
    }

    #[test]
    fn broken_toml_and_wrong_types_are_usage_errors() {
        for text in ["color = ", "color = 5", "= x", "[color]"] {
            let failure = ConfigFile::parse(text, Path::new("c.toml")).expect_err("broken");
            assert_eq!((failure.exit, failure.code), (Exit::Usage, "invalid_config"), "{text}");
        }
    }

    #[test]
    fn the_template_is_empty_and_each_of_its_keys_works() {
        let path = Path::new("c.toml");
        assert_eq!(ConfigFile::parse(TEMPLATE, path).expect("comments"), ConfigFile::default());
        let on: String = TEMPLATE.split_inclusive('\n').filter_map(|line| line.strip_prefix('#')).collect();
        let keys: String = on.split_inclusive('\n').filter(|line| !line.starts_with(' ')).collect();
        let file = ConfigFile::parse(&keys, path).expect("keys");
        let (times, rest) = (
            [file.lease_ttl, file.grace],
            [
                file.concurrency,
                file.subplan_depth,
                file.machine,
                file.remote_timeout,
                file.automation,
                file.color,
            ],
        );
        let database = [file.database_url, file.database_pooled, file.database_direct_url];
        let all = [&database[..], &times, &rest].concat();
        assert!(all.iter().all(Option::is_some), "{all:?}");
    }

    #[test]
    fn a_directory_is_no_configuration() {
        let dir = tempfile::tempdir().expect("scratch directory");
        assert!(ConfigFile::read(dir.path(), false).is_err());
    }
}
