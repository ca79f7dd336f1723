//! Asking a person. Whether to ask at all is the caller's decision: only on a terminal.

use std::io::{BufRead, Write};

use crate::render::clean;

/// Asks on stderr and reads one line. Only `y` and `yes` are a yes; no answer is a no.
pub fn ask(question: &str, input: &mut dyn BufRead, err: &mut dyn Write) -> bool {
    let asked = write!(err, "{} [y/N] ", clean(question)).and_then(|()| err.flush());
    let mut answer = String::new();
    let answered = asked.and_then(|()| input.read_line(&mut answer));
    answered.is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (answer, yes) in [("y\n", true), ("YES\n", true), ("\n", false), ("", false), ("yeah\n", false)] {
            let mut err = Vec::new();
            assert_eq!(ask("Land it?", &mut answer.as_bytes(), &mut err), yes, "{answer:?}");
            assert_eq!(err, b"Land it? [y/N] ");
        }
        assert!(!ask("x", &mut &b"\xff\n"[..], &mut Vec::new()));
    }
}
