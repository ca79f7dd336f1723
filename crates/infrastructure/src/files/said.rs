//! The events file of an attempt: JSON lines that its commands write.
//!
//! ```text
//! {"type":"needs_input","question":"Which database?"}
//! {"type":"park","retry_after":"10m","reason":"the service asks to slow down"}
//! {"type":"park","until":"2026-11-26T18:00:00Z"}
//! ```
//!
//! The last of these lines counts. Further keys are left alone; what is no such line is counted and
//! told, once. The file belongs to a command that may write anything, for ever, or put something
//! else in its place: only a plain file is read, and of that the last [`WINDOW`] bytes.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use agents_domain::files::{Later, Said, When};
use agents_domain::time::Timestamp;
use serde::Deserialize;

use crate::plain;

/// How much of the end of the file is looked at.
const WINDOW: u64 = 1 << 20;
/// A longer text is cut: a person is to read it.
const LONGEST_TEXT: usize = 4096;
/// Nobody waits longer: a year.
const LONGEST_WAIT: Duration = Duration::from_hours(365 * 24);

/// One line, as far as it is known here.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    NeedsInput { question: String },
    Park { retry_after: Option<String>, until: Option<String>, reason: Option<String> },
}

/// What the file at `path` says.
pub(super) fn read(path: &Path) -> io::Result<Said> {
    let bytes = last_bytes(path)?;
    let mut said = Said::default();
    let mut strange: Option<(usize, String)> = None;
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    for line in lines.filter(|line| !line.is_empty()) {
        match word(line) {
            Ok(later) => said.later = Some(later),
            Err(reason) => strange.get_or_insert((0, reason)).0 += 1,
        }
    }
    said.ignored = strange.map(|(count, reason)| {
        let lines = if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") };
        format!("{lines} ignored in {}: {reason}", path.display())
    });
    Ok(said)
}

/// The end of the file, from the beginning of a line on.
fn last_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = plain::read(path)?;
    let begin = file.metadata()?.len().saturating_sub(WINDOW);
    // One byte more, to see whether a line begins there.
    file.seek(SeekFrom::Start(begin.saturating_sub(1)))?;
    let mut bytes = Vec::new();
    file.take(WINDOW + 1).read_to_end(&mut bytes)?;
    if begin > 0 {
        let cut = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |end| end + 1);
        bytes.drain(..cut);
    }
    Ok(bytes)
}

fn word(line: &[u8]) -> Result<Later, String> {
    let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match line {
        Line::NeedsInput { question } if question.trim().is_empty() => {
            Err("the question is empty".to_owned())
        }
        Line::NeedsInput { question } => Ok(Later::Answer { question: short(&question) }),
        Line::Park { retry_after, until, reason } => {
            let when = match (retry_after, until) {
                (Some(_), Some(_)) => return Err("give either `retry_after` or `until`".to_owned()),
                (Some(text), None) => When::In(pause(&text)?),
                (None, Some(text)) => When::At(moment(&text)?),
                (None, None) => When::Unsaid,
            };
            let reason = reason.filter(|reason| !reason.trim().is_empty()).map(|reason| short(&reason));
            Ok(Later::Time { when, reason })
        }
    }
}

fn pause(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok();
    let pause = parsed.and_then(|pause| Duration::try_from(pause).ok());
    pause
        .filter(|pause| *pause <= LONGEST_WAIT)
        .ok_or_else(|| format!("`retry_after` is a length of time such as 90s or 10m, not `{}`", shown(text)))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(|moment| Timestamp::from_millis(moment.as_millisecond()))
        .map_err(|_| format!("`until` is a time such as 2026-11-26T18:00:00Z, not `{}`", shown(text)))
}

