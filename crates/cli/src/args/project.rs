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
        after_help = "Examples:\n  agents project add .\n  agents project add ../api --name local/api --branch main\n  agents project add . --remote origin"
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
        /// The remote that other machines share: the name of one of the repository's, or a URL.
        /// Plans then start from its branch and land on it
        #[arg(long, value_name = "NAME-OR-URL", value_parser = Words::parse)]
        remote: Option<Words>,
        /// Push snapshots of attempts to the remote too; failed attempts may hold secrets
        #[arg(long, requires = "remote")]
        push_snapshots: bool,
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
