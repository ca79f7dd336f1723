//! A child as it is asked for: by an action file, by the strategize phase, or by a person.

use crate::action::Arguments;
use crate::name::Name;

/// One child that a plan is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct SubplanItem {
    /// Its name, unique among its siblings: one part of a [`Name`].
    pub name: String,
    /// The action it uses.
    pub action: Name,
    /// What it is given; what is not named here is taken from the parent, if that has it.
    pub args: Arguments,
    /// The siblings that must have been merged before it begins.
    pub depends_on: Vec<String>,
    /// The projects of the parent that it works on; none named: all of them.
    pub projects: Vec<Name>,
}
