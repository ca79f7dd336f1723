//! Writing a report or a failure, once, to the right streams.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::changing::{self, Changing};
use crate::render::live::{Live, as_json, as_text};
use crate::render::stream::{self, Streaming};
use crate::render::table::lines;
use crate::render::{Grid, Style, clean, envelope, error};

/// What a command found or did.
#[derive(Debug)]
pub struct Report {
    /// For programs: the `data` of the envelope.
    pub data: Value,
    /// For people: the same.
    pub body: Body,
    /// For `-q`: the ids alone.
    pub ids: Vec<String>,
    /// What changed and what to do next; stderr, or `messages` of the envelope.
    pub messages: Vec<String>,
    /// The exit code; not 0 where the finding itself is bad, as in `diagnostics`.
    pub exit: Exit,
}

impl Report {
    /// A report of data alone.
    pub fn of(data: Value) -> Self {
        Self { data, body: Body::Nothing, ids: Vec::new(), messages: Vec::new(), exit: Exit::Done }
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, text: impl Into<String>) -> Self {
        self.messages.push(text.into());
        self
    }
}

/// What people see on stdout.
pub enum Body {
    /// Nothing but the messages.
    Nothing,
    /// Many things.
    Table(Grid),
    /// One thing: its facts by name.
    Facts(Vec<(&'static str, String)>),
    /// A text of our own, as it is.
    Text(String),
    /// Bytes of others, passed through as they are and never held in memory as a whole.
    Raw(Box<dyn Read + Send>),
    /// The same while it goes on; with `--json` one object a line, and no document at the end.
    Live(Box<dyn Live>),
    /// What changes until it rests; with `--json` one object a change, and no document at the end.
    Changing(Box<dyn Changing>),
    /// Things that come one after the other; with `--json` one object each, and a document only if
    /// it fails.
    Stream(Box<dyn Streaming>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Table(grid) => f.debug_tuple("Table").field(grid).finish(),
            Self::Facts(facts) => f.debug_tuple("Facts").field(facts).finish(),
            Self::Text(text) => f.debug_tuple("Text").field(text).finish(),
            Self::Raw(_) => f.write_str("Raw(..)"),
            Self::Live(_) => f.write_str("Live(..)"),
            Self::Changing(_) => f.write_str("Changing(..)"),
            Self::Stream(_) => f.write_str("Stream(..)"),
        }
    }
}

/// The two streams and how they look. Consumed by its one document.
pub struct Output {
    style: Style,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
}

impl Output {
    /// Output to these streams.
    pub fn new(style: Style, out: Box<dyn Write + Send>, err: Box<dyn Write + Send>) -> Self {
        Self { style, out, err }
    }

    /// Writes the outcome of a command and gives its exit code.
    ///
    /// A closed stdout changes nothing about the outcome; any other error of writing it is an
    /// internal error, unless the command has failed anyway.
    pub fn finish(mut self, command: &str, outcome: Result<Report, Failure>) -> Exit {
        let (exit, written) = match outcome {
            Ok(Report { body: Body::Live(live), .. }) => self.live(live),
            Ok(Report { body: Body::Changing(mut changing), exit, .. }) => {
                let written = changing::show(&mut *changing, self.style, &mut self.out);
                (changing.exit(exit), written)
            }
            Ok(Report { body: Body::Stream(mut stream), .. }) => self.stream(command, &mut *stream),
            Ok(report) => (report.exit, self.report(command, report)),
            Err(failure) => (failure.exit, self.failure(command, &failure)),
        };
        match written.and_then(|()| self.out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let failure = Failure::internal("the result could not be written").caused_by(&error);
                self.say(&error::for_people(&failure, self.style.color));
                if exit == Exit::Done { Exit::Internal } else { exit }
            }
            _ => exit,
        }
    }

