//! What a command of a plan is told: names for templates, variables for the environment.

use std::path::Path;

use agents_domain::files::AttemptPaths;
use agents_domain::name::Name;
use agents_domain::plan::{Definition, Plan};
use agents_domain::runner::Context;

use crate::arguments::env_name;

/// The facts for one command, run in `directory`; `trees` are the directories of all projects.
pub(super) fn context(
    plan: &Plan,
    definition: &Definition,
    paths: &AttemptPaths,
    directory: &Path,
    trees: &[(&Name, &Path)],
) -> Context {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut env: Vec<(String, String)> =
        definition.action.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
    set("AGENTS_PLAN_ID", plan.id.to_string());
    set("AGENTS_PARENT_PLAN_ID", plan.parent().map(|parent| parent.to_string()).unwrap_or_default());
    set("AGENTS_ATTEMPT", plan.attempt.to_string());
    set("AGENTS_PHASE", plan.phase().to_string());
    set("AGENTS_PROJECT_DIR", text(directory));
    set("AGENTS_STRATEGY_FILE", text(&paths.strategy_file));
    set("AGENTS_SUBPLANS_FILE", text(&paths.subplans_file));
    set("AGENTS_GUIDANCE_FILE", text(&paths.guidance_file));
    set("AGENTS_ARTIFACTS_DIR", text(&paths.artifacts_dir));
    set("AGENTS_EVENTS_FILE", text(&paths.events_file));
    for (name, tree) in trees {
        set(&format!("AGENTS_PROJECT_{}_DIR", variable_part(name)), text(tree));
    }
    for (name, value) in &definition.arguments {
        set(&env_name(name), value.to_string());
    }
    Context { env, ..facts(plan, definition) }
}

/// What there is to know without a directory: enough for a commit message.
pub(super) fn facts(plan: &Plan, definition: &Definition) -> Context {
    let action = &definition.action;
    Context {
        arguments: definition.arguments.clone(),
        plan_name: plan.name.clone().unwrap_or_else(|| plan.id.to_string()),
        description: action.description.clone(),
        definition_of_done: action.definition_of_done.clone(),
        strategy: plan.strategy.clone().unwrap_or_default(),
        guidance: plan.guidance.join("\n\n"),
        env: Vec::new(),
        env_from: action.env_from.clone(),
    }
}

/// `local/my-api` → `MY_API`, `team/my-api` → `TEAM_MY_API`.
fn variable_part(name: &Name) -> String {
    let text = if name.namespace() == Name::DEFAULT_NAMESPACE { name.short() } else { name.as_str() };
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_become_parts_of_variables() {
        let part = |name| variable_part(&Name::parse(name).expect("valid"));
        assert_eq!((part("my-api"), part("team/my.api")), ("MY_API".into(), "TEAM_MY_API".into()));
    }
}
