//! Values of the command line, parsed at the edge: what gets past here is well formed.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use agents_domain::action::Automation;
use agents_domain::id::PlanId;
use agents_domain::name::{InvalidName, Name};
use agents_domain::plan::{Phase, State};
use agents_domain::time::Ttl;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use thiserror::Error;

use crate::render::Form;

/// The shortest prefix of an id that names a plan.
const MIN_PREFIX: usize = 4;
/// The length of a whole ULID.
const ULID: usize = 26;
/// The longest name of a plan for people, in characters.
const MAX_LABEL: usize = 200;

/// A text that is no value of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidValue {
    /// No ULID and no prefix of one.
    #[error(
        "use the id of a plan or its first characters: {MIN_PREFIX} to {ULID} of 0-9 and A-Z without I, L, O, U"
    )]
    PlanRef,
    /// An empty text where a project is named.
    #[error("use the name of a project, or a path inside one")]
    ProjectRef,
    /// No `key=value`.
    #[error("use key=value, the key being a-z, 0-9 and `_`, starting with a letter, up to 63 characters")]
    Argument,
    /// Not fit to name a plan.
    #[error("use 1 to {MAX_LABEL} characters on one line")]
    Label,
    /// Nothing but white space.
    #[error("the text is empty")]
    Blank,
    /// No length of time.
    #[error("use a length of time such as 90s, 5m or 1h30m")]
    Duration,
    /// A lease's length out of its bounds.
    #[error("a lease lasts from 5s to 1h")]
    Ttl,
    /// No address to serve at.
    #[error("use a port of this machine, or an address with its port: 9469, 127.0.0.1:9469, [::1]:9469")]
    Address,
}

/// A plan as a person names it: a ULID or the beginning of one, upper case. Never guessed: the
/// store decides whether it is unique.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRef(String);

impl PlanRef {
    /// Parses a ULID or a prefix of at least four characters; lower case is folded.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let valid =
            |c: char| c.is_ascii_alphanumeric() && !matches!(c.to_ascii_uppercase(), 'I' | 'L' | 'O' | 'U');
        let fits = (MIN_PREFIX..=ULID).contains(&text.len()) && text.as_bytes()[0] <= b'7';
        if fits && text.chars().all(valid) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(InvalidValue::PlanRef)
        }
    }

    /// The text, upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, if the text is a whole one.
    pub fn exact(&self) -> Option<PlanId> {
        PlanId::parse(&self.0).ok()
    }
}

impl fmt::Display for PlanRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A project as a person names it: its name, or a path inside its repository. Resolved against
/// the store later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRef(String);

impl ProjectRef {
    /// Any text but the empty one.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.trim().is_empty() { Err(InvalidValue::ProjectRef) } else { Ok(Self(text.to_owned())) }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One `--arg key=value`; the action decides whether it has that argument, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentInput {
    /// The name of the argument.
    pub name: String,
    /// Its value, as text.
    pub value: String,
}

impl ArgumentInput {
    /// Parses `key=value`; the value may be empty and may hold further `=`.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let (name, value) = text.split_once('=').ok_or(InvalidValue::Argument)?;
        let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if starts_well && name.len() <= 63 && name.chars().all(allowed) {
            Ok(Self { name: name.to_owned(), value: value.to_owned() })
        } else {
            Err(InvalidValue::Argument)
        }
    }
}

/// A name for people: one line, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label(String);

impl Label {
    /// Parses 1 to 200 characters on one line; white space around them is dropped.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let text = text.trim();
        let fits = (1..=MAX_LABEL).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidValue::Label) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text by a person: a reason, an answer, guidance. Never blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Any text that is more than white space.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        if text.trim().is_empty() { Err(InvalidValue::Blank) } else { Ok(Self(text.to_owned())) }
    }

    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads the name of a subplan: one part of a name, without a namespace.
pub fn subplan_name(text: &str) -> Result<String, InvalidName> {
    let name = Name::parse(&format!("{}/{text}", Name::DEFAULT_NAMESPACE))?;
    Ok(name.short().to_owned())
}

/// A length of time: `90s`, `5m`, `1h30m`. A bare number is refused: its unit would be a guess.
pub fn duration(text: &str) -> Result<Duration, InvalidValue> {
    let signed: jiff::SignedDuration = text.trim().parse().map_err(|_| InvalidValue::Duration)?;
    Duration::try_from(signed).map_err(|_| InvalidValue::Duration)
}

/// How old something must be: a length of time, or whole days (`7d`).
pub fn age(text: &str) -> Result<Duration, InvalidValue> {
    let days = text.trim().strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
    days.map_or_else(|| duration(text), |days| Ok(Duration::from_hours(24 * u64::from(days))))
}

/// An address to serve at; a bare port is one that only this machine reaches.
pub fn address(text: &str) -> Result<SocketAddr, InvalidValue> {
    let own = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    text.parse().map(own).or_else(|_| text.parse()).map_err(|_| InvalidValue::Address)
}

/// The length of a lease, within its bounds.
pub fn ttl(text: &str) -> Result<Ttl, InvalidValue> {
    Ttl::new(duration(text)?).map_err(|_| InvalidValue::Ttl)
}

