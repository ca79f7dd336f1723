//! Output that goes on while it is shown: as it is, or as JSON lines.
//!
//! Memory stays bounded whatever comes: one chunk, and with JSON one line of which no more than
//! [`LONGEST`] bytes are kept; the rest of a longer one follows in objects of its own.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::exit::Exit;

/// Bytes heard at once.
const CHUNK: usize = 64 << 10;
/// The longest piece of a line in one JSON object.
const LONGEST: usize = 64 << 10;
/// `2026-11-23T08:00:00.123Z out| `: time, stream, and whether the line goes on with an earlier one.
const PREFIX: usize = 30;

/// The next thing heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// From here on it is the log of this attempt.
    Attempt(u32),
    /// So many bytes, in the buffer.
    Bytes(usize),
    /// Nothing more will come.
    Over,
}

/// The log of a plan, followed while it is written.
pub trait Live: Send {
    /// Waits for what comes next.
    fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Heard>;
    /// Whose log it is.
    fn plan_id(&self) -> String;
    /// How it ended; asked at the end.
    fn exit(&self) -> Exit;
    /// What there is to say at the end.
    fn last_words(&self) -> Vec<String>;
}

/// Shows it as it is. Attempts after the first are told apart by a line of ours.
pub(super) fn as_text(live: &mut dyn Live, out: &mut dyn Write) -> io::Result<()> {
    let (mut buffer, mut first) = (vec![0; CHUNK], true);
    loop {
        match live.hear(&mut buffer)? {
            Heard::Over => return Ok(()),
            Heard::Attempt(number) if !first => writeln!(out, "[agents] … attempt {number} …")?,
            Heard::Attempt(_) => first = false,
            Heard::Bytes(count) => out.write_all(&buffer[..count])?,
        }
        out.flush()?;
    }
}

/// Shows each line as a JSON object.
pub(super) fn as_json(live: &mut dyn Live, out: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut lines = Lines { plan: live.plan_id(), attempt: 0, line: Vec::new(), prefix: None };
    loop {
        match live.hear(&mut buffer)? {
            Heard::Over => {
                lines.end(out)?;
                return out.flush();
            }
            Heard::Attempt(number) => {
                lines.end(out)?;
                lines.attempt = number;
            }
            Heard::Bytes(count) => lines.push(&buffer[..count], out)?,
        }
        out.flush()?;
    }
}

/// Puts lines together from chunks.
struct Lines {
    plan: String,
    attempt: u32,
    line: Vec<u8>,
    /// Time and stream of a line of which a piece has gone out.
    prefix: Option<(Value, Value)>,
}

