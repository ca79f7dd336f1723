//! What long work shows while it runs, on stderr.
//!
//! On a terminal: a spinner with the phase, the time since it began, and the last line of the
//! command's output. Elsewhere: one line for each transition. With `-q` and `--json`: nothing.
//! With `-v` the command's output is passed through instead of the spinner.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{Format, Global};
use crate::env::Env;
use crate::render::clean;

/// The longest line of output that is kept, in bytes: memory stays bounded whatever a child
/// prints.
const LONGEST: usize = 512;

/// Shows how long work goes on. Shared between threads by reference.
pub struct Progress(Mode);

enum Mode {
    Silent,
    Lines { err: Mutex<Box<dyn Write + Send>>, echo: bool },
    Spinner { bar: ProgressBar, beside: Mutex<Beside> },
}

impl Progress {
    /// Progress as flags and streams ask for; `err` is stderr.
    pub fn new(flags: &Global, env: &Env, err: Box<dyn Write + Send>) -> Self {
        if flags.quiet || flags.format() == Format::Json {
            return Self(Mode::Silent);
        }
        let echo = flags.verbose > 0;
        if echo || !env.streams.error_is_terminal || env.dumb {
            return Self(Mode::Lines { err: Mutex::new(err), echo });
        }
        Self::spinner(ProgressDrawTarget::stderr())
    }

    /// Lines, also on a terminal: for work on many plans at once.
    pub fn lines(flags: &Global, err: Box<dyn Write + Send>) -> Self {
        if flags.quiet || flags.format() == Format::Json {
            return Self(Mode::Silent);
        }
        Self(Mode::Lines { err: Mutex::new(err), echo: flags.verbose > 0 })
    }

    /// Progress that shows nothing.
    pub const fn silent() -> Self {
        Self(Mode::Silent)
    }

    fn spinner(target: ProgressDrawTarget) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed}  {wide_msg}") {
            bar.set_style(style);
        }
        Self(Mode::Spinner { bar, beside: Mutex::default() })
    }

    /// The plan moved on: a new line, or a new word beside the spinner with its time at zero.
    pub fn transition(&self, text: &str) {
        match &self.0 {
            Mode::Silent => {}
            Mode::Lines { err, .. } => write(err, format!("{}\n", clean(text)).as_bytes()),
            Mode::Spinner { bar, beside } => {
                let mut beside = beside.lock().unwrap_or_else(PoisonError::into_inner);
                beside.line = LastLine::default();
                bar.set_message(beside.text());
                // Not before there is work: it would draw over a question.
                bar.enable_steady_tick(Duration::from_millis(100));
                bar.set_prefix(clean(text));
                bar.reset_elapsed();
            }
        }
    }

    /// The command printed something: any bytes, cut anywhere.
    pub fn output(&self, chunk: &[u8]) {
        match &self.0 {
            Mode::Silent | Mode::Lines { echo: false, .. } => {}
            Mode::Lines { err, .. } => write(err, chunk),
            Mode::Spinner { bar, beside } => {
                let mut beside = beside.lock().unwrap_or_else(PoisonError::into_inner);
                beside.line.push(chunk);
                bar.set_message(beside.text());
            }
        }
    }

    /// So many of the subplans have come to an end. Elsewhere than on a terminal their transitions
    /// tell it.
    pub fn subplans(&self, ended: u32, all: u32) {
        if let Mode::Spinner { bar, beside } = &self.0 {
            let mut beside = beside.lock().unwrap_or_else(PoisonError::into_inner);
            beside.subplans = Some((ended, all));
            bar.set_message(beside.text());
        }
    }

    /// Ends the show and leaves no trace of the spinner.
    pub fn finish(&self) {
        if let Mode::Spinner { bar, .. } = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    /// The cursor comes back on every path out.
    fn drop(&mut self) {
        self.finish();
    }
}

/// A closed stderr is nobody listening.
fn write(err: &Mutex<Box<dyn Write + Send>>, bytes: &[u8]) {
    let mut err = err.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = err.write_all(bytes).and_then(|()| err.flush());
}

