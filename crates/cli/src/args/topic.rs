//! `agents help`: topics of our own, and the help of any command.

use crate::args::command;
use crate::exit::Exit;
use crate::failure::Failure;

/// What `agents help …` explains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// The table of exit codes.
    ExitCodes(Vec<Exit>),
    /// The help of a command.
    Command(String),
}

/// Finds a topic by its words; none at all is the program itself.
pub fn topic(words: &[String]) -> Result<Topic, Failure> {
    if words == ["exit-codes"] {
        return Ok(Topic::ExitCodes(Exit::ALL.into()));
    }
    let mut tree = command();
    tree.build();
    let mut found = &mut tree;
    for word in words {
        found = found.find_subcommand_mut(word).ok_or_else(|| {
            Failure::usage(format!("there is no help on `{}`", words.join(" ")))
                .hint("commands: `agents --help`")
                .hint("exit codes: `agents help exit-codes`")
        })?;
    }
    Ok(Topic::Command(found.render_help().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[&str]) -> String {
        match topic(&words.iter().map(ToString::to_string).collect::<Vec<_>>()) {
            Ok(Topic::Command(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn help_knows_the_program_its_groups_and_its_commands() {
        assert!(text(&[]).contains("Usage: agents"));
        assert!(text(&["plan"]).contains("execute"));
        assert!(text(&["plan", "execute"]).contains("Usage: agents plan execute"));
    }

    #[test]
    fn exit_codes_are_a_topic_and_anything_else_is_refused() {
        assert_eq!(topic(&["exit-codes".to_owned()]), Ok(Topic::ExitCodes(Exit::ALL.into())));
        let failure = topic(&["plan".to_owned(), "leaf".to_owned()]).expect_err("no such command");
        assert_eq!(failure.message, "there is no help on `plan leaf`");
        failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
    }
}
