//! Rules for every Rust file: a header, a size, a place, and what no code may do.

use crate::code::{code_only, names, split_tests};
use crate::tree::{assert_none, documents, is_test};

/// Past this many lines before its unit tests, a file is two files.
const MOST_LINES: usize = 400;

fn complaints(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: &str| complaints.push(format!("{path}: {what}"));
    if !text.starts_with("//!") {
        complain("starts without a `//!` header that says what it is");
    }
    if path.ends_with("/mod.rs") {
        complain("is a mod.rs; `foo.rs` beside `foo/` is found by its name");
    }
    let lines = split_tests(text).0.lines().count();
    if !is_test(path) && lines > MOST_LINES {
        complain(&format!("has {lines} lines without its tests, more than {MOST_LINES}: it is two files"));
    }
    let code = code_only(text);
    if code.contains("#[allow(") || code.contains("#![allow(") {
        complain("allows a lint; `#[expect(…, reason = \"…\")]` says why, and goes when it is over");
    }
    for unfinished in ["todo!", "unimplemented!"] {
        if code.contains(unfinished) {
            complain(&format!("has a {unfinished}"));
        }
    }
    let tests = if is_test(path) { code.as_str() } else { split_tests(&code).1 };
    if ["thread", "time"].iter().any(|module| names(tests, module, "sleep")) {
        complain("a test sleeps; wait for a signal, or drive the clock by hand");
    }
    complaints
}

#[test]
fn sources_are_tidy() {
    let sources = documents("crates", "rs");
    assert_none(&sources.iter().flat_map(|file| complaints(&file.path, &file.text)).collect::<Vec<_>>());
}

#[cfg(test)]
mod can_fail {
    use super::*;

    /// The complaints about a file with a header and that code, without its path.
    fn about(path: &str, code: &str) -> String {
        complaints(path, &format!("//! Header.\n{code}")).join("; ")
    }

    #[test]
    fn a_tidy_file_passes() {
        assert_eq!(about("crates/a/src/a.rs", "fn f() { thread::sleep(x) } // todo!()\n"), "");
    }

    #[test]
    fn headers_and_places() {
        assert!(complaints("crates/a/src/a.rs", "use b;\n")[0].contains("header"));
        assert!(about("crates/a/src/b/mod.rs", "").contains("mod.rs"));
    }

    #[test]
    fn sizes_count_up_to_the_tests() {
        let lines = |count: usize| "fn f() {}\n".repeat(count);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}", lines(MOST_LINES - 1), lines(90));
        assert_eq!(about("crates/a/src/a.rs", &tested), "");
        assert!(about("crates/a/src/a.rs", &lines(MOST_LINES)).contains("401 lines"));
        assert_eq!(about("crates/a/tests/a.rs", &lines(MOST_LINES)), "");
    }

    #[test]
    fn words_that_no_code_may_use() {
        assert!(about("crates/a/src/a.rs", "#[allow(dead_code)]").contains("allows a lint"));
        assert!(about("crates/a/src/a.rs", "#![allow(dead_code)]").contains("allows a lint"));
        assert!(about("crates/a/src/a.rs", "fn f() { todo!() }").contains("todo!"));
        assert!(about("crates/a/src/a.rs", "fn f() { unimplemented!() }").contains("unimplemented!"));
    }

    #[test]
    fn sleeping_tests() {
        let unit = "#[cfg(test)]\nmod tests { fn f() { std::thread::sleep(x) } }";
        assert!(about("crates/a/src/a.rs", unit).contains("sleeps"));
        assert!(about("crates/a/tests/a.rs", "tokio::time::sleep(x).await;").contains("sleeps"));
        assert!(about("crates/a/tests/a.rs", "use tokio::time::{sleep, timeout};").contains("sleeps"));
        assert_eq!(about("crates/a/tests/a.rs", "Command::new(\"sleep\"); time::sleeper()"), "");
    }
}
