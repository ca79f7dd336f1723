//! `agents worker …`.

use std::net::SocketAddr;

use agents_domain::name::Name;
use clap::{Args, Subcommand};

use crate::args::value;

/// How a worker works.
#[derive(Debug, Clone, Args)]
pub struct WorkArgs {
    /// How many plans it drives at once; without it as many as commands may run here at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub concurrency: Option<u32>,
    /// End once nothing is left to do now
    #[arg(long)]
    pub once: bool,
    /// Only plans that use this project; may be repeated
    #[arg(long = "project", value_name = "NAME", value_parser = Name::parse)]
    pub projects: Vec<Name>,
    /// While it works, serve numbers for monitoring over HTTP, at /metrics (127.0.0.1:9469; port 0: any)
    #[arg(long, value_name = "ADDR", value_parser = value::address)]
    pub metrics: Option<SocketAddr>,
}

/// `agents worker …`.
#[derive(Debug, Clone, Subcommand)]
pub enum WorkerCommand {
    /// Work off what was ordered with --detach, until asked to end
    #[command(
        after_help = "The first SIGTERM or SIGINT: nothing more is taken up, what runs goes on to its end. The second: what\nruns is stopped and recorded; its orders stay open, and another worker goes on with them.\n\nWith --json each event is an object on a line of its own.\n\nExamples:\n  agents worker run\n  agents worker run --once\n  agents worker run --concurrency 2 --project local/api\n  agents worker run --metrics 127.0.0.1:9469"
    )]
    Run(WorkArgs),
    /// List the workers, and what they do
    #[command(after_help = "Examples:\n  agents worker list\n  agents worker list --json")]
    List,
}

impl WorkerCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Run(_) => "worker.run",
            Self::List => "worker.list",
        }
    }
}
