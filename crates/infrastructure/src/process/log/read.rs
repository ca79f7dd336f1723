//! Reading a log: its files as one stream, with a line where bytes are left out.

use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::path::Path;

use super::files::{self, Segment};
use crate::plain;

/// A log as one stream of bytes; see [`read_log`].
pub struct LogReader {
    parts: VecDeque<Box<dyn Read + Send>>,
}

impl Read for LogReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = self.parts.front_mut() {
            let count = part.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            self.parts.pop_front();
        }
        Ok(0)
    }
}

/// Opens the log at `path` for reading, all its files as one stream.
///
/// Where bytes were left out there is a line `[agents] … N bytes left out …` instead. The files
/// are opened here: what is dropped afterwards by a command that still runs can still be read.
/// A log that is not there is [`io::ErrorKind::NotFound`].
pub fn read_log(path: &Path) -> io::Result<LogReader> {
    let head = Segment { path: path.to_owned(), begin: 0 };
    open_all([head].into_iter().chain(files::segments(path)?))
}

/// Opens these files of a log, the first of which must be there.
pub(super) fn open_all(segments: impl Iterator<Item = Segment>) -> io::Result<LogReader> {
    let mut parts: VecDeque<Box<dyn Read + Send>> = VecDeque::new();
    let mut end = 0;
    for (index, segment) in segments.enumerate() {
        let file = match plain::read(&segment.path) {
            // Dropped since we looked: it counts as left out.
            Err(error) if index > 0 && error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let length = file.metadata()?.len();
        if segment.begin > end {
            parts.push_back(Box::new(Cursor::new(gap(segment.begin - end))));
        }
        end = segment.begin + length;
        // Only so far: a line that is being written meanwhile belongs to the next reader.
        parts.push_back(Box::new(file.take(length)));
    }
    Ok(LogReader { parts })
}

/// The line that stands for so many bytes.
pub(super) fn gap(bytes: u64) -> String {
    format!("[agents] … {bytes} bytes left out …\n")
}

/// Copies the log at `path` to `out`; returns how many bytes that was. See [`read_log`].
pub fn copy_log(path: &Path, out: &mut dyn Write) -> io::Result<u64> {
    io::copy(&mut read_log(path)?, out)
}
