//! The subplans file of an attempt: JSON lines that strategize writes, a child each.
//!
//! ```text
//! {"name":"api","action":"fix","args":{"target":"api"}}
//! {"name":"web","action":"fix","args":{"target":"web"},"depends_on":["api"]}
//! ```
//!
//! Keys and rules are those of an item in an action file; blank lines count for nothing. All lines
//! that are wrong are told, by their numbers. The file belongs to a command that may write anything,
//! for ever, or put something else in its place: only a plain file is read, of that no more than
//! [`MOST_READ`], and no more is kept than a plan may have children.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use agents_domain::files::AskedSubplans;
use agents_domain::subplan::MAX_CHILDREN;

use crate::action_file::item_of_json;
use crate::plain;

/// How much of the file is looked at (64 MiB): enough to count the children of a runaway.
const MOST_READ: u64 = 64 << 20;
/// The longest line (64 KiB). The kernel takes no variable above 128 KiB, and arguments become some.
const LONGEST_LINE: usize = 64 << 10;
/// What all lines may be together (8 MiB), since it all is stored.
const MOST_BUILT: usize = 8 << 20;
/// Arguments, dependencies and projects of all children together: what is wrong with each is told.
const MOST_ENTRIES: usize = 20_000;
/// More problems than these are counted only.
const KEPT: usize = 200;
/// Characters of a problem that are shown; the rest is somebody's line.
const SHOWN: usize = 300;

/// The children that the file at `path` asks for.
pub(super) fn read(path: &Path) -> io::Result<AskedSubplans> {
    from(plain::read(path)?)
}

fn from(source: impl Read) -> io::Result<AskedSubplans> {
    let mut source = BufReader::new(source.take(MOST_READ + 1));
    let (mut reading, mut line) = (Reading::default(), Vec::new());
    while next_line(&mut source, &mut line)? {
        reading.line(&line);
    }
    reading.cut = source.into_inner().limit() == 0;
    Ok(reading.asked())
}

/// The next line into `line`, of a long one only the beginning; whether there was one.
fn next_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let bound = LONGEST_LINE as u64 + 1;
    let length = source.by_ref().take(bound).read_until(b'\n', line)?;
    if length > LONGEST_LINE && !line.ends_with(b"\n") {
        source.skip_until(b'\n')?;
    }
    Ok(length > 0)
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    /// Of the line read last, from 1.
    number: usize,
    /// Lines with something in them.
    count: usize,
    /// Bytes of those that were built.
    size: usize,
    /// Arguments, dependencies and projects of those.
    entries: usize,
    asked: AskedSubplans,
    /// Problems that were not kept.
    more: usize,
    /// Whether the file goes on.
    cut: bool,
}

impl Reading {
    fn line(&mut self, line: &[u8]) {
        self.number += 1;
        let text = line.trim_ascii();
        if text.is_empty() {
            return;
        }
        self.count += 1;
        self.size += text.len();
        // What is too much is an error, whatever is in it.
        if self.count > MAX_CHILDREN || self.size > MOST_BUILT || self.entries > MOST_ENTRIES {
            return;
        }
        let item = if line.len() > LONGEST_LINE {
            Err(format!("it is longer than {} KiB", LONGEST_LINE >> 10))
        } else {
            utf8(text).and_then(item_of_json)
        };
        match item {
            Ok(item) => {
                self.entries += item.args.len() + item.depends_on.len() + item.projects.len();
                self.asked.items.push(item);
            }
            Err(reason) => {
                self.asked.unread.extend(name_on(text));
                if self.asked.problems.len() < KEPT {
                    self.asked.problems.push(format!("line {}: {}", self.number, shown(&reason)));
                } else {
                    self.more += 1;
                }
            }
        }
    }

    /// Items are told beside problems, so that what is wrong with them as a graph is told too.
    fn asked(self) -> AskedSubplans {
        let mut asked = self.asked;
        if self.more > 0 {
            asked.problems.push(format!("… and {} lines more", self.more));
        }
        // Whatever is wrong with some of a hundred thousand lines would tell nobody anything.
        let excess = [
            (self.count > MAX_CHILDREN).then(|| {
                format!("{} subplans are more than the {MAX_CHILDREN} that a plan may have", self.count)
            }),
            (self.size > MOST_BUILT).then(|| {
                format!("the lines are {} bytes together, more than {} MiB", self.size, MOST_BUILT >> 20)
            }),
            (self.entries > MOST_ENTRIES).then(|| {
                format!("they have more than {MOST_ENTRIES} arguments, dependencies and projects together")
            }),
            self.cut.then(|| format!("the file is longer than {} MiB: it was not read on", MOST_READ >> 20)),
        ];
        let excess: Vec<_> = excess.into_iter().flatten().collect();
        if excess.is_empty() { asked } else { AskedSubplans { problems: excess, ..AskedSubplans::default() } }
    }
}

fn utf8(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line)
        .map_err(|error| format!("this is not UTF-8 text, from byte {} on", error.valid_up_to() + 1))
}

/// The name on a line that is no item, also where the line is no JSON: what stands behind the first key
/// `name`.
fn name_on(line: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(line).ok()?;
    let (_, behind) = text.split_once("\"name\"")?;
    let value = behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    value.split_once('"').map(|(name, _)| name.to_owned())
}

/// As much of a reason as a person reads, without what could drive a terminal.
fn shown(reason: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut shown: String = reason.chars().take(SHOWN).map(visible).collect();
    if reason.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests;
