//! `agents lock …`.

use agents_domain::lock::LockKey;
use clap::Subcommand;

/// `agents lock …`.
#[derive(Debug, Clone, Subcommand)]
pub enum LockCommand {
    /// List the locks that are held
    #[command(after_help = "Examples:\n  agents lock list\n  agents lock list --stale --json")]
    List {
        /// Only those whose term is over
        #[arg(long)]
        stale: bool,
    },
    /// Show who holds a lock, doing what, since when, until when
    #[command(
        after_help = "Examples:\n  agents lock show project/local/api\n  agents lock show plan/01ARZ3NDEKTSV4RRFFQ69G5FAV"
    )]
    Show {
        /// `plan/<ULID>` or `project/<name>`
        #[arg(value_name = "KEY", value_parser = LockKey::parse)]
        key: LockKey,
    },
}

impl LockCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "lock.list",
            Self::Show { .. } => "lock.show",
        }
    }
}
