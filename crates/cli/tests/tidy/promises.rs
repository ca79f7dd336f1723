//! The tests that `docs/reference/concurrency.md` names are there.
//!
//! A name is `folder::file::test` between backquotes, all in small letters, the end of the test's
//! path; or `file.feature: Title` of a scenario. Paths into the domain's functions look the same
//! but are rare; a page that needs one writes it without a module.

use crate::tree::{Document, assert_none, documents, root};

const PAGE: &str = "docs/reference/concurrency.md";
/// A page with fewer names than this has lost its tables.
const LEAST: usize = 40;

/// The names of tests and scenarios in a page.
fn named(text: &str) -> Vec<&str> {
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let plain = |span: &str| span.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | ':'));
    spans.filter(|span| (span.contains("::") && plain(span)) || span.contains(".feature: ")).collect()
}

/// Whether one of the sources has that test, or one of the features that scenario.
fn is_there(name: &str, sources: &[Document], features: &[Document]) -> bool {
    if let Some((file, title)) = name.split_once(": ") {
        return features.iter().any(|feature| feature.path.ends_with(file) && has_scenario(feature, title));
    }
    let Some((module, test)) = name.rsplit_once("::") else { return false };
    let suffix = format!("/{}.rs", module.replace("::", "/"));
    let function = format!("fn {test}(");
    sources.iter().any(|source| source.path.ends_with(&suffix) && source.text.contains(&function))
}

fn has_scenario(feature: &Document, title: &str) -> bool {
    let mut titles = feature.text.lines().filter_map(|line| line.trim().split_once(": "));
    titles.any(|(word, found)| matches!(word, "Scenario" | "Scenario Outline" | "Example") && found == title)
}

fn complaints(text: &str, sources: &[Document], features: &[Document]) -> Vec<String> {
    let missing = named(text).into_iter().filter(|name| !is_there(name, sources, features));
    missing.map(|name| format!("{PAGE}: there is no test {name}")).collect()
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = std::fs::read_to_string(root().join(PAGE)).expect("the page");
    let (sources, features) = (documents("crates", "rs"), documents("features", "feature"));
    assert_none(&complaints(&page, &sources, &features));
    let count = named(&page).len();
    assert!(count >= LEAST, "{PAGE} names {count} tests, fewer than {LEAST}");
}

#[cfg(test)]
mod can_fail {
    use super::*;

    fn document(path: &str, text: &str) -> Document {
        Document { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn names_are_told_from_other_code() {
        let page = "`a::b_c` and `Fence::Token`, `plan/<ULID>`, `x`, `locks.feature: One wins`";
        assert_eq!(named(page), ["a::b_c", "locks.feature: One wins"]);
    }

    #[test]
    fn a_test_that_is_gone_is_complained_of() {
        let sources = [document("crates/a/tests/suite/locks.rs", "async fn one_wins(open: Opener) {}")];
        let about = |page: &str| complaints(page, &sources, &[]).len();
        assert_eq!(about("`suite::locks::one_wins`"), 0);
        assert_eq!(about("`suite::locks::one_win`"), 1);
        assert_eq!(about("`suite::terms::one_wins`"), 1);
    }

    #[test]
    fn a_scenario_that_is_gone_is_complained_of() {
        let features = [document("features/locks.feature", "Feature: locks\n  Scenario: One wins\n")];
        let about = |page: &str| complaints(page, &[], &features).len();
        assert_eq!(about("`locks.feature: One wins`"), 0);
        assert_eq!(about("`locks.feature: Two win`"), 1);
        assert_eq!(about("`other.feature: One wins`"), 1);
    }
}
