//! Rust text less its comments and literals, so that a rule meets code only: this file may name
//! what it forbids. A scanner of a few lines, not a parser; it keeps every line break.

/// The text with comments gone and the insides of string and character literals emptied.
pub(crate) fn code_only(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (gone, kept) = rest.split_at(length);
        code.push_str(if gone.starts_with('/') { " " } else { "\"\"" });
        code.extend(gone.chars().filter(|c| *c == '\n'));
        rest = kept;
    }
    code
}

/// How many bytes of a comment or literal start here; 0: none does.
fn skipped(rest: &str, before: Option<char>) -> usize {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment(rest)
    } else if rest.starts_with('"') {
        quoted(rest)
    } else if rest.starts_with('\'') {
        character(rest)
    } else if in_word {
        0
    } else {
        raw_string(rest)
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, but not a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].char_indices();
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((_, escaped))) => {
            let from = 2 + escaped.len_utf8();
            rest[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((end, '\''))) => end + 2,
        _ => 0,
    }
}

/// `r"…"`, `br#"…"#` and their like.
fn raw_string(rest: &str) -> usize {
    let after_prefix = rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or(rest.strip_prefix('r'));
    let Some(after_prefix) = after_prefix else { return 0 };
    let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
    let Some(inside) = after_prefix[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    inside.find(&end).map_or(rest.len(), |at| rest.len() - inside.len() + at + end.len())
}

/// The code before the file's unit tests, and the unit tests: split at the first `#[cfg(test)]`
/// that is followed by a module.
pub(crate) fn split_tests(text: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(found) = text[at..].find("#[cfg(test)]") {
        let start = at + found;
        let after = text[start + "#[cfg(test)]".len()..].trim_start();
        if after.starts_with("mod ") || after.starts_with("#[expect") {
            return text.split_at(start);
        }
        at = start + 1;
    }
    (text, "")
}

/// Whether code names `module::item`, spelled out or through `module::{…, item, …}`.
pub(crate) fn names(code: &str, module: &str, item: &str) -> bool {
    let dense: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let prefix = format!("{module}::");
    dense.match_indices(&prefix).any(|(at, _)| {
        let after = &dense[at + prefix.len()..];
        is_word(after, item) || group(after).iter().any(|member| is_word(member, item))
    })
}

/// Whether the text starts with that whole word.
fn is_word(text: &str, word: &str) -> bool {
    let rest = text.strip_prefix(word);
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// The members of `{a, b::{c}, d}` at its first level; empty if the text starts otherwise.
fn group(text: &str) -> Vec<&str> {
    let Some(inside) = text.strip_prefix('{') else { return Vec::new() };
    let (mut depth, mut start, mut members) = (0_usize, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                members.push(inside[start..at].trim());
                break;
            }
            ',' if depth == 0 => {
                members.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    members
}

#[test]
fn comments_and_literals_are_left_out() {
    for (text, code) in [
        ("a // b\nc", "a  \nc"),
        ("a /* b /* c */ d\n */ e", "a  \n e"),
        (r#"f("todo!() \" // x") + g"#, r#"f("") + g"#),
        ("r#\"a \" b\"# + br\"x\" + bar\"y\"", "\"\" + \"\" + bar\"\""),
        ("'a' + '\\'' + '\"' + '\\u{1F600}' + 'ü'", "\"\" + \"\" + \"\" + \"\" + \"\""),
        ("fn f<'a>(x: &'a str, y: &'static str)", "fn f<'a>(x: &'a str, y: &'static str)"),
        ("let r = r;", "let r = r;"),
        ("\"open", "\"\""),
        ("/* open", " "),
    ] {
        assert_eq!(code_only(text), code, "{text}");
    }
}

#[test]
fn unit_tests_begin_at_their_module() {
    let text = "#[cfg(test)]\nuse a;\nfn f() {}\n#[cfg(test)]\nmod tests {}";
    assert_eq!(split_tests(text), ("#[cfg(test)]\nuse a;\nfn f() {}\n", "#[cfg(test)]\nmod tests {}"));
    assert_eq!(split_tests("fn f() {}"), ("fn f() {}", ""));
}

#[test]
fn a_path_is_recognised_however_it_is_imported() {
    for code in
        ["std::fs::read(x)", "use std::fs;", "use std::{fmt, fs};", "use std :: {\n a::{b}, fs::File\n};"]
    {
        assert!(names(code, "std", "fs"), "{code}");
    }
    for code in ["std::fsync()", "use std::{fmt, io::{fs}};", "my_fs::read()", "use std::fmt; fs::x"] {
        assert!(!names(code, "std", "fs"), "{code}");
    }
}
