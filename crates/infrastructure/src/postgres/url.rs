//! Where a PostgreSQL database is: a URL as libpq reads it, whose password nobody is shown.
//!
//! It is taken apart as libpq does it (`url/parts.rs`), and what libpq would cut elsewhere, or only with
//! a complaint that cites it, is refused before libpq sees it. What libpq says all the same goes through
//! [`PostgresUrl::masked`].

mod parts;

use std::fmt;

pub use parts::InvalidUrl;
use parts::{Parts, decoded};

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

/// Parameters that nobody is shown.
const SECRET: [&str; 3] = ["password", "sslpassword", "oauth_client_secret"];

/// What stands where a password was.
const MASK: &str = "***";

/// A URL that begins with `postgres://` or `postgresql://`.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Box<Parts>);

impl PostgresUrl {
    /// Takes a URL. What it says is libpq's to understand: hosts, `sslmode`, `options=-csearch_path%3D…`;
    /// what it leaves out comes from `PG…` variables, the service and password files.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        Parts::read(text).map(|parts| Self(Box::new(parts)))
    }

    /// Whether a text is meant as such a URL, be it readable or not.
    pub fn is_meant(text: &str) -> bool {
        parts::scheme(text).is_some()
    }

    /// The whole of it, for libpq, with our defaults.
    pub(crate) fn for_libpq(&self) -> String {
        let Parts { scheme, user, password, place, parameters } = &*self.0;
        let password = password.as_ref().map(|password| format!(":{password}")).unwrap_or_default();
        let userinfo = user.as_ref().map(|user| format!("{user}{password}@")).unwrap_or_default();
        let defaults = DEFAULTS.iter().filter(|(key, _)| !self.has(key));
        let all =
            parameters.iter().map(|(key, value)| (key.as_str(), value.as_str())).chain(defaults.copied());
        format!("{scheme}://{userinfo}{place}{}", query(all))
    }

    /// The URL as it can be typed again, for a schema of that database: with all that it says but its
    /// secrets.
    pub(crate) fn with_schema(&self, schema: &str) -> String {
        let plain = schema.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let path = format!("-csearch_path%3D{schema}");
        let told = schema != "public" && plain;
        let known = self.0.parameters.iter().filter(|(key, _)| {
            let key = decoded(key);
            !SECRET.contains(&&*key) && key != "options"
        });
        let known = known.map(|(key, value)| (key.as_str(), value.as_str()));
        let options = self.0.parameters.iter().find(|(key, _)| decoded(key) == "options");
        // A path that is named there already leads to that schema.
        let options = match options.filter(|(_, value)| !decoded(value).contains("search_path")) {
            Some((_, others)) if told => Some(format!("{others}%20{path}")),
            Some((_, others)) => Some(others.clone()),
            None => told.then_some(path),
        };
        let all = known.chain(options.as_deref().map(|options| ("options", options)));
        let odd = if schema == "public" || plain { String::new() } else { format!(" (schema {schema})") };
        format!("{self}{}{odd}", query(all))
    }

    /// What somebody else says of it, without its secrets; what the shown URL holds itself is none.
    pub(crate) fn masked(&self, text: &str) -> String {
        let shown = self.to_string();
        let parameters = self.0.parameters.iter().filter(|(key, _)| SECRET.contains(&&*decoded(key)));
        let written = self.0.password.iter().chain(parameters.map(|(_, value)| value));
        let mut secrets: Vec<_> = written.flat_map(|raw| [raw.clone(), decoded(raw)]).collect();
        secrets.retain(|secret| !secret.is_empty() && !shown.contains(secret.as_str()));
        // One that is part of another would leave the rest of it.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }

    /// Whether a password is among its parameters.
    pub(crate) fn has_secret_parameter(&self) -> bool {
        SECRET.iter().any(|key| self.has(key))
    }

    fn has(&self, key: &str) -> bool {
        self.0.parameters.iter().any(|(name, _)| decoded(name) == key)
    }
}

