//! `/proc/<pid>/stat`: parents, groups, sessions and start times of processes.
//!
//! Where there is no `/proc` (macOS) nothing is found, and callers fall back. Format: proc(5);
//! the name stands in brackets and may itself hold brackets, spaces and any bytes.

use std::fs;
use std::path::Path;

/// One process, as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its number.
    pub(super) pid: i32,
    /// Its name (15 bytes at most), lossily decoded.
    pub(super) name: String,
    /// `R`, `S`, `D`, `T`, `Z`, …
    pub(super) state: char,
    /// Its parent.
    pub(super) parent: i32,
    /// Its process group.
    pub(super) group: i32,
    /// When it started, in ticks since boot: field 22.
    pub(super) started: u64,
}

impl Stat {
    /// Parses the content of the file.
    fn parse(content: &[u8]) -> Option<Self> {
        let open = content.iter().position(|byte| *byte == b'(')?;
        let close = content.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid: std::str::from_utf8(&content[..open]).ok()?.trim().parse().ok()?,
            name: String::from_utf8_lossy(content.get(open + 1..close)?).into_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            // Field 22 of the file; the state is field 3.
            started: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it has ended and only waits to be reaped.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// That process; `None` if it is not there, or not to be seen.
pub(super) fn of(pid: u32) -> Option<Stat> {
    read(&Path::new("/proc").join(pid.to_string()))
}

/// All processes to be seen, in the order of their numbers.
pub(super) fn all() -> impl Iterator<Item = Stat> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| read(&entry.path()))
}

fn read(directory: &Path) -> Option<Stat> {
    Stat::parse(&fs::read(directory.join("stat")).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] = b"17 (a) b (\xff) Z 3 4 5 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";

    #[test]
    fn a_name_may_hold_brackets_and_any_bytes() {
        let stat = Stat::parse(SAMPLE).expect("well-formed");
        assert_eq!((stat.pid, stat.parent, stat.group), (17, 3, 4));
        assert_eq!((stat.name.as_str(), stat.started), ("a) b (\u{fffd}", 4711));
        assert!(stat.is_dead());
    }

    #[test]
    fn what_is_cut_short_is_nothing() {
        assert_eq!(Stat::parse(b""), None);
        assert_eq!(Stat::parse(b"17 (sh) S 3"), None);
        assert_eq!(Stat::parse(b"x (sh) S 3 4 5 0 -1 4 0 0 0 0 0 0 0 0 20 0 1 0 4711"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_among_all() {
        let me = i32::try_from(std::process::id()).expect("a pid");
        let found = all().find(|stat| stat.pid == me).expect("this process");
        assert_eq!(Some(found.started), of(std::process::id()).map(|stat| stat.started));
        assert!(!found.is_dead());
    }
}
