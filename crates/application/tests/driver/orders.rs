//! What plans are ordered to do here, and what can go wrong with it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use agents_domain::action::{Action, ApplySpec, Automation, PhaseSpec, Program, WorktreeSpec};
use agents_domain::name::Name;
use agents_domain::runner::{Context, RunError};
use agents_domain::workspace::{Machine, Project, WorkspaceError};
use agents_infrastructure::scripted::Scripted;

pub(crate) fn git_error() -> WorkspaceError {
    let text = |word: &str| word.to_owned();
    WorkspaceError::Git { command: text("x"), path: text("/src"), message: text("disk full") }
}

pub(crate) fn spec() -> PhaseSpec {
    PhaseSpec { program: program(), timeout: None, retry: None }
}

pub(crate) fn program() -> Program {
    Program::Run(vec!["work".into()])
}

/// A machine whose name is its id.
pub(crate) fn machine(id: &str) -> Machine {
    Machine { id: id.to_owned(), host: id.to_owned() }
}

pub(crate) fn project(name: &str) -> Project {
    let (name, path) = (Name::parse(name).expect("valid"), PathBuf::from("/src").join(name));
    Project { name, common_dir: path.join(".git"), path, branch: "main".into(), machine: None, remote: None }
}

pub(crate) fn action() -> Action {
    Action {
        name: Name::parse("fix").expect("valid"),
        description: "Fix it".into(),
        definition_of_done: String::new(),
        automation: Automation::Review,
        arguments: Vec::new(),
        worktree: WorktreeSpec::default(),
        strategize: None,
        execute: Some(spec()),
        validations: Vec::new(),
        apply: ApplySpec::default(),
        env: BTreeMap::new(),
        env_from: Vec::new(),
        subplans: None,
    }
}

pub(crate) fn message(template: &str, facts: &Context) -> Result<String, RunError> {
    match template {
        "broken" => Err(RunError::Template { purpose: "the message".into(), reason: "scripted".into() }),
        template => Ok(format!("{template} {}", facts.description)),
    }
}

/// A command that fails with this exit code.
pub(crate) fn fails(code: i32) -> Scripted {
    Scripted::exits(code)
}