impl Lines {
    fn push(&mut self, chunk: &[u8], out: &mut dyn Write) -> io::Result<()> {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n").unwrap_or(piece);
            for part in text.chunks(LONGEST) {
                if self.line.len() + part.len() > LONGEST + PREFIX {
                    self.put(out)?;
                }
                self.line.extend_from_slice(part);
            }
            if piece.ends_with(b"\n") {
                self.put(out)?;
                self.prefix = None;
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.line.is_empty() {
            self.put(out)?;
        }
        self.prefix = None;
        Ok(())
    }

    /// Writes what is there of the line.
    fn put(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let (at, stream, continued, text) = match self.prefix.clone() {
            Some((at, stream)) => (at, stream, true, &line[..]),
            None => parted(&line),
        };
        let hex = || text.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"));
        let object = json!({
            "plan_id": self.plan, "attempt": self.attempt, "at": at, "stream": stream, "continued": continued,
            "text": String::from_utf8_lossy(text),
            "text_hex": std::str::from_utf8(text).is_err().then(hex),
        });
        self.prefix = Some((at, stream));
        writeln!(out, "{object}")
    }
}

/// Time, stream, whether it goes on with an earlier line, and the text.
fn parted(line: &[u8]) -> (Value, Value, bool, &[u8]) {
    let known = || {
        let (head, text) = line.split_at_checked(PREFIX)?;
        let head = std::str::from_utf8(head).ok()?;
        let (at, rest) = head.split_once(' ')?;
        let stream = rest.get(..3).filter(|stream| ["out", "err"].contains(stream))?;
        let goes_on = match rest.get(3..)? {
            "| " => false,
            "+ " => true,
            _ => return None,
        };
        Some((at.into(), stream.into(), goes_on, text))
    };
    known().unwrap_or((Value::Null, "agents".into(), false, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is heard, in order.
    struct Script(Vec<(Heard, &'static [u8])>);

    impl Live for Script {
        fn hear(&mut self, buffer: &mut [u8]) -> io::Result<Heard> {
            if self.0.is_empty() {
                return Ok(Heard::Over);
            }
            let (heard, bytes) = self.0.remove(0);
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(heard)
        }
        fn plan_id(&self) -> String {
            "01A".to_owned()
        }
        fn exit(&self) -> Exit {
            Exit::Done
        }
        fn last_words(&self) -> Vec<String> {
            Vec::new()
        }
    }

    fn bytes(bytes: &'static [u8]) -> (Heard, &'static [u8]) {
        (Heard::Bytes(bytes.len()), bytes)
    }

    fn script() -> Script {
        let cut = b"2026-11-23T08:00:00.123Z out| on";
        Script(vec![
            (Heard::Attempt(1), b""),
            bytes(cut),
            bytes(b"e\n[agents] \xe2\x80\xa6 7 bytes left out \xe2\x80\xa6\n"),
            (Heard::Attempt(2), b""),
            bytes(b"2026-11-23T08:00:01.000Z err+ \xff"),
        ])
    }

    #[test]
    fn a_text_is_passed_through_and_attempts_are_told_apart() {
        let mut out = Vec::new();
        as_text(&mut script(), &mut out).expect("written");
        let text = String::from_utf8_lossy(&out).into_owned();
        assert!(text.starts_with("2026-11-23T08:00:00.123Z out| one\n[agents] … 7 bytes"), "{text}");
        assert!(text.contains("\n[agents] … attempt 2 …\n2026"), "{text}");
    }

    #[test]
    fn each_line_is_an_object() {
        let mut out = Vec::new();
        as_json(&mut script(), &mut out).expect("written");
        let lines: Vec<Value> =
            out.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let all = ["attempt", "stream", "continued", "text", "text_hex"];
        let shown: Vec<Vec<String>> =
            lines.iter().map(|line| all.iter().map(|key| line[key].to_string()).collect()).collect();
        assert_eq!(shown[0], ["1", "\"out\"", "false", "\"one\"", "null"]);
        assert_eq!(shown[1], ["1", "\"agents\"", "false", "\"[agents] … 7 bytes left out …\"", "null"]);
        assert_eq!(shown[2], ["2", "\"err\"", "true", "\"\u{fffd}\"", "\"ff\""]);
        assert_eq!(
            (lines[0]["at"].as_str(), lines[0]["plan_id"].as_str()),
            (Some("2026-11-23T08:00:00.123Z"), Some("01A"))
        );
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let long: &'static [u8] = vec![b'x'; CHUNK].leak();
        let mut script = Script(vec![
            bytes(b"2026-11-23T08:00:00.123Z out| "),
            bytes(long),
            bytes(long),
            bytes(b"\nend\n"),
        ]);
        let mut out = Vec::new();
        as_json(&mut script, &mut out).expect("written");
        let lines: Vec<Value> =
            out.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
        let shown: Vec<_> = lines
            .iter()
            .map(|line| {
                (line["text"].as_str().map(str::len), line["continued"].as_bool(), line["stream"].as_str())
            })
            .collect();
        let (size, out) = (Some(CHUNK), Some("out"));
        assert_eq!(shown[..2], [(size, Some(false), out), (size, Some(true), out)]);
        assert_eq!(shown.last().expect("the last").2, Some("agents"));
    }
}
