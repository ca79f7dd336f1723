//! What clap stops at, in our own terms: help to print, or a usage failure.
//!
//! The wish for JSON is read from the raw text as well: a command line that does not parse still
//! gets the envelope that its caller expects.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::args::{Format, command};
use crate::failure::Failure;

/// Why there is no command to run.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// Help or the version, for stdout; exit 0.
    Text(String),
    /// A mistake; exit 2.
    Usage(Box<Failure>),
}

/// Clap's verdict in our own terms. It cites what it does not understand; a URL may hold a password.
pub(super) fn stop(error: &clap::Error, argv: &[OsString]) -> Stop {
    let urls = argv.iter().filter_map(|word| word.to_str()).filter(|word| word.contains("://"));
    let urls =
        urls.map(|word| word.split_once('=').filter(|_| word.starts_with('-')).map_or(word, |(_, url)| url));
    let rendered = urls.fold(error.render().to_string(), |text, url| text.replace(url, "***://***"));
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Text(rendered),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let failure = Failure::usage("a command is missing").hint(help_of(argv));
            Stop::Usage(Box::new(lines(rendered.trim_end()).fold(failure, Failure::cause)))
        }
        _ => Stop::Usage(Box::new(mistake(&rendered, argv))),
    }
}

/// The first paragraph is the message; tips and usage follow; the way to more is our hint.
fn mistake(rendered: &str, argv: &[OsString]) -> Failure {
    let text = rendered.strip_prefix("error: ").unwrap_or(rendered);
    let text = text.split("For more information, try").next().unwrap_or(text).trim_end();
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let message: Vec<&str> = message.split_whitespace().collect();
    let failure = Failure::usage(message.join(" ")).hint(help_of(argv));
    lines(rest).fold(failure, Failure::cause)
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| line.trim_end().to_owned())
}

fn help_of(argv: &[OsString]) -> String {
    match command_wished(argv).as_str() {
        "agents" => "agents --help".to_owned(),
        command => format!("agents {} --help", command.replace('.', " ")),
    }
}

/// The words before `--`, less the program's name; what is not UTF-8 is no word of ours.
fn words(argv: &[OsString]) -> impl Iterator<Item = &str> {
    argv.iter().skip(1).map(|word| word.to_str().unwrap_or_default()).take_while(|word| *word != "--")
}

/// The format that the raw text asks for, whether or not it parses.
pub fn format_wished(argv: &[OsString]) -> Format {
    let given: Vec<&str> = words(argv).collect();
    let apart = given.windows(2).any(|pair| pair == ["--format", "json"]);
    let json = apart || given.iter().any(|word| matches!(*word, "--json" | "--format=json"));
    if json { Format::Json } else { Format::Table }
}

/// The command that the raw text seems to name: `plan.execute`; `agents` if none.
pub fn command_wished(argv: &[OsString]) -> String {
    let tree = command();
    let (mut at, mut path) = (&tree, Vec::new());
    for word in words(argv) {
        if let Some(found) = at.find_subcommand(word) {
            at = found;
            path.push(word);
        }
    }
    if path.is_empty() { "agents".to_owned() } else { path.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;
    use rstest::rstest;

    fn argv(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn failure(line: &str) -> Failure {
        match parse(&argv(line)) {
            Err(Stop::Usage(failure)) => *failure,
            other => panic!("`{line}`: {other:?}"),
        }
    }

    #[rstest]
    #[case("agents", "agents")]
    #[case("agents frobnicate", "agents")]
    #[case("agents --wait 5m plan execute", "plan.execute")]
    #[case("agents run plan lock", "run")]
    #[case("agents plan -- execute", "plan")]
    fn the_command_is_read_from_text_that_need_not_parse(#[case] line: &str, #[case] command: &str) {
        assert_eq!(command_wished(&argv(line)), command);
    }

    #[rstest]
    #[case("agents --json x", Format::Json)]
    #[case("agents x --format json", Format::Json)]
    #[case("agents x --format=json", Format::Json)]
    #[case("agents x --format plain", Format::Table)]
    #[case("agents plan prompt 01JV -- --json", Format::Table)]
    fn the_wish_for_json_is_read_from_text_that_need_not_parse(#[case] line: &str, #[case] format: Format) {
        assert_eq!(format_wished(&argv(line)), format);
    }

    #[test]
    fn a_mistake_says_what_is_wrong_what_is_near_and_where_help_is() {
        let failure = failure("agents plan exeucte 01JV");
        assert_eq!(failure.message, "unrecognized subcommand 'exeucte'");
        assert!(failure.causes.iter().any(|line| line.contains("'execute'")), "{:?}", failure.causes);
        assert!(failure.causes.iter().any(|line| line.starts_with("Usage: agents plan")));
        assert_eq!(failure.hints, ["agents plan --help"]);
    }

    #[rstest]
    #[case("agents db status postgres://u:secret@h/d")]
    #[case("agents plan status postgres://u:secret@h/d")]
    #[case("agents postgres://u:secret@h/d")]
    #[case("agents --wait=postgres://u:secret@h/d plan list")]
    #[case("agents db copy-to postgres://h/d postgres://u:secret@h/d")]
    fn a_url_where_none_belongs_is_not_said_again(#[case] line: &str) {
        let failure = failure(line);
        let said = format!("{} {:?} {:?}", failure.message, failure.causes, failure.hints);
        assert!(!said.contains("secret") && said.contains("***://***"), "{said}");
    }

    #[test]
    fn what_is_missing_is_part_of_the_message() {
        let message = failure("agents plan execute").message;
        assert_eq!(message, "the following required arguments were not provided: <PLAN>");
    }

    #[rstest]
    #[case("agents plan status -", "first characters")]
    #[case("agents plan status 01J", "first characters")]
    #[case("agents plan list --state done", "possible values")]
    #[case("agents plan list --limit 0", "0 is not in 1")]
    #[case("agents run fix . --arg target", "key=value")]
    #[case("agents run FIX .", "not a name")]
    #[case("agents lock show plan/01JV", "not a lock key")]
    #[case("agents recover --lease-ttl 1s", "5s to 1h")]
    #[case("agents recover --wait 5", "90s, 5m")]
    fn values_are_refused_at_the_edge(#[case] line: &str, #[case] says: &str) {
        let failure = failure(line);
        let text = format!("{} {}", failure.message, failure.causes.join(" "));
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn no_command_at_all_is_a_mistake_that_shows_the_help() {
        let nothing = failure("agents");
        assert_eq!(
            (nothing.message.as_str(), nothing.hints[0].as_str()),
            ("a command is missing", "agents --help")
        );
        assert!(nothing.causes.iter().any(|line| line.contains("Usage: agents")));
        assert_eq!(failure("agents plan").hints, ["agents plan --help"]);
    }

    #[test]
    fn help_and_version_are_text() {
        let Err(Stop::Text(help)) = parse(&argv("agents plan execute --help")) else { panic!("no help") };
        assert!(help.contains("agents plan execute 01JV8Q"));
        let Err(Stop::Text(version)) = parse(&argv("agents --version")) else { panic!("no version") };
        assert_eq!(version, format!("agents {}\n", env!("CARGO_PKG_VERSION")));
    }
}
