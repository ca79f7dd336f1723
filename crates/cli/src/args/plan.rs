//! `agents run` and `agents plan …`.

use std::path::PathBuf;
use std::time::Duration;

use agents_domain::action::Automation;
use agents_domain::name::Name;
use agents_domain::plan::{Phase, State};
use clap::{Args, Subcommand};

use crate::args::value::{self, ArgumentInput, Label, PlanRef, ProjectRef, Words};
use crate::render::Form;

/// What a new plan is made of.
#[derive(Debug, Clone, Args)]
pub struct NewPlanArgs {
    /// The action to use
    #[arg(value_name = "ACTION", value_parser = Name::parse)]
    pub action: Name,
    /// The projects to work on: names, or paths inside registered repositories
    #[arg(value_name = "PROJECT", required = true, value_parser = ProjectRef::parse)]
    pub projects: Vec<ProjectRef>,
    /// An argument of the action; may be repeated
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = ArgumentInput::parse)]
    pub args: Vec<ArgumentInput>,
    /// How far the plan goes by itself
    #[arg(long, value_name = "LEVEL", value_parser = value::automation())]
    pub automation: Option<Automation>,
    /// A name for people
    #[arg(long, value_name = "TEXT", value_parser = Label::parse)]
    pub name: Option<Label>,
}

/// `agents run`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  agents run fix-lint . --apply\n  agents run rename-api local/api local/web --arg target=src\n  agents run fix-lint . --apply --detach"
)]
pub struct RunArgs {
    /// What the plan is made of.
    #[command(flatten)]
    pub plan: NewPlanArgs,
    /// Land the result as well
    #[arg(long)]
    pub apply: bool,
    /// Land even if nothing has changed
    #[arg(long)]
    pub allow_empty: bool,
    /// Leave it to a worker: record the order and return
    #[arg(long)]
    pub detach: bool,
}

/// A plan, and why.
#[derive(Debug, Clone, Args)]
pub struct ReasonedArgs {
    /// The plan: its id, or at least the first 4 characters
    #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
    pub plan: PlanRef,
    /// Why; kept in the plan's log
    #[arg(long, value_name = "TEXT", value_parser = Words::parse)]
    pub reason: Option<Words>,
}

/// Which plans are listed.
#[derive(Debug, Clone, Default, Args)]
pub struct ListArgs {
    /// Only plans in this phase
    #[arg(long, value_name = "P", value_parser = value::phase())]
    pub phase: Option<Phase>,
    /// Only plans in this state
    #[arg(long, value_name = "S", value_parser = value::state())]
    pub state: Option<State>,
    /// Only plans that use this project
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    pub project: Option<Name>,
    /// Only plans that use this action
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    pub action: Option<Name>,
    /// Only the subplans of this plan
    #[arg(long, value_name = "PLAN", value_parser = PlanRef::parse)]
    pub parent: Option<PlanRef>,
    /// Subplans too
    #[arg(long)]
    pub all: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

/// What is waited for.
#[derive(Debug, Clone, Args)]
pub struct WaitArgs {
    /// The plan: its id, or at least the first 4 characters
    #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
    pub plan: PlanRef,
    /// Wait for this state, not until the plan rests
    #[arg(long = "for", value_name = "STATE", value_parser = value::state())]
    pub wanted: Option<State>,
    /// Wait at most so long (90s, 5m, 1h30m); then exit 124
    #[arg(long, value_name = "D", value_parser = value::duration)]
    pub timeout: Option<Duration>,
}

/// A child that a plan is to have.
#[derive(Debug, Clone, Args)]
pub struct SpawnArgs {
    /// The plan that gets it: its id, or at least the first 4 characters
    #[arg(value_name = "PARENT", value_parser = PlanRef::parse)]
    pub parent: PlanRef,
    /// The action it uses
    #[arg(long, value_name = "NAME", value_parser = Name::parse)]
    pub action: Name,
    /// Its name among its siblings; without it that of the action
    #[arg(long, value_name = "NAME", value_parser = value::subplan_name)]
    pub name: Option<String>,
    /// A sibling that must be merged before it begins; may be repeated
    #[arg(long, value_name = "NAME", value_parser = value::subplan_name)]
    pub depends_on: Vec<String>,
    /// An argument of the action; what is not given is taken from the parent; may be repeated
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = ArgumentInput::parse)]
    pub args: Vec<ArgumentInput>,
    /// A project of the parent that it works on, not all of them; may be repeated
    #[arg(long = "project", value_name = "NAME", value_parser = Name::parse)]
    pub projects: Vec<Name>,
}

