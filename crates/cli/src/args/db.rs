//! `agents db …`.

use clap::Subcommand;

/// `agents db …`.
#[derive(Debug, Clone, Subcommand)]
pub enum DbCommand {
    /// Show where the database is and which version its schema has
    #[command(after_help = "Examples:\n  agents db status")]
    Status,
    /// Bring the schema of the database up to date
    #[command(after_help = "Examples:\n  agents db migrate")]
    Migrate,
    /// Check the database for damage
    #[command(after_help = "Examples:\n  agents db check")]
    Check,
    /// Move everything to another database, which must be empty, and close this one
    #[command(
        name = "copy-to",
        after_help = "Examples:\n  agents db copy-to postgres://agents@db.example.org/agents\n  agents db copy-to postgres://agents@db.example.org/agents --wait 10m\n  agents db copy-to ./agents.db --database-url postgres://agents@db.example.org/agents"
    )]
    CopyTo {
        /// Where to: `postgres://…`, `sqlite:///abs/path`, `sqlite:path`, or a path
        url: String,
    },
    /// Accept a database that was moved here from another machine, or restored from a backup
    #[command(after_help = "Examples:\n  agents db adopt\n  agents db adopt --restored")]
    Adopt {
        /// It is a restored backup, or was moved away and is to be used after all: clear all leases and
        /// the line, and lift every fencing token
        #[arg(long)]
        restored: bool,
    },
}

impl DbCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "db.status",
            Self::Migrate => "db.migrate",
            Self::Check => "db.check",
            Self::CopyTo { .. } => "db.copy-to",
            Self::Adopt { .. } => "db.adopt",
        }
    }
}
