//! Commands inside messages: every remedy that is printed parses with the real parser.
//!
//! A hint is either a bare command (`agents plan retry 01…`), or words that hold commands in
//! backticks. Tests, here and in other crates, feed every text they print to [`check_hint`].

use std::ffi::OsString;

use crate::args::{self, Stop};

/// Splits a command line into words, with `'…'`, `"…"` and `\` as in a shell. `None`: a quote
/// is left open.
pub fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(chars.next()?),
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A word as it must be typed in a shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The commands that a hint names.
pub fn commands(hint: &str) -> Vec<&str> {
    if hint.starts_with("agents ") {
        return vec![hint];
    }
    hint.split('`').skip(1).step_by(2).filter(|part| part.starts_with("agents ")).collect()
}

/// Parses one command with the real parser; help and version count as parsed.
pub fn check(command: &str) -> Result<(), String> {
    let words = words(command).ok_or_else(|| format!("`{command}` leaves a quote open"))?;
    let argv: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    match args::parse(&argv) {
        Ok(_) | Err(Stop::Text(_)) => Ok(()),
        Err(Stop::Usage(failure)) => Err(format!("`{command}` does not parse: {}", failure.message)),
    }
}

/// Parses every command that a hint names.
pub fn check_hint(hint: &str) -> Result<(), String> {
    commands(hint).into_iter().try_for_each(check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_in_a_shell() {
        let split = words(r#"agents  "a b" 'c "d"' e\ f "" g"h"i"#).expect("closed");
        assert_eq!(split, ["agents", "a b", "c \"d\"", "e f", "", "ghi"]);
        assert_eq!(words("a 'b"), None);
        assert_eq!(words("a\\"), None);
    }

    #[test]
    fn quoted_words_are_read_back() {
        for word in ["plain", "with space", "it's", "", "ünï", "$HOME", "a\\b"] {
            assert_eq!(words(&quoted(word)).expect("closed"), [word]);
        }
    }

    #[test]
    fn commands_are_found_bare_and_in_backticks() {
        assert_eq!(commands("agents init"), ["agents init"]);
        assert_eq!(commands("look: `agents lock list`, or `git status`"), ["agents lock list"]);
        assert!(commands("nothing helps").is_empty());
    }

    #[test]
    fn a_command_that_does_not_parse_is_named() {
        assert_eq!(check("agents plan --help"), Ok(()));
        assert!(check("agents plan frob").expect_err("unknown").contains("agents plan frob"));
        assert!(check("agents 'x").expect_err("open").contains("quote"));
        assert!(check_hint("try `agents wait`").is_err() && check_hint("try `agents init`").is_ok());
    }
}
