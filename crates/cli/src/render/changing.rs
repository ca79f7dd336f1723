//! Something that changes while it is shown, until it has come to rest.
//!
//! On a terminal the whole is drawn anew in its place. Elsewhere each change is a line, with JSON an
//! object, so that what was written stays true.

use std::io::{self, Write};

use serde_json::Value;

use crate::args::Format;
use crate::exit::Exit;
use crate::render::{Grid, Style, clean};

/// What can be looked at again and again.
pub trait Changing: Send {
    /// Shows it, and again whenever it has changed, until it rests or nobody looks any more.
    fn run(&mut self, show: &mut dyn FnMut(&Seen) -> io::Result<()>) -> io::Result<()>;
    /// The exit code, once it has been shown; `planned`: that of a show that ended as it should.
    fn exit(&self, planned: Exit) -> Exit {
        planned
    }
    /// The terminal on which it can be drawn in its place, if there is one.
    fn screen(&self) -> Option<Screen>;
}

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Its columns.
    pub width: u16,
    /// Its lines.
    pub height: u16,
}

/// One look.
#[derive(Debug, Clone)]
pub struct Seen {
    /// All there is.
    pub whole: Grid,
    /// What is new since the last look; at the first one everything is.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone)]
pub struct Change {
    /// Of what.
    pub id: String,
    /// For people.
    pub line: String,
    /// For programs.
    pub object: Value,
}

/// Shows it to its end.
pub(super) fn show(changing: &mut dyn Changing, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut drawn = 0;
    let screen = changing.screen().filter(|_| style.format == Format::Table && !style.quiet);
    changing.run(&mut |seen| {
        if let Some(screen) = screen {
            let frame;
            (frame, drawn) = redraw(&seen.whole, screen, drawn);
            out.write_all(frame.as_bytes())?;
        } else {
            seen.changes.iter().try_for_each(|change| match (style.format, style.quiet) {
                (Format::Json, _) => writeln!(out, "{}", change.object),
                (_, true) => writeln!(out, "{}", clean(&change.id)),
                (_, false) => writeln!(out, "{}", clean(&change.line)),
            })?;
        }
        out.flush()
    })
}

/// What draws it over the `drawn` lines that stand there, and how many lines stand there then. It
/// stays within the screen: what scrolls away cannot be drawn over.
fn redraw(whole: &Grid, screen: Screen, drawn: usize) -> (String, usize) {
    let text = whole.aligned(Some(screen.width));
    let all: Vec<&str> = text.lines().collect();
    let room = usize::from(screen.height).saturating_sub(1).max(1);
    let shown = if all.len() > room { room - 1 } else { all.len() };
    let hidden = all.len() - shown;
    let more = (hidden > 0).then(|| format!("… {hidden} more lines"));
    let start = if drawn > 0 { format!("\x1b[{drawn}A\r") } else { String::new() };
    let cut = |line: &str| line.chars().take(usize::from(screen.width)).collect::<String>() + "\x1b[K\n";
    let lines = all[..shown].iter().copied().chain(more.as_deref()).map(cut);
    let frame = lines.fold(start, |frame, line| frame + &line);
    (frame + "\x1b[J", shown + usize::from(hidden > 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Twice(Option<Screen>);

    fn grid(rows: usize) -> Grid {
        let mut grid = Grid::new(&["TREE"]);
        (0..rows).for_each(|row| grid.row([format!("row {row}")]));
        grid
    }

    impl Changing for Twice {
        fn run(&mut self, show: &mut dyn FnMut(&Seen) -> io::Result<()>) -> io::Result<()> {
            for line in ["one\u{1b}", "two"] {
                let change =
                    Change { id: "01A".to_owned(), line: line.to_owned(), object: json!({ "line": line }) };
                show(&Seen { whole: grid(1), changes: vec![change] })?;
            }
            Ok(())
        }

        fn screen(&self) -> Option<Screen> {
            self.0
        }
    }

    const SCREEN: Screen = Screen { width: 20, height: 4 };

    fn shown(screen: Option<Screen>, format: Format, quiet: bool) -> String {
        let mut out = Vec::new();
        let style = Style { format, quiet, ..Style::default() };
        show(&mut Twice(screen), style, &mut out).expect("written");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn elsewhere_than_on_a_terminal_each_change_is_a_line() {
        assert_eq!(shown(None, Format::Table, false), "one\\u{1b}\ntwo\n");
        assert_eq!(shown(Some(SCREEN), Format::Plain, false), "one\\u{1b}\ntwo\n");
        assert_eq!(shown(Some(SCREEN), Format::Table, true), "01A\n01A\n");
        let objects = shown(Some(SCREEN), Format::Json, false);
        assert_eq!(objects, "{\"line\":\"one\\u001b\"}\n{\"line\":\"two\"}\n");
    }

    #[test]
    fn on_a_terminal_it_is_drawn_over_what_stands_there() {
        let frame = "TREE\x1b[K\nrow 0\x1b[K\n\x1b[J";
        assert_eq!(shown(Some(SCREEN), Format::Table, false), format!("{frame}\x1b[2A\r{frame}"));
    }

    #[test]
    fn a_drawing_stays_within_its_screen() {
        let (frame, drawn) = redraw(&grid(9), SCREEN, 3);
        assert_eq!(drawn, 3);
        assert_eq!(frame, "\x1b[3A\rTREE\x1b[K\nrow 0\x1b[K\n… 8 more lines\x1b[K\n\x1b[J");
        let narrow = Screen { width: 2, height: 0 };
        assert!(redraw(&grid(1), narrow, 0).0.starts_with("… \x1b[K\n"));
    }
}
