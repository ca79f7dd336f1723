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
    /// Accept a database that was moved here from another machine
    #[command(after_help = "Examples:\n  agents db adopt")]
    Adopt,
}

impl DbCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status => "db.status",
            Self::Migrate => "db.migrate",
            Self::Check => "db.check",
            Self::Adopt => "db.adopt",
        }
    }
}
