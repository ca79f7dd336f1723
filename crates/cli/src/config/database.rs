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
    /// A URL of a server that cannot be read.
    #[error("this names no PostgreSQL database: {reason}")]
    Url {
        /// Why. Nothing of the URL: any part of it may be the password.
        reason: String,
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
        let (trimmed, malformed) = (text.trim(), |reason| InvalidDatabase::Malformed { reason });
        #[cfg(feature = "postgres")]
        if PostgresUrl::is_meant(trimmed) {
            let url = PostgresUrl::parse(trimmed);
            return url.map(Self::Postgres).map_err(|why| InvalidDatabase::Url { reason: why.to_string() });
        }
        let path = match trimmed.split_once(':') {
            Some(("sqlite", rest)) if rest.contains('?') => {
                return Err(malformed("a URL takes no parameters; a plain path may hold a `?`"));
            }
            Some(("sqlite", rest)) => match rest.strip_prefix("//") {
                Some(path) if !path.starts_with('/') => {
                    return Err(malformed("write sqlite:///abs/path, or sqlite:path for a relative one"));
                }
                absolute => absolute.unwrap_or(rest),
            },
            // What comes before the colon may be a user.
            Some((scheme, rest)) if is_scheme(scheme) && (rest.starts_with("//") || !is_url(trimmed)) => {
                return Err(unsupported(scheme));
            }
            _ => text,
        };
        match path {
            "" => Err(malformed("the path is empty")),
            ":memory:" => Err(malformed("a database in memory is seen by no other process")),
            path if path.contains('\0') => Err(malformed("the path holds a NUL")),
            path if is_connection_string(path) || is_url(path) => Err(malformed(
                "it may hold a password; write postgres://USER@HOST/DATABASE for a server, and begin a path with `./`",
            )),
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
    let kind = match scheme.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" if cfg!(feature = "postgres") => {
            return InvalidDatabase::Malformed { reason: "the URL of a server begins with postgres://" };
        }
        "postgres" | "postgresql" => "PostgreSQL".to_owned(),
        _ => format!("`{scheme}:`"),
    };
    InvalidDatabase::Unsupported { kind }
}

/// A path that begins so is nothing else.
fn is_plain(path: &str) -> bool {
    path.starts_with(['/', '.'])
}

/// Whether it is what libpq takes in place of a URL. A file made from it would have the password as its name.
fn is_connection_string(text: &str) -> bool {
    const KEYS: [&str; 8] = ["host", "hostaddr", "port", "dbname", "user", "password", "service", "sslmode"];
    let is_key = |before: &str| {
        let word = before.trim_end().rsplit(|c: char| c.is_whitespace() || c == '\'' || c == '"').next();
        word.is_some_and(|word| KEYS.contains(&word))
    };
    !is_plain(text) && text.match_indices('=').any(|(at, _)| is_key(&text[..at]))
}

/// Whether it is a URL in quotes, one that has lost its scheme, or one of two schemes.
fn is_url(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let userinfo = first.split_once(':').is_some_and(|(_, rest)| rest.contains('@'));
    !is_plain(text) && (userinfo || text.contains("://"))
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
    #[case("./user=a:b@c://d.db", "/base/user=a:b@c:/d.db")]
    #[case("/data/user=a/x.db", "/data/user=a/x.db")]
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

    #[rstest]
    #[case("host=/tmp user=u password=secret dbname=d")]
    #[case("application_name=x password = secret")]
    #[case("secret:u@h/d")]
    #[case(" user='u' password='secret'")]
    #[case("'postgres://u:secret@h/d'")]
    #[case("\"postgres://u:secret@h/d\"")]
    #[case("u_1:secret@h/d")]
    #[case("sqlite:postgres://u:secret@h/d")]
    #[case(" mysql://u:secret@h/d")]
    #[case(" \tpostgres:u:secret@h/d")]
    #[case("POSTGRES://u:secret@h/d")]
    fn what_may_hold_a_password_becomes_no_path(#[case] text: &str) {
        let error = Database::parse(text, Some(Path::new("/base"))).expect_err("no path");
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }

    #[test]
    fn half_a_url_of_a_server_is_told_the_other_half() {
        let error = Database::parse("Postgres:agents", None).expect_err("no slashes").to_string();
        let told = if cfg!(feature = "postgres") { "begins with postgres://" } else { "has no PostgreSQL" };
        assert!(error.contains(told), "{error}");
    }

    #[cfg(feature = "postgres")]
    #[rstest]
    #[case("postgres://u:50%secret@h/d")]
    #[case("postgres://u:a@secret@h/d")]
    #[case("postgres://u:secret/a@h/d")]
    fn a_url_that_cannot_be_read_is_refused_without_showing_it(#[case] text: &str) {
        let error = Database::parse(text, None).expect_err("no URL");
        assert!(matches!(error, InvalidDatabase::Url { .. }) && !error.to_string().contains("secret"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_server_is_named_by_its_url() {
        for text in
            ["postgres://u:secret@h/d", "postgresql://h/d?sslmode=require", " postgres://u:secret@h/d\n"]
        {
            let database = Database::parse(text, None).expect("valid");
            assert!(
                matches!(&database, Database::Postgres(_)) && !format!("{database:?}").contains("secret")
            );
        }
    }
}
