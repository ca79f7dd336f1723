//! The commands of the lifecycle table, and their words.
//!
//! Which of them is legal where is decided by [`super::target`]; which change each of them is, by
//! [`super::Change::verb`].

/// The commands of the lifecycle table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is a row of the table in docs/lifecycle.md")]
pub enum Verb {
    Use,
    Start,
    Complete,
    Fail,
    Park,
    Execute,
    Apply,
    Constrain,
    Retry,
    Revert,
    Interrupt,
    Adopt,
    Cancel,
    Prompt,
    Intend,
    Land,
    Spawn,
    Merge,
    Conflict,
    Command,
    Save,
}

impl Verb {
    /// All commands, in the order of the table.
    pub const ALL: [Self; 21] = [
        Self::Use,
        Self::Start,
        Self::Complete,
        Self::Fail,
        Self::Park,
        Self::Execute,
        Self::Apply,
        Self::Constrain,
        Self::Retry,
        Self::Revert,
        Self::Interrupt,
        Self::Adopt,
        Self::Cancel,
        Self::Prompt,
        Self::Intend,
        Self::Land,
        Self::Spawn,
        Self::Merge,
        Self::Conflict,
        Self::Command,
        Self::Save,
    ];

    /// The word in the table and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Use => "use",
            Self::Start => "start",
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Park => "park",
            Self::Execute => "execute",
            Self::Apply => "apply",
            Self::Constrain => "constrain",
            Self::Retry => "retry",
            Self::Revert => "revert",
            Self::Interrupt => "interrupt",
            Self::Adopt => "adopt",
            Self::Cancel => "cancel",
            Self::Prompt => "prompt",
            Self::Intend => "intend",
            Self::Land => "land",
            Self::Spawn => "spawn",
            Self::Merge => "merge",
            Self::Conflict => "conflict",
            Self::Command => "command",
            Self::Save => "save",
        }
    }
}
