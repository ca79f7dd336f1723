//! The log of an attempt: written with bounded memory and disk, readable at every moment.
//!
//! # Lines
//!
//! ```text
//! 2026-11-23T08:00:00.123Z out| Compiling
//! 2026-11-23T08:00:00.123Z err| warning: …
//! 2026-11-23T08:00:00.124Z out+  agents v0.1.0
//! ```
//!
//! Time (UTC, taken once per chunk read) and stream, then the bytes of the command as they are.
//! `|` begins a line. `+` goes on with a line of that stream which was broken off, because the
//! other stream spoke or a file was full: the line end before it was not in the output. So each
//! stream can be had back byte for byte.
//!
//! # Files
//!
//! ```text
//! execute.log                              the first 32 MiB (nearly always: everything)
//! execute.log.tail-00000000000033554000    from that offset of the whole log on, 8 MiB
//! execute.log.tail-00000000000041942000    …; four at most, the oldest is deleted
//! ```
//!
//! A name says where in the whole log its file begins, so the length of what is left out follows
//! from the names and lengths alone. Nothing is joined, renamed or rewritten, there is no state
//! besides: whenever the driver is killed, what is on disk is a well-formed log (up to a last
//! line broken off, which the next writer ends). [`read_log`] puts the files together.
//!
//! A write that fails (disk full) ends the log, with a warning to the program's own log, and never
//! the command: its output is still drained. Files are readable by their owner only.

mod files;
mod follow;
mod read;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agents_domain::time::Clock;
use files::Segment;

use crate::plain;

pub use files::log_files;
pub use follow::LogFollower;
pub use read::{LogReader, copy_log, read_log};

/// A stream of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    const fn tag(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// How much is kept, in bytes of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Of the first file.
    pub(super) head: u64,
    /// Of each further file.
    pub(super) segment: u64,
    /// How many further files.
    pub(super) segments: usize,
    /// Formatted bytes are written out, and files changed, when so many are gathered.
    pub(super) gather: usize,
}

impl Limits {
    /// 64 MiB: 32 at the head, and the last 24 to 32.
    pub(super) const STANDARD: Self =
        Self { head: 32 << 20, segment: 8 << 20, segments: 4, gather: 64 << 10 };
}

/// Writes the log of one command, after what is there already.
pub(super) struct LogWriter {
    path: PathBuf,
    limits: Limits,
    clock: Arc<dyn Clock>,
    /// The files after the first, oldest first.
    tail: Vec<Segment>,
    file: File,
    /// Where in the whole log `file` begins.
    begin: u64,
    /// How long `file` is, the gathered bytes included.
    length: u64,
    gathered: Vec<u8>,
    /// Whose line is open in the file.
    open: Option<Stream>,
    /// Whose line is open in the output, by stream.
    unfinished: [bool; 2],
    /// Writing has failed; nothing more is tried.
    broken: bool,
}

impl LogWriter {
    /// Opens the log at `path`, making directory and file if need be.
    pub(super) fn append(path: &Path, limits: Limits, clock: Arc<dyn Clock>) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let tail = files::segments(path)?;
        let (last, begin) = tail.last().map_or((path, 0), |last| (last.path.as_path(), last.begin));
        let mut file = plain::append(last)?;
        let ended = files::ends_a_line(&mut file)?;
        let length = file.metadata()?.len();
        let mut log = Self {
            path: path.to_owned(),
            limits,
            clock,
            file,
            begin,
            length,
            gathered: Vec::new(),
            open: None,
            unfinished: [false; 2],
            broken: false,
            tail,
        };
        if !ended {
            log.gather(b"\n");
        }
        Ok(log)
    }

    /// Adds a chunk of a stream.
    pub(super) fn write(&mut self, stream: Stream, chunk: &[u8]) {
        if self.broken {
            return;
        }
        let time = self.time();
        for part in chunk.chunks(self.limits.gather) {
            for piece in part.split_inclusive(|byte| *byte == b'\n') {
                if self.gathered.len() >= self.limits.gather {
                    self.flush();
                }
                self.piece(&time, stream, piece);
            }
        }
        self.flush();
    }

    /// Adds a line, or a part of one.
    fn piece(&mut self, time: &str, stream: Stream, piece: &[u8]) {
        let unfinished = self.unfinished[stream as usize];
        if self.open != Some(stream) {
            self.break_line();
            self.gather(format!("{time} {}{} ", stream.tag(), if unfinished { '+' } else { '|' }).as_bytes());
        }
        self.gather(piece);
        let ends = piece.ends_with(b"\n");
        self.unfinished[stream as usize] = !ends;
        self.open = (!ends).then_some(stream);
    }

    /// Ends the line that is open in the file, if one is.
    fn break_line(&mut self) {
        if self.open.take().is_some() {
            self.gather(b"\n");
        }
    }

    fn gather(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        self.length += bytes.len() as u64;
    }

    /// Writes out what is gathered; begins a new file if this one is full.
    fn flush(&mut self) {
        let full = if self.tail.is_empty() { self.limits.head } else { self.limits.segment };
        // One more gathering (below `gather`, a prefix, and a piece of at most `gather`) must still fit.
        let rotate = self.length + 2 * self.limits.gather as u64 + 64 > full;
        if rotate {
            self.break_line();
        }
        let written = self.file.write_all(&self.gathered);
        self.gathered.clear();
        let done = if rotate { written.and_then(|()| self.rotate()) } else { written };
        if let Err(error) = done {
            tracing::warn!(log = %self.path.display(), %error, "the log of a command ends early");
            self.broken = true;
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let next = Segment::after(&self.path, self.begin + self.length);
        if self.tail.len() >= self.limits.segments {
            fs::remove_file(self.tail.remove(0).path)?;
        }
        self.file = plain::append(&next.path)?;
        self.begin = next.begin;
        self.length = 0;
        self.tail.push(next);
        Ok(())
    }

    /// The time, as lines carry it.
    fn time(&self) -> String {
        let now = jiff::Timestamp::from_millisecond(self.clock.now().as_millis()).unwrap_or_default();
        format!("{now:.3}")
    }
}

#[cfg(test)]
mod tests;
