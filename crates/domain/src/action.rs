//! Actions: reusable templates that say what each phase of a plan runs.
//!
//! Values only. Reading them from YAML is an adapter's work; checking a caller's arguments
//! against [`ArgumentSpec`]s is the application's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::name::Name;
use crate::subplan::{Settings, SubplanItem};

/// How far a plan goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Automation {
    /// Each phase needs its own command.
    Manual,
    /// Strategize and execute run on; apply needs its command.
    #[default]
    Review,
    /// All three phases run on.
    Auto,
}

impl Automation {
    /// All levels, in the order of how much they leave to the program.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Review, Self::Auto];

    /// The word used in files, rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Review => "review",
            Self::Auto => "auto",
        }
    }

    /// The level of that name; an unknown word is never a silent default.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Automation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentType {
    /// Any text.
    String,
    /// A 64-bit signed integer.
    Integer,
    /// A finite double.
    Float,
    /// `true` or `false`.
    Boolean,
    /// A list of texts; on the command line separated by commas.
    List,
}

impl ArgumentType {
    /// The word used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Boolean => "boolean",
            Self::List => "list",
        }
    }
}

/// The value of one argument.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgumentValue {
    /// A text.
    String(String),
    /// A 64-bit signed integer.
    Integer(i64),
    /// A finite double.
    Float(f64),
    /// A truth value.
    Boolean(bool),
    /// A list of texts.
    List(Vec<String>),
}

impl fmt::Display for ArgumentValue {
    /// The form a child finds in `AGENTS_ARG_<NAME>`: list items one a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => f.write_str(text),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
            Self::Boolean(truth) => write!(f, "{truth}"),
            Self::List(items) => f.write_str(&items.join("\n")),
        }
    }
}

/// The arguments of a plan, by name.
pub type Arguments = BTreeMap<String, ArgumentValue>;

/// What an action says about one of its arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct ArgumentSpec {
    /// `[a-z][a-z0-9_]{0,62}`.
    pub name: String,
    /// Its type.
    pub kind: ArgumentType,
    /// Whether a plan without it is refused.
    pub required: bool,
    /// The value if the caller gives none.
    pub default: Option<ArgumentValue>,
    /// For people.
    pub description: Option<String>,
    /// A regular expression that a string, or each item of a list, must match.
    pub pattern: Option<String>,
    /// The least number; for strings and lists the least length.
    pub min: Option<f64>,
    /// The greatest number; for strings and lists the greatest length.
    pub max: Option<f64>,
}

/// What to run: an argument vector of templates, or a shell script, which is no template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// Rendered item by item, then run without a shell.
    Run(Vec<String>),
    /// Given to `sh -c` as it stands; arguments are in the environment.
    Shell(String),
}

/// When a phase that failed is tried again by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included.
    pub max_attempts: u32,
    /// Exit codes that are worth another attempt; empty: every one but the wish to be run later.
    pub on_exit: Vec<i32>,
    /// The pause before the second attempt; each further one is twice as long.
    pub backoff: Option<Duration>,
}

impl RetryPolicy {
    /// No pause between attempts is longer.
    pub const LONGEST_PAUSE: Duration = Duration::from_hours(1);

    /// The pause after so many attempts have failed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use agents_domain::action::RetryPolicy;
    /// let backoff = Some(Duration::from_secs(10));
    /// let policy = RetryPolicy { max_attempts: 100, on_exit: vec![], backoff };
    /// assert_eq!([1, 2, 3].map(|failed| policy.pause(failed).as_secs()), [10, 20, 40]);
    /// assert_eq!(policy.pause(99), RetryPolicy::LONGEST_PAUSE);
    /// ```
    pub fn pause(&self, failed: u32) -> Duration {
        let doubled = 2_u32.checked_pow(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        self.backoff.unwrap_or_default().saturating_mul(doubled).min(Self::LONGEST_PAUSE)
    }
}

/// What one phase runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhaseSpec {
    /// The command.
    pub program: Program,
    /// After this the process group is stopped.
    pub timeout: Option<Duration>,
    /// Attempts by itself; without it, one.
    pub retry: Option<RetryPolicy>,
}