    fn report(&mut self, command: &str, report: Report) -> std::io::Result<()> {
        if self.style.format == Format::Json {
            return self.document(&envelope::success(command, report.exit, &report.data, &report.messages));
        }
        if !self.style.quiet {
            self.say(&lines(report.messages.iter().map(|text| clean(text))));
        }
        let plain = self.style.format == Format::Plain;
        let text = match report.body {
            Body::Table(_) | Body::Facts(_) | Body::Nothing if self.style.quiet => {
                lines(report.ids.iter().map(|id| clean(id)))
            }
            // What is live has a way of its own.
            Body::Nothing | Body::Live(_) | Body::Changing(_) | Body::Stream(_) => String::new(),
            Body::Table(grid) if plain => grid.plain(),
            Body::Table(grid) => grid.aligned(self.style.width),
            Body::Facts(facts) => facts_text(&facts, plain),
            Body::Text(text) => ensure_newline(text),
            Body::Raw(mut bytes) => return std::io::copy(&mut bytes, &mut self.out).map(drop),
        };
        self.out.write_all(text.as_bytes())
    }

    /// How it ended is known at the end.
    fn live(&mut self, mut live: Box<dyn Live>) -> (Exit, std::io::Result<()>) {
        let written = match self.style.format {
            Format::Json => as_json(&mut *live, &mut self.out),
            Format::Table | Format::Plain => as_text(&mut *live, &mut self.out),
        };
        if !self.style.quiet && self.style.format != Format::Json {
            self.say(&lines(live.last_words().iter().map(|text| clean(text))));
        }
        (live.exit(), written)
    }

    /// A failure on the way comes after what was shown.
    fn stream(&mut self, command: &str, stream: &mut dyn Streaming) -> (Exit, std::io::Result<()>) {
        let (ended, written) = stream::show(stream, self.style, &mut self.out);
        match ended {
            Ok(exit) => (exit, written),
            Err(failure) => (failure.exit, written.and_then(|()| self.failure(command, &failure))),
        }
    }

    fn failure(&mut self, command: &str, failure: &Failure) -> std::io::Result<()> {
        if self.style.format == Format::Json {
            return self.document(&envelope::failure(command, failure));
        }
        self.say(&error::for_people(failure, self.style.color));
        Ok(())
    }

    fn document(&mut self, document: &Value) -> std::io::Result<()> {
        writeln!(self.out, "{document}")
    }

    /// To stderr. If even that is closed, nobody listens.
    fn say(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }
}

