//! Following a log while it is written, by whatever process.
//!
//! Nothing is held but one open file. A file that the writer drops while it is read here is read to
//! its end; what was dropped before it was reached shows as a line, as in [`read_log`](super::read_log).

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use super::files::{self, Segment};
use super::read::gap;
use crate::plain;

/// Reads the log at a path on and on; see [`LogFollower::read`].
#[derive(Debug)]
pub struct LogFollower {
    path: PathBuf,
    file: Option<File>,
    /// Where in the whole log the file begins.
    begin: u64,
    /// How much of it was read.
    read: u64,
    /// What stands where bytes are left out, as far as it was not handed out yet.
    gap: Vec<u8>,
}

impl LogFollower {
    /// A follower from the beginning; the log may not be there yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: None, begin: 0, read: 0, gap: Vec::new() }
    }

    /// The next bytes. Never waits; 0: for now there is nothing more.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.gap.is_empty() {
                let count = self.gap.len().min(buffer.len());
                buffer[..count].copy_from_slice(&self.gap[..count]);
                self.gap.drain(..count);
                return Ok(count);
            }
            let count = self.read_file(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(next) = self.next()? else { return Ok(0) };
            // The next file is made after the last word in this one, which may have come meanwhile.
            let count = self.read_file(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.turn_to(&next)?;
        }
    }

    fn read_file(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.file.is_none() && self.begin == 0 {
            self.file = found(plain::read(&self.path))?;
        }
        let Some(file) = &mut self.file else { return Ok(0) };
        let count = file.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }

    fn next(&self) -> io::Result<Option<Segment>> {
        let all = found(files::segments(&self.path))?.unwrap_or_default();
        Ok(all.into_iter().find(|segment| segment.begin > self.begin))
    }

    fn turn_to(&mut self, next: &Segment) -> io::Result<()> {
        // Dropped meanwhile: there is a later one.
        let Some(file) = found(plain::read(&next.path))? else { return Ok(()) };
        let end = self.begin + self.read;
        if next.begin > end {
            self.gap = gap(next.begin - end).into_bytes();
        }
        (self.file, self.begin, self.read) = (Some(file), next.begin, 0);
        Ok(())
    }
}

/// What is not there is no error here.
fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        outcome => outcome.map(Some),
    }
}
