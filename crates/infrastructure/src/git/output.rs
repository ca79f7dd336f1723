//! Reading what git prints: fields ended by NUL, single lines, object ids.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use agents_domain::oid::Oid;
use agents_domain::workspace::WorkspaceError;

use super::failure;

/// The fields of `-z` output; each ends with a NUL.
pub(super) fn fields(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty())
}

/// The same fields for `-z --stdin`.
pub(super) fn joined<'a>(fields: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    fields.into_iter().flat_map(|field| field.iter().copied().chain([0])).collect()
}

/// A path as git prints it; any bytes but NUL.
pub(super) fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

/// A path printed on a line of its own; only the last newline is not part of it.
pub(super) fn path_line(bytes: &[u8]) -> PathBuf {
    path(bytes.strip_suffix(b"\n").unwrap_or(bytes))
}

/// For people: bytes that are no UTF-8 are replaced.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\n').to_owned()
}

/// An object id printed on a line or in a field.
pub(super) fn oid(bytes: &[u8], shown: &str, dir: &Path) -> Result<Oid, WorkspaceError> {
    Oid::parse(&text(bytes)).map_err(|error| failure::git(shown, dir, error.to_string()))
}

/// One line of `diff-tree --raw -z`: a path and its mode on the new side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Changed {
    /// The path, any bytes.
    pub(super) path: Vec<u8>,
    /// Git's letter for what happened to it.
    pub(super) status: char,
    /// Whether the new side is a commit of another repository.
    pub(super) gitlink: bool,
}

/// Reads `diff-tree --raw -z`: `:100644 100755 <old> <new> M NUL path NUL`.
pub(super) fn changes(raw: &[u8]) -> Vec<Changed> {
    let mut fields = fields(raw);
    let mut found = Vec::new();
    while let (Some(meta), Some(path)) = (fields.next(), fields.next()) {
        let gitlink = meta.split(|byte| *byte == b' ').nth(1) == Some(b"160000");
        let status = meta.last().copied().map_or('M', char::from);
        found.push(Changed { path: path.to_owned(), status, gitlink });
    }
    found
}
