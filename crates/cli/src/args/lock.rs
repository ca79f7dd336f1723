//! `agents lock …`.

use agents_domain::lock::LockKey;
use clap::{Args, Subcommand};

use crate::args::value::Words;

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
    /// Say who holds a lock, who waits for it in which order, who lives, and what to do
    #[command(
        after_help = "A lock that nobody holds is explained, too. A waiter that is dead, or that has not said for 10 s\nthat it waits still, is passed.\n\nExamples:\n  agents lock explain project/local/api\n  agents lock explain plan/01ARZ3NDEKTSV4RRFFQ69G5FAV --json"
    )]
    Explain {
        /// `plan/<ULID>` or `project/<name>`
        #[arg(value_name = "KEY", value_parser = LockKey::parse)]
        key: LockKey,
    },
    /// Ask the holder of a lock to let go; take the lock if that holder is gone
    #[command(
        after_help = "A holder that lives stops what it runs, records that, and lets go. One that is dead, or whose\nlease has run out, loses the lock at once. --force takes it from one that lives: its commands and\nthose of the next holder may then overlap.\n\nExamples:\n  agents lock break project/local/api --token 7 --reason \"stuck since noon\""
    )]
    Break(BreakArgs),
}

/// `agents lock break`.
#[derive(Debug, Clone, Args)]
pub struct BreakArgs {
    /// `plan/<ULID>` or `project/<name>`
    #[arg(value_name = "KEY", value_parser = LockKey::parse)]
    pub key: LockKey,
    /// The term that is meant, as `lock list` shows it; a later one is left alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub token: i64,
    /// Why; kept with the lock
    #[arg(long, value_name = "TEXT", value_parser = Words::parse)]
    pub reason: Words,
    /// Do not ask: take it, though two children may overlap
    #[arg(long)]
    pub force: bool,
}

impl LockCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::List { .. } => "lock.list",
            Self::Show { .. } => "lock.show",
            Self::Explain { .. } => "lock.explain",
            Self::Break(_) => "lock.break",
        }
    }
}
