//! Why a directory stays on disk although its snapshot is safe: it holds what the snapshot does
//! not.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use super::output;

/// Untracked files above this many bytes (100 MiB, `execution.md`) are left out of snapshots.
pub(super) const LARGE: u64 = 100 * 1024 * 1024;

/// Directories that a tool fills again by itself; ignored files in them are worth nothing. Build
/// results such as `dist` or `build` are not among them: somebody may want to look at those.
const CACHES: [&str; 14] = [
    "target",
    "node_modules",
    ".venv",
    "venv",
    "__pycache__",
    ".cache",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".tox",
    ".nox",
    ".gradle",
    ".turbo",
    ".eslintcache",
];

/// What was left out of a snapshot.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// Ignored files and directories outside of caches.
    pub(super) ignored: Vec<Vec<u8>>,
    /// Repositories inside of the worktree.
    pub(super) nested: Vec<Vec<u8>>,
    /// Files above [`LARGE`].
    pub(super) large: Vec<Vec<u8>>,
}

impl LeftOut {
    /// In words; `None` if nothing was left out.
    pub(super) fn reason(&self) -> Option<String> {
        let kinds = [
            ("ignored files outside of caches", &self.ignored),
            ("nested repositories", &self.nested),
            ("untracked files above 100 MiB", &self.large),
        ];
        let said: Vec<_> = kinds.iter().filter(|(_, paths)| !paths.is_empty()).map(describe).collect();
        (!said.is_empty()).then(|| format!("not in the snapshot: {}", said.join("; ")))
    }
}

fn describe((kind, paths): &(&str, &Vec<Vec<u8>>)) -> String {
    let named: Vec<_> = paths.iter().take(5).map(|path| output::text(path)).collect();
    let more = paths.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{kind} ({}{more})", named.join(", "))
}

/// Whether an ignored path, as git lists it, holds anything that no cache does; `known` are files
/// that need no keeping. Git names a directory once if all in it is ignored.
pub(super) fn matters(dir: &Path, path: &Path, known: &impl Fn(&Path) -> bool) -> bool {
    if is_cache(path) || known(path) {
        return false;
    }
    let on_disk = dir.join(path);
    if !on_disk.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return true;
    }
    // One that cannot be read may hold anything.
    let Ok(entries) = fs::read_dir(on_disk) else { return true };
    entries.flatten().any(|entry| matters(dir, &path.join(entry.file_name()), known))
}

/// Whether an ignored path lies in a cache.
fn is_cache(path: &Path) -> bool {
    path.components().any(|part| CACHES.iter().any(|cache| part.as_os_str() == OsStr::new(cache)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let ignored = (0..7).map(|n| format!("f{n}").into_bytes()).collect();
        let left = LeftOut { ignored, nested: vec![b"n/".to_vec()], ..LeftOut::default() };
        assert_eq!(
            left.reason().as_deref(),
            Some(
                "not in the snapshot: ignored files outside of caches (f0, f1, f2, f3, f4 and 2 more); nested repositories (n/)"
            )
        );
        assert_eq!(LeftOut::default().reason(), None);
    }
}