/// Words of a closed list; clap shows the list and suggests the nearest.
fn words<T: Clone + Send + Sync + 'static>(
    list: impl IntoIterator<Item = &'static str>,
    parse: fn(&str) -> Option<T>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(list).try_map(move |word| parse(&word).ok_or(InvalidValue::Blank))
}

/// The levels of automation.
pub(super) fn automation() -> impl TypedValueParser<Value = Automation> {
    words(Automation::ALL.map(Automation::as_str), Automation::parse)
}

/// The phases.
pub(super) fn phase() -> impl TypedValueParser<Value = Phase> {
    words(Phase::ALL.map(Phase::as_str), Phase::parse)
}

/// The forms of a drawing.
pub(super) fn form() -> impl TypedValueParser<Value = Form> {
    words(Form::ALL.map(Form::as_str), Form::parse)
}

/// The states.
pub(super) fn state() -> impl TypedValueParser<Value = State> {
    words(State::ALL.map(State::as_str), State::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_port_is_one_of_this_machine() {
        assert_eq!(address("9469").map(|found| found.to_string()).as_deref(), Ok("127.0.0.1:9469"));
        assert_eq!(address("[::1]:80").map(|found| found.to_string()).as_deref(), Ok("[::1]:80"));
        for wrong in ["", "localhost:80", "127.0.0.1", "70000"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
    use rstest::rstest;

    #[rstest]
    #[case("01jv", "01JV")]
    #[case("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    fn an_id_or_its_beginning_names_a_plan(#[case] text: &str, #[case] folded: &str) {
        let plan = PlanRef::parse(text).expect("valid");
        assert_eq!((plan.as_str(), plan.to_string().as_str()), (folded, folded));
        assert_eq!(plan.exact().is_some(), folded.len() == 26);
    }

    #[test]
    fn an_age_may_be_given_in_days() {
        assert_eq!(age("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        for bad in ["7", "d", "-1d", "1.5d"] {
            assert_eq!(age(bad), Err(InvalidValue::Duration), "{bad}");
        }
    }

    #[rstest]
    #[case("")]
    #[case("-")]
    #[case("01J")]
    #[case("01JI")]
    #[case("01JU")]
    #[case("81JV")]
    #[case("01J…")]
    #[case("01 J")]
    #[case("01ARZ3NDEKTSV4RRFFQ69G5FAVX")]
    fn nothing_else_names_a_plan(#[case] text: &str) {
        assert_eq!(PlanRef::parse(text), Err(InvalidValue::PlanRef));
    }

    #[test]
    fn a_project_is_any_text_but_an_empty_one() {
        assert_eq!(ProjectRef::parse("./a b").expect("valid").as_str(), "./a b");
        assert_eq!(ProjectRef::parse("api").expect("valid").to_string(), "api");
        assert_eq!(ProjectRef::parse(" "), Err(InvalidValue::ProjectRef));
    }

    #[test]
    fn an_argument_is_split_at_its_first_equals_sign() {
        let input = ArgumentInput::parse("query=a=b").expect("valid");
        assert_eq!((input.name.as_str(), input.value.as_str()), ("query", "a=b"));
        assert!(ArgumentInput::parse("empty=").is_ok());
        for bad in ["", "x", "=x", "X=1", "1x=1", "a-b=1", &format!("{}=1", "a".repeat(64))] {
            assert_eq!(ArgumentInput::parse(bad), Err(InvalidValue::Argument), "{bad}");
        }
    }

    #[test]
    fn labels_are_one_short_line_and_words_are_never_blank() {
        assert_eq!(Label::parse(" Fix lint ").expect("valid").as_str(), "Fix lint");
        for bad in ["", "  ", "a\nb", "a\u{1b}[31m", &"x".repeat(201)] {
            assert_eq!(Label::parse(bad), Err(InvalidValue::Label), "{bad:?}");
        }
        assert_eq!(Words::parse("two\nlines").expect("valid").as_str(), "two\nlines");
        assert_eq!(Words::parse(" \n"), Err(InvalidValue::Blank));
    }

    #[rstest]
    #[case("90s", 90)]
    #[case("5m", 300)]
    #[case("1h30m", 5400)]
    #[case("1h 30m", 5400)]
    #[case("0s", 0)]
    fn lengths_of_time_have_units(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
    }

    #[rstest]
    #[case("")]
    #[case("5")]
    #[case("-5m")]
    #[case("5m ago")]
    #[case("m")]
    #[case("1y")]
    #[case("99999999999999999999h")]
    fn other_texts_are_no_length_of_time(#[case] text: &str) {
        assert_eq!(duration(text), Err(InvalidValue::Duration));
    }

    #[test]
    fn a_lease_keeps_its_bounds() {
        assert_eq!(ttl("5s").map(Ttl::as_duration), Ok(Duration::from_secs(5)));
        assert_eq!(ttl("4s"), Err(InvalidValue::Ttl));
        assert_eq!(ttl("2h"), Err(InvalidValue::Ttl));
        assert_eq!(ttl("x"), Err(InvalidValue::Duration));
    }
}
