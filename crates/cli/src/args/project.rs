//! `agents project …`.

use std::path::PathBuf;

use agents_domain::name::Name;
use clap::Subcommand;

use crate::args::value::Words;

/// `agents project …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ProjectCommand {
    /// Register a git repository
    #[command(
        after_help = "Examples:\n  agents project add .\n  agents project add ../api --name local/api --branch main"
    )]
    Add {
        /// A path inside the repository
        #[arg(value_name = "PATH")]
        path: PathBuf,
        /// Its name; the directory's, unless told
        #[arg(long, value_name = "NAME", value_parser = Name::parse)]
        name: Option<Name>,
        /// The branch that plans land on; the checked-out one, unless told
        #[arg(long, value_name = "B", value_parser = Words::parse)]
        branch: Option<Words>,
    },
    /// List the registered repositories
    #[command(after_help = "Examples:\n  agents project list")]
    List,
    /// Show one project
    #[command(after_help = "Examples:\n  agents project show local/api")]
    Show {
        /// The project
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
    /// Forget a project; its repository is left alone
    #[command(after_help = "Examples:\n  agents project remove local/api")]
    Remove {
        /// The project
        #[arg(value_name = "NAME", value_parser = Name::parse)]
        name: Name,
    },
}

impl ProjectCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "project.add",
            Self::List => "project.list",
            Self::Show { .. } => "project.show",
            Self::Remove { .. } => "project.remove",
        }
    }
}
