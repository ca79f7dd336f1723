//! The shape of an action file: its keys and their types, and nothing of their meaning.
//!
//! Unknown keys are refused at every level. The doc comments below are the descriptions in the
//! JSON Schema.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::located::Located;

mod subplans;

pub(super) use subplans::{ItemEntry, MergeWord, ModeWord, SubplansEntry};

/// A reusable template that says what each phase of a plan runs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    rename = "Action",
    extend("anyOf" = [{ "required": ["execute"] }, { "required": ["subplans"] }])
)]
pub(super) struct Document {
    /// `[namespace/]name`, each part `[a-z0-9][a-z0-9._-]{0,62}`; the default namespace is `local`.
    pub(super) name: Located<String>,
    /// For people, and for the commit message.
    #[serde(default)]
    pub(super) description: String,
    /// When the work counts as done, in words.
    #[serde(default)]
    pub(super) definition_of_done: String,
    /// How far plans go by themselves.
    #[serde(default)]
    pub(super) automation: AutomationWord,
    /// What a caller may or must give.
    #[serde(default)]
    pub(super) arguments: Vec<Located<ArgumentEntry>>,
    /// Preparation of each fresh worktree.
    #[serde(default)]
    pub(super) worktree: WorktreeEntry,
    /// The planning phase; without it the phase completes at once.
    #[serde(default)]
    pub(super) strategize: Option<Located<PhaseEntry>>,
    /// The work; required, unless there are `subplans`. With them it runs last, on their merged work.
    #[serde(default)]
    pub(super) execute: Option<Located<PhaseEntry>>,
    /// How plans split into subplans, and those that every plan has.
    #[serde(default)]
    pub(super) subplans: Option<SubplansEntry>,
    /// Checks of the merged result, before it lands.
    #[serde(default)]
    pub(super) validations: Vec<Located<ValidationEntry>>,
    /// How the result lands.
    #[serde(default)]
    pub(super) apply: ApplyEntry,
    /// Added to the environment of every command.
    #[serde(default)]
    pub(super) env: BTreeMap<String, Located<String>>,
    /// Variables taken from the caller's environment when a command runs; only names are stored.
    #[serde(default)]
    pub(super) env_from: Vec<Located<String>>,
}

/// An argument vector; each item is a template.
pub(super) type Vector = Located<Vec<Located<String>>>;

/// What a caller may or must give.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Argument")]
pub(super) struct ArgumentEntry {
    /// `[a-z][a-z0-9_]{0,62}`.
    pub(super) name: Located<String>,
    /// Its type.
    #[serde(default)]
    pub(super) r#type: TypeWord,
    /// Whether a plan without it is refused.
    #[serde(default)]
    pub(super) required: bool,
    /// The value if the caller gives none.
    #[serde(default)]
    pub(super) default: Option<Located<Literal>>,
    /// For people.
    #[serde(default)]
    pub(super) description: Option<String>,
    /// A regular expression that a string, or each item of a list, must match.
    #[serde(default)]
    pub(super) pattern: Option<Located<String>>,
    /// The least number; for strings and lists the least length.
    #[serde(default)]
    pub(super) min: Option<Located<f64>>,
    /// The greatest number; for strings and lists the greatest length.
    #[serde(default)]
    pub(super) max: Option<Located<f64>>,
}

/// Preparation of each fresh worktree.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Worktree")]
pub(super) struct WorktreeEntry {
    /// A command run before every attempt; each item is a template.
    #[serde(default)]
    pub(super) setup: Option<Vector>,
    /// Files copied from the checkout, relative to it; they never enter a snapshot.
    #[serde(default)]
    pub(super) copy: Vec<Located<String>>,
}

