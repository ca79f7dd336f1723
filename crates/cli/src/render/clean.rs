//! Text from elsewhere, made safe for a terminal and for one line.

/// The text on one line, without control characters: names, messages and child output cannot
/// move the cursor, change colours, or break a table.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        assert_eq!(clean("a\u{1b}[31mb\nc\td\u{9b}e"), "a\\u{1b}[31mb\\nc\\td\\u{9b}e");
        assert_eq!(clean("größe ✓"), "größe ✓");
    }
}
