//! `agents action …`.

use std::path::PathBuf;

use agents_domain::name::Name;
use clap::Subcommand;

/// `agents action …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ActionCommand {
    /// Register an action, or replace the one of that name; plans keep what they were made with
    #[command(after_help = "Examples:\n  agents action add fix-lint.yaml")]
    Add {
        /// The action file (YAML)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// List the registered actions
    #[command(after_help = "Examples:\n  agents action list")]
    List,
    /// Show one action
    #[command(after_help = "Examples:\n  agents action show local/fix-lint")]
    Show {
        /// The action
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
    /// Forget an action; plans keep what they were made with
    #[command(after_help = "Examples:\n  agents action remove local/fix-lint")]
    Remove {
        /// The action
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
    /// Check an action file; stores nothing
    #[command(after_help = "Examples:\n  agents action validate fix-lint.yaml")]
    Validate {
        /// The action file (YAML)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of action files
    #[command(after_help = "Examples:\n  agents action schema")]
    Schema,
}

impl ActionCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "action.add",
            Self::List => "action.list",
            Self::Show { .. } => "action.show",
            Self::Remove { .. } => "action.remove",
            Self::Validate { .. } => "action.validate",
            Self::Schema => "action.schema",
        }
    }
}