/// `agents plan …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PlanCommand {
    /// Create a plan: an action used on projects
    #[command(after_help = "Examples:\n  agents plan use fix-lint . --arg target=src --name \"Lint of src\"")]
    Use(NewPlanArgs),
    /// Strategize, or execute, whatever comes next
    #[command(after_help = "Examples:\n  agents plan execute 01JV8Q\n  agents plan execute 01JV8Q --detach")]
    Execute {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Leave it to a worker: record the order and return
        #[arg(long)]
        detach: bool,
    },
    /// Land the plan's work on the branches of its projects
    #[command(after_help = "Examples:\n  agents plan apply 01JV8Q\n  agents plan apply 01JV8Q --yes")]
    Apply {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Do not ask on a terminal
        #[arg(long)]
        yes: bool,
        /// Land even if nothing has changed
        #[arg(long)]
        allow_empty: bool,
        /// Leave it to a worker: record the order and return
        #[arg(long)]
        detach: bool,
    },
    /// Give up for good; whoever drives it is asked to stop, and waited for
    #[command(
        after_help = "Examples:\n  agents plan cancel 01JV8Q --reason \"no longer needed\"\n  agents plan cancel 01JV8Q --keep-landed"
    )]
    Cancel {
        /// Which, and why.
        #[command(flatten)]
        reasoned: ReasonedArgs,
        /// Also if a part has landed: that part stays, and the rest is given up
        #[arg(long)]
        keep_landed: bool,
    },
    /// Try again what failed, was interrupted, or could not land
    #[command(
        after_help = "Examples:\n  agents plan retry 01JV8Q\n  agents plan retry 01JV8Q --continue\n  agents plan retry 01JV8Q --only-failed"
    )]
    Retry {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Begin with what the last attempt left unfinished, not anew (execute only)
        #[arg(long = "continue", conflicts_with = "allow_empty")]
        go_on: bool,
        /// Give failed subplans new attempts, and those that were given up because of them
        #[arg(long, conflicts_with_all = ["go_on", "allow_empty"])]
        only_failed: bool,
        /// Land even if nothing has changed
        #[arg(long)]
        allow_empty: bool,
        /// Leave it to a worker: record the order and return
        #[arg(long)]
        detach: bool,
    },
    /// Give a plan another subplan; it runs when the plan is executed next
    #[command(
        after_help = "Examples:\n  agents plan spawn 01JV8Q --action fix-lint --arg target=src\n  agents plan spawn 01JV8Q --action rename --name docs --depends-on api"
    )]
    Spawn(SpawnArgs),
    /// Go back to the start; earlier work stays in its refs
    #[command(after_help = "Examples:\n  agents plan revert 01JV8Q --reason \"use the new API\"")]
    Revert(ReasonedArgs),
    /// Add guidance for the next attempt, or answer what the plan asks
    #[command(after_help = "Examples:\n  agents plan prompt 01JV8Q \"leave the tests alone\"")]
    Prompt {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// The guidance
        #[arg(value_name = "TEXT", value_parser = Words::parse)]
        text: Words,
    },
    /// List plans, newest first
    #[command(after_help = "Examples:\n  agents plan list\n  agents plan list --state errored --limit 20")]
    List(ListArgs),
    /// Show one plan
    #[command(after_help = "Examples:\n  agents plan status 01JV8Q\n  agents plan status 01JV8Q --json")]
    Status {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
    },
    /// Say why a plan is not running, and what helps
    #[command(after_help = "Examples:\n  agents plan why 01JV8Q\n  agents plan why 01JV8Q --json")]
    Why {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
    },
    /// Wait until a plan rests: it landed, failed, or needs a person
    #[command(
        after_help = "Examples:\n  agents plan wait 01JV8Q\n  agents plan wait 01JV8Q --for applied --timeout 30m"
    )]
    Wait(WaitArgs),
    /// Show a plan with all that are below it, and how each of them stands
    #[command(after_help = "Examples:\n  agents plan tree 01JV8Q\n  agents plan tree 01JV8Q --watch")]
    Tree {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Go on showing what changes, until the plan rests; with --json one object a line
        #[arg(long)]
        watch: bool,
    },
    /// Draw the subplans of a plan with what they depend on, wave after wave
    #[command(after_help = "Examples:\n  agents plan graph 01JV8Q\n  agents plan graph 01JV8Q --as svg")]
    Graph {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// As what
        #[arg(long = "as", value_name = "FORM", default_value = Form::default().as_str(), value_parser = value::form())]
        form: Form,
    },
    /// Show the log of a plan's transitions
    #[command(after_help = "Examples:\n  agents plan events 01JV8Q")]
    Events {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
    },
    /// Show every failure and interruption of a plan, of all attempts, oldest first
    #[command(after_help = "Examples:\n  agents plan errors 01JV8Q\n  agents plan errors 01JV8Q --json")]
    Errors {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
    },
    /// Show what a plan has changed: from where it started to its result
    #[command(
        after_help = "Examples:\n  agents plan diff 01JV8Q\n  agents plan diff 01JV8Q --stat\n  agents plan diff 01JV8Q --attempt 2"
    )]
    Diff {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// To what this attempt left, not to the result
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
        /// Only how much of what
        #[arg(long)]
        stat: bool,
    },
    /// Put what an attempt left into a new directory of plain files
    #[command(
        after_help = "Examples:\n  agents plan restore 01JV8Q ../found\n  agents plan restore 01JV8Q --attempt 2 ../found"
    )]
    Restore {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Of this attempt, not the newest that left anything
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
        /// The directory; it must not be there yet, or be empty
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Print the output of a plan's commands
    #[command(
        after_help = "Examples:\n  agents plan log 01JV8Q\n  agents plan log 01JV8Q --follow\n  agents plan log 01JV8Q --attempt 2"
    )]
    Log {
        /// The plan: its id, or at least the first 4 characters
        #[arg(value_name = "PLAN", value_parser = PlanRef::parse)]
        plan: PlanRef,
        /// Of this attempt, not the last
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        attempt: Option<u32>,
        /// Go on with what is printed while the plan is driven; with --json one object a line
        #[arg(short, long)]
        follow: bool,
    },
}

impl PlanCommand {
    /// The name in the JSON envelope.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Use(_) => "plan.use",
            Self::Execute { .. } => "plan.execute",
            Self::Apply { .. } => "plan.apply",
            Self::Cancel { .. } => "plan.cancel",
            Self::Retry { .. } => "plan.retry",
            Self::Spawn(_) => "plan.spawn",
            Self::Revert(_) => "plan.revert",
            Self::Prompt { .. } => "plan.prompt",
            Self::List(_) => "plan.list",
            Self::Status { .. } => "plan.status",
            Self::Why { .. } => "plan.why",
            Self::Wait(_) => "plan.wait",
            Self::Tree { .. } => "plan.tree",
            Self::Graph { .. } => "plan.graph",
            Self::Events { .. } => "plan.events",
            Self::Errors { .. } => "plan.errors",
            Self::Diff { .. } => "plan.diff",
            Self::Restore { .. } => "plan.restore",
            Self::Log { .. } => "plan.log",
        }
    }
}
