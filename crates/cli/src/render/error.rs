//! Failures for people: what happened, who and since when, and commands that work.

use crate::failure::Failure;

/// `error: …`, further lines indented, then a `help:` line for each hint. Colour marks the two
/// labels and carries no meaning of its own.
pub(super) fn for_people(failure: &Failure, color: bool) -> String {
    let (error, help) =
        if color { ("\x1b[1;31merror\x1b[0m", "\x1b[1;36mhelp\x1b[0m") } else { ("error", "help") };
    let mut all = vec![format!("{error}: {}", printable(&failure.message))];
    all.extend(failure.causes.iter().map(|cause| format!("  {}", printable(cause)).trim_end().to_owned()));
    all.extend(failure.hints.iter().map(|hint| format!("{help}: {}", printable(hint))));
    super::table::lines(all)
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
help: look: `agents lock show plan/01ARZ3NDEKTSV4RRFFQ69G5FAV`
";
        assert_eq!(text, expected);
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
