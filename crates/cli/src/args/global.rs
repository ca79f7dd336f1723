//! Flags that every command takes.

use std::path::PathBuf;
use std::time::Duration;

use agents_domain::time::Ttl;
use clap::{ArgAction, Args, ValueEnum};

use crate::args::value;

/// How results are written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people
    #[default]
    Table,
    /// One record a line, fields separated by tabs, no header
    Plain,
    /// One JSON document
    Json,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorWish {
    /// On a terminal, unless `NO_COLOR` or `TERM=dumb` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Flags that every command takes, before or after its words.
#[derive(Debug, Clone, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results are written: table, plain or json
    #[arg(long = "format", global = true, value_enum, hide_possible_values = true, value_name = "FORMAT")]
    pub wished: Option<Format>,
    /// The same as --format json
    #[arg(long, global = true)]
    pub json: bool,
    /// Print ids only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say more on stderr; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// When to use colour: auto, always or never
    #[arg(long, global = true, value_enum, hide_possible_values = true, value_name = "WHEN")]
    pub color: Option<ColorWish>,
    /// Wait at most so long for locks (90s, 5m, 1h30m)
    #[arg(long, global = true, value_name = "D", value_parser = value::duration)]
    pub wait: Option<Duration>,
    /// Never wait for a lock
    #[arg(long, global = true)]
    pub no_wait: bool,
    /// How long a lock lasts unless renewed (5s to 1h)
    #[arg(long, global = true, value_name = "D", value_parser = value::ttl)]
    pub lease_ttl: Option<Ttl>,
    /// The database: `postgres://…`, `sqlite:///abs/path`, `sqlite:path`, or a path
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Never ask; fail where an answer would be needed
    #[arg(long, global = true)]
    pub no_input: bool,
}

impl Global {
    /// How results are written; `--json` goes before `--format`.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.wished.unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_goes_before_format_and_table_is_the_default() {
        assert_eq!(Global::default().format(), Format::Table);
        let plain = Global { wished: Some(Format::Plain), ..Global::default() };
        assert_eq!(plain.format(), Format::Plain);
        assert_eq!(Global { json: true, ..plain }.format(), Format::Json);
    }
}