fn facts_text(facts: &[(&'static str, String)], plain: bool) -> String {
    let longest = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, text): &(&str, String)| {
        let text = clean(text);
        if plain { format!("{name}\t{text}") } else { format!("{name:longest$}  {text}") }
    };
    lines(facts.iter().map(line))
}

fn ensure_newline(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A stream that several write to, each write as a whole.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Box<dyn Write + Send>>>);

impl Shared {
    /// Shares a stream.
    pub fn new(stream: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// A stream that remembers what was written, for tests of this crate and of features.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// What was written so far, lossily decoded.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(style: Style, outcome: Result<Report, Failure>) -> (Exit, String, String) {
        let (out, err) = (Capture::default(), Capture::default());
        let output = Output::new(style, Box::new(out.clone()), Box::new(err.clone()));
        let exit = output.finish("plan.list", outcome);
        (exit, out.text(), err.text())
    }

    fn report(body: Body) -> Report {
        let report = Report { body, ids: vec!["01A".to_owned()], ..Report::of(json!({ "n": 1 })) };
        report.message("next: agents plan list")
    }

    fn facts() -> Body {
        Body::Facts(vec![("id", "01A".to_owned()), ("name", "a\tb".to_owned())])
    }

    fn style(format: Format, quiet: bool) -> Style {
        Style { format, quiet, ..Style::default() }
    }

    #[test]
    fn data_goes_to_stdout_and_messages_to_stderr() {
        let (exit, out, err) = written(style(Format::Table, false), Ok(report(facts())));
        assert_eq!(exit, Exit::Done);
        assert_eq!((out.as_str(), err.as_str()), ("id    01A\nname  a\\tb\n", "next: agents plan list\n"));
        let (_, out, _) = written(style(Format::Plain, false), Ok(report(facts())));
        assert_eq!(out, "id\t01A\nname\ta\\tb\n");
    }

    #[test]
    fn quiet_prints_ids_alone_but_never_swallows_a_text() {
        let (_, out, err) = written(style(Format::Table, true), Ok(report(facts())));
        assert_eq!((out.as_str(), err.as_str()), ("01A\n", ""));
        let (_, out, _) = written(style(Format::Table, true), Ok(report(Body::Text("log".to_owned()))));
        assert_eq!(out, "log\n");
        let (_, out, _) = written(style(Format::Table, false), Ok(report(Body::Nothing)));
        assert_eq!(out, "");
    }

    #[test]
    fn tables_follow_the_format() {
        let mut grid = Grid::new(&["ID"]);
        grid.row(["01A".to_owned()]);
        let (_, out, _) = written(style(Format::Table, false), Ok(report(Body::Table(grid.clone()))));
        assert_eq!(out, "ID\n01A\n");
        let (_, out, _) = written(style(Format::Plain, false), Ok(report(Body::Table(grid))));
        assert_eq!(out, "01A\n");
    }

    #[test]
    fn json_is_one_document_on_success_and_on_failure() {
        for quiet in [false, true] {
            let (_, out, err) = written(style(Format::Json, quiet), Ok(report(facts())));
            let document: Value = serde_json::from_str(&out).expect("one document");
            assert_eq!(
                (document["data"]["n"].as_i64(), document["messages"][0].is_string()),
                (Some(1), true)
            );
            assert_eq!(err, "");
        }
        let (exit, out, err) = written(style(Format::Json, false), Err(Failure::usage("bad")));
        let document: Value = serde_json::from_str(&out).expect("one document");
        assert_eq!((exit, document["error"]["message"].as_str()), (Exit::Usage, Some("bad")));
        assert_eq!(err, "");
    }

    #[test]
    fn a_failure_goes_to_stderr() {
        let (exit, out, err) = written(Style::default(), Err(Failure::not_found("not_found", "no plan 01A")));
        assert_eq!((exit, out.as_str(), err.as_str()), (Exit::NotFound, "", "error: no plan 01A\n"));
    }

    #[test]
    fn bytes_of_others_are_passed_through() {
        let body = Body::Raw(Box::new(&b"\x1b[1mbold"[..]));
        assert_eq!(format!("{body:?}"), "Raw(..)");
        assert_eq!(written(Style::default(), Ok(report(body))).1, "\x1b[1mbold");
    }

    #[test]
    fn bodies_can_be_looked_at() {
        let bodies = [Body::Nothing, Body::Table(Grid::new(&[])), facts(), Body::Text("x".to_owned())];
        let shown: Vec<String> = bodies.iter().map(|body| format!("{body:?}")).collect();
        let starts = ["Nothing", "Table", "Facts", "Text"];
        assert!(shown.iter().zip(starts).all(|(text, start)| text.starts_with(start)), "{shown:?}");
    }

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_a_full_disk_is_not() {
        let finish = |kind, outcome| {
            let err = Capture::default();
            let output =
                Output::new(style(Format::Json, false), Box::new(Broken(kind)), Box::new(err.clone()));
            (output.finish("x", outcome), err.text())
        };
        let (exit, err) = finish(ErrorKind::BrokenPipe, Ok(report(Body::Nothing)));
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        let (exit, err) = finish(ErrorKind::StorageFull, Ok(report(Body::Nothing)));
        assert!(exit == Exit::Internal && err.contains("could not be written"), "{err}");
        assert_eq!(finish(ErrorKind::StorageFull, Err(Failure::usage("bad"))).0, Exit::Usage);
    }
}