fn query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let pairs: Vec<_> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// Without password and parameters, which may hold one.
impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { scheme, user, place, .. } = &*self.0;
        match user.as_deref() {
            Some("") | None => write!(f, "{scheme}://{place}"),
            Some(user) => write!(f, "{scheme}://{user}@{place}"),
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

    fn url(text: &str) -> PostgresUrl {
        PostgresUrl::parse(text).expect("a URL")
    }

    #[rstest]
    #[case("postgres://u:secret@h:5/d?sslmode=require", "postgres://u@h:5/d")]
    #[case("postgres://u:se?cret@h/d", "postgres://u@h/d")]
    #[case("postgres://u:se?cret@h/d?sslmode=prefer", "postgres://u@h/d")]
    #[case("postgres://u:se:c#[ret@h/d", "postgres://u@h/d")]
    #[case("postgres://u:s%65cret@[::1]:5,h2/d", "postgres://u@[::1]:5,h2/d")]
    #[case("postgres://:secret@h/d", "postgres://h/d")]
    #[case("postgres://h/d?password=secret", "postgres://h/d")]
    #[case("postgres:///d", "postgres:///d")]
    #[case("postgresql://h/d?", "postgresql://h/d")]
    fn a_password_is_never_shown(#[case] text: &str, #[case] shown: &str) {
        let url = url(text);
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("cret"));
        assert!(!url.with_schema("team").contains("cret"));
        let (bare, _) = text.split_once("?sslmode").unwrap_or((text, ""));
        let whole = url.for_libpq();
        assert!(whole.starts_with(bare), "libpq is told all of it: {whole}");
    }

    #[test]
    fn what_the_url_says_goes_before_our_defaults() {
        let said = url("postgres://h/d?connect%5Ftimeout=3&").for_libpq();
        assert!(said.starts_with("postgres://h/d?connect%5Ftimeout=3&application_name=agents&"), "{said}");
        assert_eq!(said.matches("timeout").count(), 2, "the other one is TCP's: {said}");
        for bare in ["postgres://h/d", "postgres://h/d?"] {
            let bare = url(bare).for_libpq();
            assert!(bare.starts_with("postgres://h/d?application_name=agents&"), "{bare}");
        }
    }

    #[test]
    fn a_schema_is_part_of_the_place() {
        let other = url("postgres://u:secret@h/d?options=-csearch_path%3Da");
        assert_eq!(other.with_schema("public"), "postgres://u@h/d");
        assert_eq!(other.with_schema("team_a"), "postgres://u@h/d?options=-csearch_path%3Dteam_a");
        assert_eq!(other.with_schema("team a"), "postgres://u@h/d (schema team a)");
    }

    #[test]
    fn a_place_keeps_all_that_leads_there_and_no_secret() {
        let far =
            url("postgres://u:secret@/d?host=h&sslmode=verify-full&password=secret&options=-cwork_mem%3D1MB");
        let kept = "postgres://u@/d?host=h&sslmode=verify-full&options=-cwork_mem%3D1MB";
        assert_eq!(far.with_schema("public"), kept);
        assert_eq!(far.with_schema("team"), format!("{kept}%20-csearch_path%3Dteam"));
    }

    #[rstest]
    #[case("postgres://u:se%63ret@h/d", "said \"se%63ret\" and secret", "said \"***\" and ***")]
    #[case("postgres://h/d?pass%77ord=secret", "a secret", "a ***")]
    #[case("postgres://u:u@h/d", "role \"u\" does not exist", "role \"u\" does not exist")]
    #[case("postgres://u:@h/d", "role \"u\"", "role \"u\"")]
    fn what_is_said_of_it_holds_no_secret(#[case] text: &str, #[case] said: &str, #[case] shown: &str) {
        assert_eq!(url(text).masked(said), shown);
    }

    /// Whatever stands between `user:` and the last `@` was meant as a password.
    #[test]
    fn no_password_is_shown_however_it_is_written() {
        let marks = [
            "", "%", "%zz", "%00", "?", "@", "/", ":", "#", "&", "=", "[", "]", " ", "\n", ",", "ü", "?a=",
            "5/?b=1@",
        ];
        let tails = ["@h/d", "@h:5/d?sslmode=prefer", "@[::1]/d", "@/d?host=h", "@h,i/d"];
        for (left, right) in marks.iter().flat_map(|left| marks.iter().map(move |right| (left, right))) {
            for tail in tails {
                let text = format!("postgres://u:SEC{left}RET{right}PASS{tail}");
                let shown = match PostgresUrl::parse(&text) {
                    Ok(url) => {
                        format!("{url} {url:?} {} {}", url.with_schema("public"), url.with_schema("x y"))
                    }
                    Err(error) => format!("{error} {error:?}"),
                };
                assert!(!["SEC", "RET", "PASS"].iter().any(|part| shown.contains(part)), "{text}: {shown}");
            }
        }
    }

    #[test]
    fn another_scheme_is_not_meant() {
        assert!(PostgresUrl::is_meant("postgresql://") && PostgresUrl::is_meant("postgres://h%"));
        assert!(!PostgresUrl::is_meant("mysql://h/d") && !PostgresUrl::is_meant("postgres:d"));
    }
}
