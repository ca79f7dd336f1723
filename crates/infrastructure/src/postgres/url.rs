//! Where a PostgreSQL database is: a URL as libpq reads it, whose password nobody is shown.

use std::fmt;

/// What the connections of this program want beyond what the URL says. Each is left out where the
/// URL has it. A network that is gone is noticed within half a minute, also by one who waits for an
/// answer; a connection that cannot be made, in ten seconds.
const DEFAULTS: [(&str, &str); 7] = [
    ("application_name", "agents"),
    ("connect_timeout", "10"),
    ("tcp_user_timeout", "15000"),
    ("keepalives", "1"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
];

/// A URL that begins with `postgres://` or `postgresql://`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// Takes a URL; `None`: it is none of PostgreSQL's. What it says is libpq's to understand: hosts,
    /// `sslmode`, `options=-csearch_path%3D…`; what it leaves out comes from `PG…` variables,
    /// the service and password files.
    pub fn parse(text: &str) -> Option<Self> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        (known && !text.contains('\0')).then(|| Self(text.to_owned()))
    }

    /// The whole of it, for libpq, with our defaults.
    pub(crate) fn for_libpq(&self) -> String {
        let mut url = self.0.clone();
        for (key, value) in DEFAULTS {
            if !self.has(key) {
                let mark = if url.contains('?') { '&' } else { '?' };
                url = format!("{url}{mark}{key}={value}");
            }
        }
        url
    }

    /// The URL as it is shown, for a schema of that database: it can be typed again.
    pub(crate) fn with_schema(&self, schema: &str) -> String {
        let plain = schema.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match schema {
            "public" => self.to_string(),
            _ if plain => format!("{self}?options=-csearch_path%3D{schema}"),
            _ => format!("{self} (schema {schema})"),
        }
    }

    fn has(&self, key: &str) -> bool {
        let Some((_, parameters)) = self.0.split_once('?') else { return false };
        parameters.split('&').any(|pair| pair.split_once('=').is_some_and(|(name, _)| name == key))
    }
}

/// Without password and parameters, which may hold one.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("postgres", &self.0));
        let rest = rest.split('?').next().unwrap_or_default();
        match rest.rsplit_once('@') {
            Some((who, place)) => {
                let user = who.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}@{place}")
            }
            None => write!(f, "{scheme}://{rest}"),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("postgres://u:secret@h:5/d?sslmode=require", "postgres://u@h:5/d")]
    #[case("postgresql://u:se@cret@h/d", "postgresql://u@h/d")]
    #[case("postgres://h/d?password=secret", "postgres://h/d")]
    #[case("postgres:///d", "postgres:///d")]
    fn a_password_is_never_shown(#[case] text: &str, #[case] shown: &str) {
        let url = PostgresUrl::parse(text).expect("a URL");
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("cret"));
    }

    #[test]
    fn what_the_url_says_goes_before_our_defaults() {
        let url = PostgresUrl::parse("postgres://h/d?connect_timeout=3").expect("a URL").for_libpq();
        assert!(url.starts_with("postgres://h/d?connect_timeout=3&application_name=agents&"), "{url}");
        assert_eq!(url.matches("connect_timeout").count(), 1);
        let bare = PostgresUrl::parse("postgres://h/d").expect("a URL").for_libpq();
        assert!(bare.starts_with("postgres://h/d?application_name=agents&"), "{bare}");
    }

    #[test]
    fn a_schema_is_part_of_the_place() {
        let url = PostgresUrl::parse("postgres://u:secret@h/d?options=-csearch_path%3Da").expect("a URL");
        assert_eq!(url.with_schema("public"), "postgres://u@h/d");
        assert_eq!(url.with_schema("team_a"), "postgres://u@h/d?options=-csearch_path%3Dteam_a");
        assert_eq!(url.with_schema("team a"), "postgres://u@h/d (schema team a)");
    }

    #[rstest]
    #[case("mysql://h/d")]
    #[case("postgres:d")]
    #[case("postgres://h/\0")]
    fn nothing_else_is_one(#[case] text: &str) {
        assert_eq!(PostgresUrl::parse(text), None);
    }
}
