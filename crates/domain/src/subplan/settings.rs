//! How the children of one parent are run.

use std::time::Duration;

use thiserror::Error;

/// In which order children run, and what a failure means for the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// In the order given, one at a time; the first failure ends it.
    #[default]
    Sequential,
    /// All at once; others go on after a failure.
    Parallel,
    /// Each as soon as all that it depends on have succeeded.
    Dependency,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Sequential, Self::Parallel, Self::Dependency];

    /// The word used in files, rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Parallel => "parallel",
            Self::Dependency => "dependency",
        }
    }

    /// The mode of that name; an unknown word is never a silent default.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// How the work of children comes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MergePolicy {
    /// A three-way merge on real bases that advance.
    #[default]
    ThreeWay,
    /// The same, but a file that two children touched, of which neither began with the work of the
    /// other, is a conflict even where it would merge.
    FailOnConflict,
}

impl MergePolicy {
    /// All policies.
    pub const ALL: [Self; 2] = [Self::ThreeWay, Self::FailOnConflict];

    /// The word used in files, rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThreeWay => "three-way",
            Self::FailOnConflict => "fail-on-conflict",
        }
    }

    /// The policy of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == word)
    }
}

/// A number out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{setting} is {given}; it must be between {least} and {most}")]
pub struct InvalidSettings {
    /// Which one.
    pub setting: &'static str,
    /// What was given.
    pub given: u32,
    /// The least that may be.
    pub least: u32,
    /// The most that may be.
    pub most: u32,
}

/// How the children of one parent are run (`subplans.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Order, and what a failure means.
    pub mode: Mode,
    /// How many children run at once; further ones queue.
    pub max_parallel: u32,
    /// Whether a failure stops what runs and cancels what has not begun.
    pub fail_fast: bool,
    /// How often a child is tried again: attempts are one more.
    pub max_retries: u32,
    /// How long an attempt of a child may take.
    pub timeout: Option<Duration>,
    /// How their work comes together.
    pub merge: MergePolicy,
}

impl Settings {
    /// The most children that may run at once.
    pub const MAX_PARALLEL: u32 = 50;
    /// The most retries of one child.
    pub const MAX_RETRIES: u32 = 100;

    /// The same, if its numbers are within their bounds.
    pub fn checked(self) -> Result<Self, InvalidSettings> {
        within("max_parallel", self.max_parallel, 1, Self::MAX_PARALLEL)?;
        within("max_retries", self.max_retries, 0, Self::MAX_RETRIES)?;
        Ok(self)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            max_parallel: 5,
            fail_fast: false,
            max_retries: 2,
            timeout: None,
            merge: MergePolicy::default(),
        }
    }
}

const fn within(setting: &'static str, given: u32, least: u32, most: u32) -> Result<(), InvalidSettings> {
    if least <= given && given <= most {
        Ok(())
    } else {
        Err(InvalidSettings { setting, given, least, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back_and_unknown_ones_are_no_default() {
        assert!(Mode::ALL.into_iter().all(|mode| Mode::parse(mode.as_str()) == Some(mode)));
        assert!(
            MergePolicy::ALL.into_iter().all(|policy| MergePolicy::parse(policy.as_str()) == Some(policy))
        );
        assert_eq!((Mode::parse("serial"), MergePolicy::parse("ours")), (None, None));
    }

    #[test]
    fn numbers_have_bounds() {
        assert!(Settings::default().checked().is_ok());
        for max_parallel in [0, 51] {
            let refused = Settings { max_parallel, ..Settings::default() }.checked();
            assert_eq!(refused.expect_err("out of bounds").setting, "max_parallel");
        }
        let refused = Settings { max_retries: 101, ..Settings::default() }.checked().expect_err("too many");
        assert_eq!(refused.to_string(), "max_retries is 101; it must be between 0 and 100");
    }
}