/// A check on the merged tree before it lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationSpec {
    /// Unique within the action.
    pub name: String,
    /// The command; exit 0 means passed.
    pub program: Program,
    /// Whether a failure keeps the plan from landing.
    pub required: bool,
    /// After this the process group is stopped, and the check has failed.
    pub timeout: Option<Duration>,
}

/// How the result reaches the target branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeStrategy {
    /// A merge commit of the target and the plan branch.
    #[default]
    Merge,
    /// One commit on the target with the plan's whole change.
    Squash,
}

/// Where the result ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LandOn {
    /// The project's branch.
    #[default]
    Target,
    /// The plan branch is the result (for protected branches).
    Branch,
}

/// How apply works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ApplySpec {
    /// Merge or squash.
    pub strategy: MergeStrategy,
    /// Target or plan branch.
    pub land: LandOn,
    /// A command run in the landed tree afterwards; its failure is reported, not undone.
    pub after: Option<Program>,
    /// A template of the commit message.
    pub message: Option<String>,
}

/// What happens in a fresh worktree before the command runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorktreeSpec {
    /// Run in the worktree before every attempt.
    pub setup: Option<Program>,
    /// Files copied from the user's checkout; they never enter a snapshot.
    pub copy: Vec<String>,
}

/// A reusable template: what each phase of a plan runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Its name.
    pub name: Name,
    /// For people, and for the commit message.
    pub description: String,
    /// When the work counts as done, in words.
    pub definition_of_done: String,
    /// How far its plans go by themselves.
    pub automation: Automation,
    /// What a caller may or must give.
    pub arguments: Vec<ArgumentSpec>,
    /// Preparation of worktrees.
    pub worktree: WorktreeSpec,
    /// Optional; without it the phase completes at once.
    pub strategize: Option<PhaseSpec>,
    /// The work; `None` only where subplans do all of it.
    pub execute: Option<PhaseSpec>,
    /// Checks before landing.
    pub validations: Vec<ValidationSpec>,
    /// How the result lands.
    pub apply: ApplySpec,
    /// Added to the child's environment.
    pub env: BTreeMap<String, String>,
    /// Read from the caller's environment when it runs; only the names are stored.
    pub env_from: Vec<String>,
    /// How its plans split; `None`: the action says nothing about it.
    pub subplans: Option<SubplanSpec>,
}

impl Action {
    /// How the children of a plan of this action are run.
    pub fn subplan_settings(&self) -> Settings {
        self.subplans.as_ref().map_or_else(Settings::default, |subplans| subplans.settings.clone())
    }

    /// The children that every plan of this action has.
    pub fn subplan_items(&self) -> &[SubplanItem] {
        self.subplans.as_ref().map_or(&[], |subplans| subplans.items.as_slice())
    }
}

/// How the plans of an action split into subplans.
#[derive(Debug, Clone, PartialEq)]
pub struct SubplanSpec {
    /// How children are run, whatever their source.
    pub settings: Settings,
    /// The children that every plan has.
    pub items: Vec<SubplanItem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_automation_level_is_no_default() {
        assert_eq!(Automation::parse("full"), None);
        for level in Automation::ALL {
            assert_eq!(Automation::parse(level.as_str()), Some(level));
        }
        assert_eq!(format!("{:>7}", Automation::Auto), "   auto");
    }

    #[test]
    fn values_show_as_a_child_finds_them() {
        assert_eq!(ArgumentValue::List(vec!["a".into(), "b".into()]).to_string(), "a\nb");
        assert_eq!(ArgumentValue::Float(1.5).to_string(), "1.5");
        assert_eq!(ArgumentValue::Integer(-3).to_string(), "-3");
        assert_eq!(ArgumentValue::Boolean(true).to_string(), "true");
        assert_eq!(ArgumentValue::String("x".into()).to_string(), "x");
        let kinds = [
            ArgumentType::String,
            ArgumentType::Integer,
            ArgumentType::Float,
            ArgumentType::Boolean,
            ArgumentType::List,
        ];
        assert_eq!(kinds.map(ArgumentType::as_str), ["string", "integer", "float", "boolean", "list"]);
    }
}
