//! Links in documents lead somewhere, and feature files say something.

use std::path::Path;

use crate::tree::{Document, assert_none, documents, root};

/// Relative links of a Markdown text, less their anchors; code is skipped.
fn relative_links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece between backquotes is code.
        for piece in line.split('`').step_by(2) {
            links.extend(
                piece.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link),
            );
        }
    }
    links.retain(|link| !link.contains("://") && !link.starts_with("mailto:") && !link.starts_with('#'));
    links.into_iter().map(|link| link.split('#').next().unwrap_or(link)).collect()
}

fn link_complaints(path: &str, text: &str, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let dead = relative_links(text).into_iter().filter(|link| !exists(&folder.join(link)));
    dead.map(|link| format!("{path}: the link to {link} leads nowhere")).collect()
}

/// Complaints about a feature file: a run over a file without scenarios passes and tests nothing.
fn feature_complaints(path: &str, text: &str) -> Vec<String> {
    let starts = |line: &str, words: &[&str]| words.iter().any(|word| line.trim_start().starts_with(word));
    let mut scenarios: Vec<(&str, usize)> = Vec::new();
    for line in text.lines() {
        if starts(line, &["Scenario:", "Scenario Outline:", "Example:"]) {
            scenarios.push((line.trim(), 0));
        } else if starts(line, &["Given ", "When ", "Then "])
            && let Some((_, steps)) = scenarios.last_mut()
        {
            *steps += 1;
        }
    }
    if scenarios.is_empty() {
        return vec![format!("{path}: has no scenario")];
    }
    let idle = scenarios.iter().filter(|(_, steps)| *steps == 0);
    idle.map(|(title, _)| format!("{path}: `{title}` has no step")).collect()
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let mut files = documents("docs", "md");
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        if let Ok(text) = std::fs::read_to_string(root.join(name)) {
            files.push(Document { path: name.to_owned(), text });
        }
    }
    let complaints = files
        .iter()
        .flat_map(|file| link_complaints(&file.path, &file.text, |target| root.join(target).exists()));
    assert_none(&complaints.collect::<Vec<_>>());
}

#[test]
fn features_have_scenarios() {
    let files = documents("features", "feature");
    assert_none(
        &files.iter().flat_map(|file| feature_complaints(&file.path, &file.text)).collect::<Vec<_>>(),
    );
    if root().join("features").is_dir() {
        assert!(!files.is_empty(), "features/ is there and holds no feature file");
    }
}

#[cfg(test)]
mod can_fail {
    use super::*;

    #[test]
    fn dead_links() {
        let text = "[a](there.md) [b](gone.md#part) [c](#here) [d](https://e.org/gone.md) `[e](code)`\n\
                    ```\n[f](code)\n```\n[g](../README.md)";
        assert_eq!(relative_links(text), ["there.md", "gone.md", "../README.md"]);
        let complaints = link_complaints("docs/x.md", text, |path| path == Path::new("docs/there.md"));
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].contains("gone.md"), "{complaints:?}");
    }

    #[test]
    fn empty_features() {
        assert_eq!(
            feature_complaints("a.feature", "Feature: a\n  Scenario: b\n    Given c\n"),
            Vec::<String>::new()
        );
        assert_eq!(feature_complaints("a.feature", "Feature: a\n").len(), 1);
        assert_eq!(feature_complaints("a.feature", "Scenario: b\nScenario: c\nWhen d\n").len(), 1);
    }
}
