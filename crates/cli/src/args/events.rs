//! `agents events`.

use std::time::Duration;

use clap::Args;

use crate::args::value;

/// Which events are shown.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  agents events --since 1h\n  agents events --follow --since 0s\n  agents events --json"
)]
pub struct EventsArgs {
    /// Go on with what happens; with --json, as without --follow, one object a line
    #[arg(short, long)]
    pub follow: bool,
    /// Begin with the first event of the last while (90s, 1h30m, 7d), not with the first of all
    #[arg(long, value_name = "D", value_parser = value::age)]
    pub since: Option<Duration>,
}
