//! A rehearsal: every template is rendered on made-up values when the file is read.
//!
//! Names are checked on every path through a template, without evaluating it. Then it is rendered
//! twice: with all arguments, and with only those that every plan has, so that an optional one
//! used without a test is found too. All templates of a file share one budget.

use agents_application::suggest;
use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue};
use agents_domain::runner::Context;

use super::super::located::{Located, Position};
use super::super::yaml::Fault;
use super::fault;
use crate::template::{NAMES, Renderer, TemplateFault, unknown_names, values};

/// Renders templates on values that a plan of the action could have.
pub(super) struct Rehearsal<'a> {
    specs: &'a [ArgumentSpec],
    full: Renderer,
    lean: Renderer,
}

impl<'a> Rehearsal<'a> {
    /// A rehearsal with all arguments, and one with as few as there can be.
    pub(super) fn new(specs: &'a [ArgumentSpec]) -> Self {
        let always = |spec: &&ArgumentSpec| spec.required || spec.default.is_some();
        Self {
            specs,
            full: Renderer::new(values(&context(specs.iter(), "x"))),
            lean: Renderer::new(values(&context(specs.iter().filter(always), ""))),
        }
    }

    /// Checks one template.
    pub(super) fn template(&mut self, template: &Located<String>) -> Result<(), Fault> {
        let (at, source) = (template.at, template.value.as_str());
        if source.contains('\0') {
            return Err(fault(at, "a NUL byte cannot be given to a program"));
        }
        let unknown = unknown_names(source, |name| self.known().any(|known| known == name));
        if let Some(name) = unknown.map_err(|error| broken(at, &error))?.first() {
            let hint = suggest::hint(name, self.known());
            let message = format!("`{name}` in the template is neither an argument nor a known name{hint}");
            return Err(fault(at, message));
        }
        self.full.render(source).map_err(|error| broken(at, &error))?;
        self.lean.render(source).map(drop).map_err(|error| optional(at, &error))
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        let names = NAMES.iter().map(|(name, _)| *name);
        names.chain(self.specs.iter().map(|spec| spec.name.as_str()))
    }
}

fn broken(at: Option<Position>, error: &TemplateFault) -> Fault {
    fault(at, format!("the template cannot be rendered: {}", error.reason))
}

/// A fault of the lean rehearsal alone.
fn optional(at: Option<Position>, error: &TemplateFault) -> Fault {
    let Some(name) = error.undefined.first() else { return broken(at, error) };
    fault(
        at,
        format!(
            "`{name}` in the template is an optional argument without a default: \
             give it one, or write `{{{{ {name} | default('') }}}}`"
        ),
    )
}

/// A context in which every name of ours has a value.
fn context<'a>(specs: impl Iterator<Item = &'a ArgumentSpec>, text: &str) -> Context {
    let variables = NAMES.iter().filter_map(|(_, variable)| *variable);
    Context {
        arguments: specs.map(|spec| (spec.name.clone(), sample(spec))).collect(),
        plan_name: "plan".to_owned(),
        strategy: text.to_owned(),
        guidance: text.to_owned(),
        env: variables.map(|variable| (variable.to_owned(), format!("/{variable}"))).collect(),
        ..Context::default()
    }
}

fn sample(spec: &ArgumentSpec) -> ArgumentValue {
    let made_up = match spec.kind {
        ArgumentType::String => ArgumentValue::String("x".to_owned()),
        ArgumentType::Integer => ArgumentValue::Integer(1),
        ArgumentType::Float => ArgumentValue::Float(1.0),
        ArgumentType::Boolean => ArgumentValue::Boolean(true),
        ArgumentType::List => ArgumentValue::List(vec!["x".to_owned()]),
    };
    spec.default.clone().unwrap_or(made_up)
}