/// What one phase runs: exactly one of `run` and `shell`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Phase")]
pub(super) struct PhaseEntry {
    /// An argument vector; each item is a template.
    #[serde(default)]
    pub(super) run: Option<Vector>,
    /// A script for `sh -c`; no template, arguments are in `AGENTS_ARG_<NAME>`.
    #[serde(default)]
    pub(super) shell: Option<Located<String>>,
    /// After this the command is stopped, such as `90s`, `10m` or `1h30m`.
    #[serde(default)]
    pub(super) timeout: Option<Located<String>>,
    /// When a failed phase is tried again by itself.
    #[serde(default)]
    pub(super) retry: Option<RetryEntry>,
}

/// When a failed phase is tried again by itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Retry")]
pub(super) struct RetryEntry {
    /// Attempts in all, the first included.
    #[schemars(with = "u32", range(min = 1, max = 100))]
    pub(super) max_attempts: Located<i64>,
    /// Exit codes worth another attempt; without any, every one but 75.
    #[serde(default)]
    #[schemars(with = "Vec<u8>", inner(range(min = 1, max = 255)))]
    pub(super) on_exit: Vec<Located<i64>>,
    /// The pause before the second attempt, such as `10s`; twice as long before each further one, at
    /// most an hour. Without it there is none.
    #[serde(default)]
    pub(super) backoff: Option<Located<String>>,
}

/// A check of the merged result: exactly one of `run` and `shell`; exit 0 means passed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Validation")]
pub(super) struct ValidationEntry {
    /// Unique within the action, `[a-z0-9][a-z0-9._-]{0,62}`.
    pub(super) name: Located<String>,
    /// An argument vector; each item is a template.
    #[serde(default)]
    pub(super) run: Option<Vector>,
    /// A script for `sh -c`; no template.
    #[serde(default)]
    pub(super) shell: Option<Located<String>>,
    /// Whether a failure keeps the plan from landing.
    #[serde(default = "yes")]
    pub(super) required: bool,
    /// After this the check has failed, such as `10m`.
    #[serde(default)]
    pub(super) timeout: Option<Located<String>>,
}

fn yes() -> bool {
    true
}

/// How the result lands.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Apply")]
pub(super) struct ApplyEntry {
    /// A merge commit, or one commit with the whole change.
    #[serde(default)]
    pub(super) strategy: StrategyWord,
    /// On the target branch, or on the plan's own.
    #[serde(default)]
    pub(super) land: LandWord,
    /// A command run afterwards; each item is a template. Its failure is reported, not undone.
    #[serde(default)]
    pub(super) after: Option<Vector>,
    /// A template of the commit message.
    #[serde(default)]
    pub(super) message: Option<Located<String>>,
}

/// How far plans go by themselves.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Automation")]
pub(super) enum AutomationWord {
    /// Each phase needs its own command.
    Manual,
    /// Strategize and execute run on; apply needs its command.
    #[default]
    Review,
    /// All three phases run on.
    Auto,
}

/// The type of an argument.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ArgumentType")]
pub(super) enum TypeWord {
    /// Any text.
    #[default]
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

/// How the result reaches the target branch.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "MergeStrategy")]
pub(super) enum StrategyWord {
    /// A merge commit.
    #[default]
    Merge,
    /// One commit with the whole change.
    Squash,
}

/// Where the result ends up.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LandOn")]
pub(super) enum LandWord {
    /// The project's branch.
    #[default]
    Target,
    /// The plan branch is the result.
    Branch,
}

/// A default, or an argument of a subplan, as YAML or JSON types it.
#[derive(Debug, Clone, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(super) enum Literal {
    Boolean(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Literal {
    /// By hand, since an untagged enum of serde forgets where it stands and why it failed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LiteralVisitor)
    }
}

struct LiteralVisitor;

impl<'de> Visitor<'de> for LiteralVisitor {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number, a boolean or a list of strings")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Literal, E> {
        Ok(Literal::Boolean(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Literal, E> {
        Ok(Literal::Integer(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Literal, E> {
        i64::try_from(number)
            .map(Literal::Integer)
            .map_err(|_| E::custom("the number is larger than 64 bits signed"))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Literal, E> {
        Ok(Literal::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
        Ok(Literal::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Literal, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Literal::List(list))
    }
}
