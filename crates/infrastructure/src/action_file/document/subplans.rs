//! The part of an action file that says how plans split. An item is also a line of the file that
//! strategize may write, in JSON.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::located::Located;
use super::Literal;

/// How plans of the action split into subplans.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Subplans")]
pub(in crate::action_file) struct SubplansEntry {
    /// In which order subplans run, and what a failure means for the others.
    #[serde(default)]
    pub(in crate::action_file) mode: ModeWord,
    /// How many subplans of one plan run at once; further ones queue. 5 unless given.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 50))]
    pub(in crate::action_file) max_parallel: Option<Located<i64>>,
    /// Whether a failure stops what runs and cancels what has not begun.
    #[serde(default)]
    pub(in crate::action_file) fail_fast: bool,
    /// How often a subplan is tried again. 2 unless given.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 0, max = 100))]
    pub(in crate::action_file) max_retries: Option<Located<i64>>,
    /// After this an attempt of a subplan is stopped, such as `90s`, `10m` or `1h30m`.
    #[serde(default)]
    pub(in crate::action_file) timeout: Option<Located<String>>,
    /// How the work of subplans comes together.
    #[serde(default)]
    pub(in crate::action_file) merge: MergeWord,
    /// The subplans that every plan has.
    #[serde(default)]
    pub(in crate::action_file) items: Vec<Located<ItemEntry>>,
}

/// One subplan.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Subplan")]
pub(in crate::action_file) struct ItemEntry {
    /// Unique among its siblings, `[a-z0-9][a-z0-9._-]{0,62}`.
    pub(in crate::action_file) name: Located<String>,
    /// The action it uses: `[namespace/]name`.
    pub(in crate::action_file) action: Located<String>,
    /// Its arguments; what is not named here is taken from the plan above, where that has it.
    #[serde(default)]
    pub(in crate::action_file) args: BTreeMap<String, Located<Literal>>,
    /// The siblings that must have been merged before it begins.
    #[serde(default)]
    pub(in crate::action_file) depends_on: Vec<Located<String>>,
    /// The projects of the plan above that it works on; all of them unless given.
    #[serde(default)]
    pub(in crate::action_file) projects: Vec<Located<String>>,
}

impl ItemEntry {
    /// Its keys, in the order in which they are told.
    pub(in crate::action_file) const KEYS: [&'static str; 5] =
        ["name", "action", "args", "depends_on", "projects"];
}

/// In which order subplans run, and what a failure means for the others.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "SubplanMode")]
pub(in crate::action_file) enum ModeWord {
    /// In the order given, one at a time; the first failure ends it.
    #[default]
    Sequential,
    /// All at once; others go on after a failure.
    Parallel,
    /// Each as soon as all that it depends on have succeeded.
    Dependency,
}

/// How the work of subplans comes together.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "SubplanMerge")]
pub(in crate::action_file) enum MergeWord {
    /// A three-way merge on bases that advance.
    #[default]
    ThreeWay,
    /// The same, but a file that two subplans touched is a conflict even where it would merge.
    FailOnConflict,
}
