//! Things that come one after the other, each a line: for programs an object.

use std::io::{self, Write};

use serde_json::Value;

use crate::args::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Style, clean};

/// What comes.
pub trait Streaming: Send {
    /// Shows each thing as it comes, to the end; how it ended. Ends early if one cannot be shown.
    fn run(&mut self, show: &mut dyn FnMut(&Item) -> io::Result<()>) -> Result<Exit, Failure>;
}

/// One thing.
#[derive(Debug, Clone)]
pub struct Item {
    /// For `-q`.
    pub id: String,
    /// For people, each with the width that most fit into.
    pub fields: Vec<(String, usize)>,
    /// For programs.
    pub object: Value,
}

/// Shows them; how it ended, and whether all could be written.
pub(super) fn show(
    stream: &mut dyn Streaming,
    style: Style,
    out: &mut dyn Write,
) -> (Result<Exit, Failure>, io::Result<()>) {
    let mut written = Ok(());
    let ended = stream.run(&mut |item| {
        // Whoever reads along sees each at once.
        let one = writeln!(out, "{}", line(item, style)).and_then(|()| out.flush());
        written = one.as_ref().copied().map_err(|error| error.kind().into());
        one
    });
    (ended, written)
}

fn line(item: &Item, style: Style) -> String {
    let fields = item.fields.iter().map(|(text, width)| (clean(text), *width));
    match (style.format, style.quiet) {
        (Format::Json, _) => item.object.to_string(),
        (_, true) => clean(&item.id),
        (Format::Plain, false) => fields.map(|(text, _)| text).collect::<Vec<_>>().join("\t"),
        (Format::Table, false) => {
            let padded: Vec<String> = fields.map(|(text, width)| format!("{text:width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Two(Exit);

    impl Streaming for Two {
        fn run(&mut self, show: &mut dyn FnMut(&Item) -> io::Result<()>) -> Result<Exit, Failure> {
            for word in ["one\t", "two"] {
                let fields = vec![(word.to_owned(), 5), (String::new(), 0)];
                if show(&Item { id: "01A".to_owned(), fields, object: json!({ "word": word }) }).is_err() {
                    return Ok(Exit::Done);
                }
            }
            if self.0 == Exit::Store { Err(Failure::new(self.0, "gone", "gone")) } else { Ok(self.0) }
        }
    }

    fn shown(format: Format, quiet: bool) -> String {
        let mut out = Vec::new();
        let style = Style { format, quiet, ..Style::default() };
        let (ended, written) = show(&mut Two(Exit::Interrupted), style, &mut out);
        assert!(written.is_ok() && ended == Ok(Exit::Interrupted));
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn each_is_a_line_in_the_format_that_is_asked_for() {
        assert_eq!(shown(Format::Table, false), "one\\t\ntwo\n");
        assert_eq!(shown(Format::Plain, false), "one\\t\t\ntwo\t\n");
        assert_eq!(shown(Format::Table, true), "01A\n01A\n");
        assert_eq!(shown(Format::Json, true), "{\"word\":\"one\\t\"}\n{\"word\":\"two\"}\n");
    }

    #[test]
    fn what_ends_it_early_is_told() {
        let (ended, written) = show(&mut Two(Exit::Store), Style::default(), &mut Vec::new());
        assert!(ended.is_err() && written.is_ok());
        let mut full: &mut [u8] = &mut [];
        let (ended, written) = show(&mut Two(Exit::Done), Style::default(), &mut full);
        assert!(ended.is_ok() && written.is_err());
    }
}
