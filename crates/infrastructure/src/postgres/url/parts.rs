//! Taking a URL apart as libpq does (`conninfo_uri_parse_options` in `fe-connect.c`).
//!
//! Userinfo ends at the first `@` that no `/` stands before; a `?` or `:` may be in a password. What libpq
//! would refuse with words that cite it is refused here, without. So is what libpq takes, and reads otherwise
//! than it was most likely meant: a second `@`, or one behind a `/`, is part of a password whose writer did
//! not know that it must be escaped, and libpq would ask the network for the rest of it.

use thiserror::Error;

/// Why a URL is not given to libpq. It shows no part of it, for any may be the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidUrl {
    /// Another kind.
    #[error("it begins with neither `postgres://` nor `postgresql://`")]
    Scheme,
    /// A byte that is none.
    #[error("it has a `%` that no two hexadecimal digits follow")]
    Escape,
    /// libpq ends there, or complains.
    #[error("it has a blank or a control character")]
    Blank,
    /// Where the user ends nobody knows.
    #[error("it has an `@` that does not end the user and the password")]
    At,
    /// The password may be a parameter, or the parameter a part of the password.
    #[error("it has a `?` before the `@`, so that it could be read in two ways")]
    Ambiguous,
    /// Brackets that do not match, or nothing in them.
    #[error("it has a host in brackets that is no IPv6 address")]
    Host,
    /// Not a number, or too high.
    #[error("its port is no number from 1 to 65535")]
    Port,
    /// Not a key and a value.
    #[error("one of its parameters is not of the form key=value")]
    Parameter,
}

/// A URL in pieces, each as it is written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) scheme: &'static str,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    /// Hosts with their ports, and `/` with a database.
    pub(super) place: String,
    pub(super) parameters: Vec<(String, String)>,
}

/// The scheme and what follows it.
pub(super) fn scheme(text: &str) -> Option<(&'static str, &str)> {
    let after = |scheme: &'static str| Some((scheme, text.strip_prefix(scheme)?.strip_prefix("://")?));
    after("postgres").or_else(|| after("postgresql"))
}

impl Parts {
    pub(super) fn read(text: &str) -> Result<Self, InvalidUrl> {
        let (scheme, rest) = scheme(text).ok_or(InvalidUrl::Scheme)?;
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(InvalidUrl::Blank);
        }
        escapes(rest)?;
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) if !userinfo.contains('/') => (Some(userinfo), rest),
            _ => (None, rest),
        };
        if rest.contains('@') {
            return Err(InvalidUrl::At);
        }
        let (user, password) = userinfo.map(who).transpose()?.unwrap_or_default();
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        hosts(place.split('/').next().unwrap_or_default())?;
        let parameters = parameters(query)?;
        Ok(Self { scheme, user, password, place: place.to_owned(), parameters })
    }
}

/// Every `%` stands for a byte, and none for NUL.
fn escapes(text: &str) -> Result<(), InvalidUrl> {
    let good = |part: &str| byte(part.as_bytes()).is_some_and(|byte| byte != 0);
    if text.split('%').skip(1).all(good) { Ok(()) } else { Err(InvalidUrl::Escape) }
}

/// The byte that two hexadecimal digits name.
fn byte(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

/// User and password. libpq takes a `?` in either: who left out the `@` before a host has one there, too.
fn who(userinfo: &str) -> Result<(Option<String>, Option<String>), InvalidUrl> {
    let (user, password) = match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    };
    // `postgres://h:5432?password=a@b`
    let is_query = |text: &str| text.split_once('?').is_some_and(|(_, query)| query.contains('='));
    if user.contains('?') || password.is_some_and(is_query) {
        return Err(InvalidUrl::Ambiguous);
    }
    Ok((Some(user.to_owned()), password.map(str::to_owned)))
}

fn hosts(text: &str) -> Result<(), InvalidUrl> {
    text.split(',').try_for_each(|host| match host.strip_prefix('[') {
        Some(inner) => match inner.split_once(']') {
            Some(("", _)) | None => Err(InvalidUrl::Host),
            Some((_, "")) => Ok(()),
            Some((_, rest)) => port(rest.strip_prefix(':').ok_or(InvalidUrl::Host)?),
        },
        None => host.split_once(':').map_or(Ok(()), |(_, text)| port(text)),
    })
}

/// None is the usual one.
fn port(text: &str) -> Result<(), InvalidUrl> {
    let digits = text.chars().all(|c| c.is_ascii_digit());
    let number = || text.parse::<u16>().is_ok_and(|number| number > 0);
    if text.is_empty() || digits && number() { Ok(()) } else { Err(InvalidUrl::Port) }
}

fn parameters(query: &str) -> Result<Vec<(String, String)>, InvalidUrl> {
    let query = query.strip_suffix('&').unwrap_or(query);
    if query.is_empty() {
        return Ok(Vec::new());
    }
    let pair = |text: &str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.contains('=') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(InvalidUrl::Parameter),
    };
    query.split('&').map(pair).collect()
}

/// What libpq makes of a part whose escapes are known to be good.
pub(super) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = if *first == b'%' { byte(after) } else { None };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("mysql://h/d", InvalidUrl::Scheme)]
    #[case("postgres:d", InvalidUrl::Scheme)]
    #[case("postgres://h/\0", InvalidUrl::Blank)]
    #[case("postgres://u:se cret@h/d", InvalidUrl::Blank)]
    #[case("postgres://u:50%off@h/d", InvalidUrl::Escape)]
    #[case("postgres://u:50%@h/d", InvalidUrl::Escape)]
    #[case("postgres://u:a%00b@h/d", InvalidUrl::Escape)]
    #[case("postgres://u:a%+1@h/d", InvalidUrl::Escape)]
    #[case("postgres://u:a@b@h/d", InvalidUrl::At)]
    #[case("postgres://u:5/b@h/d", InvalidUrl::At)]
    #[case("postgres://h:5?password=a@b", InvalidUrl::Ambiguous)]
    #[case("postgres://h?user=a@b", InvalidUrl::Ambiguous)]
    #[case("postgres://[::1/d", InvalidUrl::Host)]
    #[case("postgres://[]/d", InvalidUrl::Host)]
    #[case("postgres://[::1]5/d", InvalidUrl::Host)]
    #[case("postgres://u:secret", InvalidUrl::Port)]
    #[case("postgres://h:65536/d", InvalidUrl::Port)]
    #[case("postgres://h:0/d", InvalidUrl::Port)]
    #[case("postgres://h,i:x/d", InvalidUrl::Port)]
    #[case("postgres://h/d?password=a&b", InvalidUrl::Parameter)]
    #[case("postgres://h/d?password=a=b", InvalidUrl::Parameter)]
    fn what_cannot_be_read_safely_is_refused(#[case] text: &str, #[case] why: InvalidUrl) {
        assert_eq!(Parts::read(text).err(), Some(why));
    }

    #[rstest]
    #[case("a%2Fb", "a/b")]
    #[case("%C3%BC", "ü")]
    #[case("100%", "100%")]
    fn an_escape_is_a_byte(#[case] text: &str, #[case] meant: &str) {
        assert_eq!(decoded(text), meant);
    }
}
