//! Failures for people: what happened, who and since when, and commands that work.

use std::borrow::Cow;

use crate::failure::Failure;

/// The longest word of a message that is shown whole, in characters; a path may be long.
const LONGEST_WORD: usize = 400;

/// `error: …`, further lines indented, then a `help:` line for each hint. Colour marks the two
/// labels and carries no meaning of its own.
pub(super) fn for_people(failure: &Failure, color: bool) -> String {
    let (error, help) =
        if color { ("\x1b[1;31merror\x1b[0m", "\x1b[1;36mhelp\x1b[0m") } else { ("error", "help") };
    let mut all = vec![format!("{error}: {}", printable(&shortened(&failure.message)))];
    let causes = failure.causes.iter().map(|cause| printable(&shortened(cause)));
    all.extend(causes.map(|cause| format!("  {cause}").trim_end().to_owned()));
    all.extend(failure.hints.iter().map(|hint| format!("{help}: {}", printable(hint))));
    super::table::lines(all)
}

/// A text with its endless words cut: what somebody pasted by mistake must not bury the message.
/// Hints are left whole, they are there to be run.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= LONGEST_WORD {
        return text.into();
    }
    let cut = |word: &str| match word.char_indices().nth(LONGEST_WORD) {
        Some((end, _)) => format!("{}… ({} bytes){}", &word[..end], word.trim_end().len(), spaces(word)),
        None => word.to_owned(),
    };
    text.split_inclusive(char::is_whitespace).map(cut).collect::<String>().into()
}

fn spaces(word: &str) -> &str {
    &word[word.trim_end().len()..]
}

/// Text that keeps its lines but cannot drive the terminal.
fn printable(text: &str) -> String {
    text.split('\n').map(super::clean).collect::<Vec<_>>().join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_domain::lock::Liveness;

    #[test]
    fn a_locked_plan_is_told_as_the_contract_says() {
        let text = for_people(&Failure::locked(&samples::held(), Liveness::Alive), false);
        let expected = "\
error: plan 01ARZ3NDEKTSV4RRFFQ69G5FAV is locked
  held by ada (pid 4711 on box, alive), doing: plan execute
  since 2026-01-02T03:04:05.678Z, until 2026-01-02T03:09:05.678Z
help: look: `agents lock explain plan/01ARZ3NDEKTSV4RRFFQ69G5FAV`, or in short `agents lock show plan/01ARZ3NDEKTSV4RRFFQ69G5FAV`
";
        assert_eq!(text, expected);
    }

    #[test]
    fn endless_words_are_cut_and_hints_are_not() {
        let long = "ü".repeat(100_000);
        let failure =
            Failure::usage(format!("`{long}` is\nno name")).cause(&long).hint(format!("agents {long}"));
        let text = for_people(&failure, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].len() < 900 && lines[0].ends_with("… (200002 bytes) is"), "{}", lines[0]);
        assert!(lines[1] == "  no name" && lines[2].ends_with("(200000 bytes)"), "{}", lines[1]);
        assert!(lines[3].len() > 200_000);
        assert_eq!(shortened("short"), "short");
    }

    #[test]
    fn colour_is_on_the_labels_only_and_control_characters_are_shown() {
        let text =
            for_people(&Failure::usage("bad \u{1b}[5m").cause("").cause("a\nb").hint("agents init"), true);
        assert_eq!(
            text,
            "\x1b[1;31merror\x1b[0m: bad \\u{1b}[5m\n\n  a\n  b\n\x1b[1;36mhelp\x1b[0m: agents init\n"
        );
    }
}