/// What stands beside the spinner.
#[derive(Debug, Default)]
struct Beside {
    line: LastLine,
    /// How many subplans have ended, of how many.
    subplans: Option<(u32, u32)>,
}

impl Beside {
    fn text(&self) -> String {
        let line = self.line.text();
        let counted = self.subplans.map(|(ended, all)| format!("{ended}/{all} subplans"));
        let parts = counted.into_iter().chain((!line.is_empty()).then_some(line));
        parts.collect::<Vec<_>>().join("  ")
    }
}

/// The last line of a stream that is not blank, put together from chunks.
#[derive(Debug, Default)]
struct LastLine {
    current: Vec<u8>,
    last: Vec<u8>,
}

impl LastLine {
    fn push(&mut self, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let ends = piece.ends_with(b"\n") || piece.ends_with(b"\r");
            let text = &piece[..piece.len() - usize::from(ends)];
            let room = LONGEST.saturating_sub(self.current.len());
            self.current.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                let line = std::mem::take(&mut self.current);
                if !line.trim_ascii().is_empty() {
                    self.last = line;
                }
            }
        }
    }

    fn text(&self) -> String {
        let line = if self.current.trim_ascii().is_empty() { &self.last } else { &self.current };
        clean(String::from_utf8_lossy(line).trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Streams;
    use crate::render::Capture;

    fn shown(flags: &Global, env: &Env) -> String {
        let err = Capture::default();
        let progress = Progress::new(flags, env, Box::new(err.clone()));
        progress.transition("execute: processing");
        progress.output(b"child says\n");
        progress.transition("execute: complete");
        progress.finish();
        err.text()
    }

    #[test]
    fn elsewhere_than_on_a_terminal_each_transition_is_a_line() {
        assert_eq!(shown(&Global::default(), &Env::default()), "execute: processing\nexecute: complete\n");
    }

    #[test]
    fn verbose_passes_the_output_through() {
        let flags = Global { verbose: 1, ..Global::default() };
        assert_eq!(shown(&flags, &Env::default()), "execute: processing\nchild says\nexecute: complete\n");
    }

    #[test]
    fn quiet_and_json_show_nothing() {
        assert_eq!(shown(&Global { quiet: true, ..Global::default() }, &Env::default()), "");
        assert_eq!(shown(&Global { json: true, ..Global::default() }, &Env::default()), "");
        Progress::silent().transition("x");
    }

    #[test]
    fn a_dumb_terminal_gets_lines_and_a_good_one_a_spinner() {
        let streams = Streams { error_is_terminal: true, ..Streams::default() };
        let dumb = Env { streams, dumb: true, ..Env::default() };
        assert!(shown(&Global::default(), &dumb).starts_with("execute"));
        assert_eq!(shown(&Global::default(), &Env { streams, ..Env::default() }), "");
    }

    #[test]
    fn a_spinner_has_the_phase_and_the_last_line_of_output() {
        let progress = Progress::spinner(ProgressDrawTarget::hidden());
        progress.transition("execute");
        progress.output(b"one\ntw");
        progress.output(b"o");
        let Mode::Spinner { bar, .. } = &progress.0 else { panic!("no spinner") };
        assert_eq!((bar.prefix(), bar.message()), ("execute".to_owned(), "two".to_owned()));
        progress.transition("apply");
        assert_eq!((bar.prefix(), bar.message()), ("apply".to_owned(), String::new()));
        progress.output(b"three");
        progress.subplans(3, 10);
        assert_eq!(bar.message(), "3/10 subplans  three");
        progress.transition("apply again");
        assert_eq!(bar.message(), "3/10 subplans");
        progress.finish();
        assert!(bar.is_finished());
    }

    #[test]
    fn the_last_line_is_bounded_and_never_blank() {
        let mut line = LastLine::default();
        line.push(b"kept\r\n\n  \n");
        assert_eq!(line.text(), "kept");
        line.push(&[0xff; 10_000]);
        assert_eq!(line.current.len(), LONGEST);
        line.push(b"\n\x1b[31mred\n");
        assert_eq!(line.text(), "\\u{1b}[31mred");
    }
}
