//! Drains the output of a command: secrets masked, then to the log, the tail and the observer.
//!
//! Two threads, one per pipe, each with one chunk in hand: what a command prints, however much
//! and however fast, is bounded by these and by its own pipe. A pipe is read to its end, or until
//! the run is over ([`Sink::close`]): a process that got hold of a pipe and lives elsewhere
//! cannot keep the run, and finds the pipe broken at its next word.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::log::{LogWriter, Stream};
use super::redact::Redactor;
use crate::plain;

/// Sees each chunk of output, secrets masked, both streams as they come. Called from threads of
/// the runner, one chunk at a time; while it blocks, the command's output waits.
pub type Echo = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Bytes read at once: what a pipe holds on Linux.
const CHUNK: usize = 64 << 10;
/// What a report shows of the end of the output.
const TAIL: usize = 4 << 10;

/// Where the output of one command goes.
#[derive(Clone)]
pub(super) struct Sink {
    state: Arc<Mutex<State>>,
    echo: Option<Echo>,
}

struct State {
    /// Gone once the run is over.
    log: Option<LogWriter>,
    tail: Tail,
}

impl Sink {
    /// A sink that writes to this log.
    pub(super) fn new(log: LogWriter, echo: Option<Echo>) -> Self {
        Self { state: Arc::new(Mutex::new(State { log: Some(log), tail: Tail::default() })), echo }
    }

    /// Takes a chunk; `false` when the run is over and nothing more is wanted.
    fn take(&self, stream: Stream, chunk: &[u8]) -> bool {
        let mut state = self.lock();
        let State { log: Some(log), tail } = &mut *state else { return false };
        if !chunk.is_empty() {
            log.write(stream, chunk);
            tail.push(stream, chunk);
            if let Some(echo) = &self.echo {
                echo(chunk);
            }
        }
        true
    }

    /// Ends the run's output; returns its last lines.
    pub(super) fn close(&self) -> String {
        let mut state = self.lock();
        state.log = None;
        state.tail.text()
    }

    /// A poisoned lock means that the observer panicked; log and tail are sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that drains `pipe` into `sink`, and drops `done` at the end.
pub(super) fn drain<D: Send + 'static>(
    stream: Stream,
    pipe: impl Read + Send + 'static,
    redactor: Redactor,
    sink: Sink,
    done: D,
) -> std::io::Result<()> {
    let name = "agents-output".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        pump(stream, pipe, redactor, &sink);
        drop(done);
    })?;
    Ok(())
}

fn pump(stream: Stream, mut pipe: impl Read, mut redactor: Redactor, sink: &Sink) {
    let mut chunk = vec![0; CHUNK];
    let mut clear = Vec::with_capacity(CHUNK);
    loop {
        let count = match pipe.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(count) if count > 0 => count,
            Ok(_) | Err(_) => break,
        };
        clear.clear();
        redactor.pass(&chunk[..count], &mut clear);
        if !sink.take(stream, &clear) {
            return;
        }
    }
    clear.clear();
    redactor.finish(&mut clear);
    sink.take(stream, &clear);
}

/// The last bytes of the output, both streams.
#[derive(Debug, Default)]
struct Tail {
    bytes: Vec<u8>,
    cut: bool,
    last: Option<Stream>,
}

impl Tail {
    fn push(&mut self, stream: Stream, chunk: &[u8]) {
        let other = self.last.replace(stream).is_some_and(|last| last != stream);
        if other && self.bytes.last().is_some_and(|byte| *byte != b'\n') {
            self.bytes.push(b'\n');
        }
        self.bytes.extend_from_slice(&chunk[chunk.len().saturating_sub(TAIL)..]);
        let excess = self.bytes.len().saturating_sub(TAIL);
        self.cut |= excess > 0 || chunk.len() > TAIL;
        self.bytes.drain(..excess);
    }

    /// Whole lines if possible, lossily decoded, at most [`TAIL`] bytes.
    fn text(&self) -> String {
        let mut text = plain::text(&self.bytes);
        let excess = text.len().saturating_sub(TAIL);
        text.drain(..text.ceil_char_boundary(excess));
        if self.cut || excess > 0 {
            let rest = text.find('\n').map_or(0, |end| end + 1);
            if rest < text.len() {
                text.drain(..rest);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rstest::rstest;
    use tempfile::TempDir;

    use super::super::log::{Limits, copy_log};
    use super::super::redact::Secret;
    use super::*;
    use crate::clock::HandClock;

    #[rstest]
    #[case::short(&[(Stream::Out, "a\nb")], "a\nb")]
    #[case::streams_do_not_share_a_line(&[(Stream::Out, "a"), (Stream::Err, "b\n"), (Stream::Out, "c")], "a\nb\nc")]
    #[case::nothing(&[], "")]
    fn the_tail_is_the_last_of_both(#[case] chunks: &[(Stream, &str)], #[case] expected: &str) {
        let mut tail = Tail::default();
        for (stream, chunk) in chunks {
            tail.push(*stream, chunk.as_bytes());
        }
        assert_eq!(tail.text(), expected);
    }

    #[test]
    fn a_long_tail_begins_with_a_whole_line() {
        let mut tail = Tail::default();
        for number in 0..2000 {
            tail.push(Stream::Out, format!("line {number}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= TAIL && text.starts_with("line ") && text.ends_with("line 1999\n"));

        tail.push(Stream::Out, &[b'x'; 2 * TAIL]);
        assert_eq!(tail.text(), "x".repeat(TAIL));
        tail.push(Stream::Out, b"\n");
        assert_eq!(tail.text().len(), TAIL);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_make_it_longer() {
        let mut tail = Tail::default();
        tail.push(Stream::Out, &[0xff; TAIL]);
        let text = tail.text();
        assert!(text.len() <= TAIL && text.chars().all(|c| c == '\u{fffd}'));
    }

    /// Gives its chunks, an interruption before each, and then an error.
    struct Broken(Vec<&'static [u8]>, bool);

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let chunk = self.0.pop().ok_or(ErrorKind::Other)?;
            buffer[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    #[test]
    fn what_is_held_back_comes_out_at_the_end_and_nothing_after_it() {
        let keep = TempDir::new().expect("a directory");
        let path = keep.path().join("log");
        let log = LogWriter::append(&path, Limits::STANDARD, Arc::new(HandClock::default())).expect("a log");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let echo: Echo = {
            let seen = Arc::clone(&seen);
            Arc::new(move |chunk: &[u8]| seen.lock().expect("no panic").extend_from_slice(chunk))
        };
        let sink = Sink::new(log, Some(echo));
        let secrets = vec![Secret::new("NAME", b"secret").expect("long enough")];
        let redactor = Redactor::new(secrets);
        pump(Stream::Out, Broken(vec![b"ret sec", b"a sec"], false), redactor.clone(), &sink);
        assert_eq!(sink.close(), "a [redacted NAME] sec");
        pump(Stream::Out, Broken(vec![b"late"], false), redactor, &sink);

        assert_eq!(*seen.lock().expect("no panic"), b"a [redacted NAME] sec");
        let mut text = Vec::new();
        copy_log(&path, &mut text).expect("a log");
        assert_eq!(text, b"1970-01-01T00:00:00.000Z out| a [redacted NAME] sec");
    }
}
