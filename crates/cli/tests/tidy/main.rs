//! Tidy checks: rules of this workspace that neither the compiler nor clippy knows, as tests.
//!
//! Each rule is a function from text to complaints, run over the whole source tree by one test,
//! and shown by others to complain when the rule is broken. To add a rule, add both. The rules,
//! with their reasons, are in `CONTRIBUTING.md`.

mod code;
mod documents;
mod layers;
mod migrations;
mod promises;
mod sources;
mod tree;
