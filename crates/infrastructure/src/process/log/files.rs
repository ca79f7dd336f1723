//! The files of a log: their names, what they say, and how they are opened.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// A file of the log after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Where in the whole log it begins.
    pub(super) begin: u64,
}

impl Segment {
    /// The segment of the log at `log` that begins there.
    pub(super) fn after(log: &Path, begin: u64) -> Self {
        let mut name = stem(log);
        name.push(format!("{begin:020}"));
        Self { path: log.with_file_name(name), begin }
    }
}

/// The name of a segment, less its number.
fn stem(log: &Path) -> OsString {
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".tail-");
    name
}

/// The segments of the log at `log`, in order.
pub(super) fn segments(log: &Path) -> io::Result<Vec<Segment>> {
    let directory = log.parent().filter(|parent| !parent.as_os_str().is_empty());
    let stem = stem(log);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        // A command may have put something else there.
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name();
        let number = name.as_encoded_bytes().strip_prefix(stem.as_encoded_bytes());
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|n| n.parse().ok());
        found.extend(number.map(|begin| Segment { path: entry.path(), begin }));
    }
    found.sort_by_key(|segment| segment.begin);
    Ok(found)
}

/// All files of the log at `log` that exist, in order: what to delete with it.
pub fn log_files(log: &Path) -> io::Result<Vec<PathBuf>> {
    let head = log.try_exists()?.then(|| log.to_owned());
    Ok(head.into_iter().chain(segments(log)?.into_iter().map(|segment| segment.path)).collect())
}

/// Whether the file is empty, or its last byte ends a line.
pub(super) fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
