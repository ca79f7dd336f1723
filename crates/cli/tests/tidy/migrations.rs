//! Migrations: one name on both sides, each going forward only.
//!
//! A migration is a folder `NNNN_what_it_does` with an `up.sql`, embedded in the binary. There is
//! no `down.sql`: the way back from a schema is the copy made before the migration, not a script
//! that drops columns with data in them. The version is what stands before the first `_`; two
//! migrations of one version would count as the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{assert_none, documents};

/// The version in a migration's name, if the name is well-formed.
fn version(name: &str) -> Option<&str> {
    let (version, words) = name.split_once('_')?;
    let digits = version.len() == 4 && version.bytes().all(|b| b.is_ascii_digit());
    let wording =
        !words.is_empty() && words.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    (digits && wording).then_some(version)
}

/// Complaints about `files`, pairs of path and text below `migrations/`.
fn complaints(files: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut sides: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, text) in files {
        let parts: Vec<&str> = path.split('/').collect();
        let ["migrations", side, name, file] = parts[..] else {
            complaints.push(format!("{path}: expected migrations/<database>/<NNNN_name>/up.sql"));
            continue;
        };
        if version(name).is_none() {
            complaints.push(format!("{path}: `{name}` is not four digits, `_`, and a-z, 0-9, `_`"));
        }
        if file != "up.sql" {
            complaints.push(format!("{path}: migrations go forward only: up.sql and nothing else"));
        } else if text.trim().is_empty() {
            complaints.push(format!("{path}: is empty"));
        }
        sides.entry(side).or_default().insert(name);
    }
    for (side, found) in &sides {
        let versions: BTreeSet<&str> = found.iter().filter_map(|name| version(name)).collect();
        if versions.len() < found.iter().filter(|name| version(name).is_some()).count() {
            complaints.push(format!("migrations/{side}: two migrations have one version"));
        }
    }
    let mut others = sides.values();
    if let Some(first) = others.next()
        && others.any(|other| other != first)
    {
        complaints.push("migrations: the databases differ in the names of their migrations".to_owned());
    }
    complaints
}

#[test]
fn migrations_are_well_formed() {
    let files: Vec<_> =
        documents("migrations", "sql").into_iter().map(|file| (file.path, file.text)).collect();
    assert_none(&complaints(&files));
}

#[cfg(test)]
mod can_fail {
    use super::*;
    use rstest::rstest;

    fn about(paths: &[&str]) -> usize {
        let files: Vec<_> =
            paths.iter().map(|path| ((*path).to_owned(), "CREATE TABLE a (b);".to_owned())).collect();
        complaints(&files).len()
    }

    #[rstest]
    #[case(&[], 0)]
    #[case(&["migrations/sqlite/0001_plans/up.sql", "migrations/sqlite/0002_locks/up.sql"], 0)]
    #[case(&["migrations/sqlite/0001_plans/up.sql", "migrations/postgres/0001_plans/up.sql"], 0)]
    #[case::no_version(&["migrations/sqlite/plans/up.sql"], 1)]
    #[case::capitals(&["migrations/sqlite/0001_Plans/up.sql"], 1)]
    #[case::backward(&["migrations/sqlite/0001_plans/up.sql", "migrations/sqlite/0001_plans/down.sql"], 1)]
    #[case::one_version(&["migrations/sqlite/0001_plans/up.sql", "migrations/sqlite/0001_locks/up.sql"], 1)]
    #[case::too_high(&["migrations/0001_plans/up.sql"], 1)]
    #[case::differ(&["migrations/sqlite/0001_plans/up.sql", "migrations/postgres/0001_locks/up.sql"], 1)]
    fn names(#[case] paths: &[&str], #[case] expected: usize) {
        assert_eq!(about(paths), expected, "{paths:?}");
    }

    #[test]
    fn an_empty_migration() {
        let files = [("migrations/sqlite/0001_plans/up.sql".to_owned(), "\n".to_owned())];
        assert_eq!(complaints(&files).len(), 1);
    }
}
