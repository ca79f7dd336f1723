//! Which database: a URL or a path, as a person writes it.

use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use agents_infrastructure::postgres::PostgresUrl;
use thiserror::Error;

/// The database of one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A file, by absolute path where the working directory is known.
    Sqlite(PathBuf),
    /// A server.
    #[cfg(feature = "postgres")]
    Postgres(PostgresUrl),
}

/// The databases that this build knows, for people.
const BUILT_IN: &str = if cfg!(feature = "postgres") { "SQLite or PostgreSQL" } else { "SQLite" };

/// A text that names no database.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDatabase {
    /// Another kind of database.
    #[error("this build has no {kind}; it keeps plans in {}", BUILT_IN)]
    Unsupported {
        /// What it would be. Never the URL: it may hold a password.
        kind: String,
    },
    /// Nothing that names a file.
    #[error("this names no database file: {reason}")]
    Malformed {
        /// Why.
        reason: &'static str,
    },
}

impl Database {
    /// Whether it is a file, of one machine.
    pub const fn is_file(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Parses `postgres://…`, `sqlite:///abs/path`, `sqlite:path` or a plain path. A relative path
    /// starts at `base`, or else in the working directory.
    pub fn parse(text: &str, base: Option<&Path>) -> Result<Self, InvalidDatabase> {
        #[cfg(feature = "postgres")]
        if let Some(url) = PostgresUrl::parse(text) {
            return Ok(Self::Postgres(url));
        }
        let malformed = |reason| InvalidDatabase::Malformed { reason };
        let path = match text.split_once(':') {
            Some(("sqlite", rest)) if rest.contains('?') => {
                return Err(malformed("a URL takes no parameters; a plain path may hold a `?`"));
            }
            Some(("sqlite", rest)) => match rest.strip_prefix("//") {
                Some(path) if !path.starts_with('/') => {
                    return Err(malformed("write sqlite:///abs/path, or sqlite:path for a relative one"));
                }
                absolute => absolute.unwrap_or(rest),
            },
            Some((scheme, _)) if is_scheme(scheme) => return Err(unsupported(scheme)),
            _ => text,
        };
        match path {
            "" => Err(malformed("the path is empty")),
            ":memory:" => Err(malformed("a database in memory is seen by no other process")),
            path if path.contains('\0') => Err(malformed("the path holds a NUL")),
            path => Ok(Self::Sqlite(absolute(path, base))),
        }
    }
}

/// A scheme has two letters or more, so that nothing before a colon in a path is lost.
fn is_scheme(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.len() >= 2 && text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(allowed)
}

fn unsupported(scheme: &str) -> InvalidDatabase {
    let kind = match scheme {
        "postgres" | "postgresql" => "PostgreSQL".to_owned(),
        other => format!("`{other}:`"),
    };
    InvalidDatabase::Unsupported { kind }
}

fn absolute(path: &str, base: Option<&Path>) -> PathBuf {
    let path = base.map_or_else(|| PathBuf::from(path), |base| base.join(path));
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("sqlite:///var/lib/agents.db", "/var/lib/agents.db")]
    #[case("sqlite:/var/lib/agents.db", "/var/lib/agents.db")]
    #[case("sqlite:sub/agents.db", "/base/sub/agents.db")]
    #[case("/plain/path.db", "/plain/path.db")]
    #[case("plain.db", "/base/plain.db")]
    #[case("./odd:name.db", "/base/odd:name.db")]
    #[case("really?.db", "/base/really?.db")]
    fn files_are_named_in_three_ways(#[case] text: &str, #[case] path: &str) {
        let database = Database::parse(text, Some(Path::new("/base"))).expect("valid");
        assert_eq!(database, Database::Sqlite(path.into()));
    }

    #[test]
    fn a_relative_path_starts_in_the_working_directory() {
        assert!(
            matches!(Database::parse("sqlite:a.db", None), Ok(Database::Sqlite(path)) if path.is_absolute())
        );
    }

    #[rstest]
    #[case("")]
    #[case("sqlite:")]
    #[case("sqlite://host/x")]
    #[case("sqlite::memory:")]
    #[case(":memory:")]
    #[case("a\0b")]
    #[case("sqlite:///var/agents.db?mode=ro")]
    fn nothing_else_names_a_file(#[case] text: &str) {
        assert!(matches!(Database::parse(text, None), Err(InvalidDatabase::Malformed { .. })), "{text}");
    }

    #[test]
    fn another_database_is_refused_without_showing_its_password() {
        for text in ["mysql://u:secret@h/d", "http://u:secret@h/d"] {
            let error = Database::parse(text, None).expect_err("unsupported");
            assert!(error.to_string().contains("this build has no") && !error.to_string().contains("secret"));
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_is_named_by_its_url() {
        for text in ["postgres://u:secret@h/d", "postgresql://h/d?sslmode=require"] {
            let database = Database::parse(text, None).expect("valid");
            assert!(
                matches!(&database, Database::Postgres(_)) && !format!("{database:?}").contains("secret")
            );
        }
    }
}
