//! Reads the source tree that the checks look at.

use std::fs;
use std::path::{Path, PathBuf};

/// A file: its path from the root of the workspace, with `/`, and its text.
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

/// All files with that extension under a folder of the workspace, in order; none if there is no
/// such folder. Hidden folders and build output are left out.
pub(crate) fn documents(folder: &str, extension: &str) -> Vec<Document> {
    let root = root();
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths.iter().map(|path| read(&root, path)).collect()
}

/// Whether a file is nothing but tests.
pub(crate) fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Fails with every complaint, one a line.
pub(crate) fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a readable folder").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" {
            continue;
        }
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}

fn read(root: &Path, path: &Path) -> Document {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let path = path.strip_prefix(root).expect("found below the root").to_string_lossy().replace('\\', "/");
    Document { path, text }
}

#[test]
fn the_tree_is_found() {
    let sources = documents("crates", "rs");
    assert!(sources.iter().any(|file| file.path == "crates/cli/tests/tidy/tree.rs"));
    assert!(sources.iter().any(|file| file.path == "crates/domain/src/lib.rs"));
    assert!(documents("no/such/folder", "rs").is_empty());
}

#[test]
fn test_files_are_told_by_their_place() {
    assert!(is_test("crates/a/tests/a.rs") && is_test("crates/a/src/b/tests.rs"));
    assert!(!is_test("crates/a/src/attests.rs") && !is_test("crates/a/src/b.rs"));
}

#[test]
#[should_panic(expected = "2 complaints:\none\ntwo")]
fn complaints_fail_a_test() {
    assert_none(&["one".to_owned(), "two".to_owned()]);
}