/// As much of a value as a message needs.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn short(text: &str) -> String {
    let mut text = plain::kept(text);
    if text.len() > LONGEST_TEXT {
        text.truncate(text.floor_char_boundary(LONGEST_TEXT));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn said(bytes: &[u8]) -> Said {
        let keep = tempfile::tempdir().expect("a directory");
        let path = keep.path().join("events.jsonl");
        std::fs::write(&path, bytes).expect("written");
        read(&path).expect("a plain file")
    }

    fn answer(question: &str) -> Later {
        Later::Answer { question: question.to_owned() }
    }

    fn time(when: When, reason: Option<&str>) -> Later {
        Later::Time { when, reason: reason.map(str::to_owned) }
    }

    #[rstest]
    #[case::nothing("", None)]
    #[case::a_question(r#"{"type":"needs_input","question":"which one?"}"#, Some(answer("which one?")))]
    #[case::the_last_counts(
        "{\"type\":\"park\"}\n\n {\"type\":\"needs_input\",\"question\":\"a?\"}\r\n{\"type\":\"needs_input\",\"question\":\"b?\"}",
        Some(answer("b?"))
    )]
    #[case::also_over_a_question(
        "{\"type\":\"needs_input\",\"question\":\"a?\"}\n{\"type\":\"park\"}\n",
        Some(time(When::Unsaid, None))
    )]
    #[case::a_pause(
        r#"{"type":"park","retry_after":"10m","reason":"slow down"}"#,
        Some(time(When::In(Duration::from_mins(10)), Some("slow down")))
    )]
    #[case::a_moment(
        r#"{"type":"park","until":"1970-01-01T01:00:01+01:00"}"#,
        Some(time(When::At(Timestamp::from_millis(1000)), None))
    )]
    #[case::further_keys_are_for_later(
        r#"{"type":"park","reason":" ","x":[1]}"#,
        Some(time(When::Unsaid, None))
    )]
    fn the_last_word_counts(#[case] text: &str, #[case] expected: Option<Later>) {
        assert_eq!(said(text.as_bytes()), Said { later: expected, ignored: None });
    }

    #[rstest]
    #[case(b"hello", "expected value")]
    #[case(b"\xff\xfe", "expected value")]
    #[case(br#"{"type":"progress"}"#, "unknown variant `progress`")]
    #[case(br#"{"question":"a?"}"#, "missing field `type`")]
    #[case(br#"{"type":"needs_input"}"#, "missing field `question`")]
    #[case(br#"{"type":"needs_input","question":" "}"#, "the question is empty")]
    #[case(br#"{"type":"park","retry_after":"10"}"#, "not `10`")]
    #[case(br#"{"type":"park","retry_after":"-1m"}"#, "not `-1m`")]
    #[case(br#"{"type":"park","retry_after":"9000h"}"#, "not `9000h`")]
    #[case(br#"{"type":"park","until":"tomorrow"}"#, "not `tomorrow`")]
    #[case(br#"{"type":"park","retry_after":"1m","until":"2026-01-01T00:00:00Z"}"#, "either")]
    fn what_is_no_such_line_is_ignored_and_told(#[case] line: &[u8], #[case] reason: &str) {
        let before: &[u8] = b"{\"type\":\"needs_input\",\"question\":\"a?\"}\n";
        let found = said(&[before, line].concat());
        assert_eq!(found.later, Some(answer("a?")), "what was said before stands");
        let ignored = found.ignored.expect("told");
        assert!(ignored.starts_with("1 line was ignored in ") && ignored.contains(reason), "{ignored}");
        assert!(said(&[line, b"\n", line].concat()).ignored.expect("told").starts_with("2 lines were"));
    }

    #[test]
    fn of_a_file_without_end_only_the_end_is_read() {
        let keep = tempfile::tempdir().expect("a directory");
        let path = keep.path().join("events.jsonl");
        let file = File::create(&path).expect("made");
        // Mostly a hole: a GiB that takes no room, in one line.
        file.set_len(1 << 30).expect("a sparse file");
        std::os::unix::fs::FileExt::write_all_at(&file, b"\n{\"type\":\"park\"}\n", 1 << 30)
            .expect("written");
        assert_eq!(last_bytes(&path).expect("read"), b"{\"type\":\"park\"}\n");
        assert_eq!(read(&path).expect("read"), Said { later: Some(time(When::Unsaid, None)), ignored: None });
    }

    #[test]
    fn a_line_that_begins_at_the_window_is_whole() {
        let line = format!("{{\"type\":\"park\"}}{}\n", " ".repeat((1 << 20) - 16));
        let found = said(format!("x\n{line}").as_bytes());
        assert_eq!((line.len(), found.later, found.ignored), (1 << 20, Some(time(When::Unsaid, None)), None));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let line = format!(r#"{{"type":"needs_input","question":"{}"}}"#, "ä".repeat(3000));
        let Some(Later::Answer { question }) = said(line.as_bytes()).later else { panic!("a question") };
        assert_eq!(question, format!("{}…", "ä".repeat(2048)));
    }

    proptest! {
        /// Whatever a command writes: no panic, and the last good line counts.
        #[test]
        fn any_bytes_before_a_line_change_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let whole = [&bytes[..], b"\n{\"type\":\"park\"}"].concat();
            prop_assert_eq!(said(&whole).later, Some(time(When::Unsaid, None)));
        }
    }
}
