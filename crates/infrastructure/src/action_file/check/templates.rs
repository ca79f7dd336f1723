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
    commands: Stage,
    messages: Stage,
}

/// What the templates of one kind can name.
struct Stage {
    names: Vec<&'static str>,
    full: Renderer,
    lean: Renderer,
    /// Why a name of ours is not among `names`.
    without: &'static str,
}

impl<'a> Rehearsal<'a> {
    /// A rehearsal of an action with these arguments.
    pub(super) fn new(specs: &'a [ArgumentSpec]) -> Self {
        Self {
            specs,
            commands: Stage::new(specs, "in a command", |_| true),
            messages: Stage::new(specs, "in a commit message", |variable| variable.is_none()),
        }
    }

    /// Checks an item of an argument vector.
    pub(super) fn item(&mut self, template: &Located<String>) -> Result<(), Fault> {
        if template.value.contains('\0') {
            return Err(fault(template.at, "a NUL byte cannot be given to a program"));
        }
        self.commands.check(self.specs, template)
    }

    /// Checks a commit message. It is written for all projects at once, so it knows no directory.
    pub(super) fn message(&mut self, template: &Located<String>) -> Result<(), Fault> {
        self.messages.check(self.specs, template)
    }
}

impl Stage {
    fn new(specs: &[ArgumentSpec], without: &'static str, has: impl Fn(Option<&str>) -> bool) -> Self {
        let always = |spec: &&ArgumentSpec| spec.required || spec.default.is_some();
        let ours: Vec<_> = NAMES.into_iter().filter(|(_, variable)| has(*variable)).collect();
        let variables: Vec<_> = ours.iter().filter_map(|(_, variable)| *variable).collect();
        Self {
            names: ours.iter().map(|(name, _)| *name).collect(),
            full: Renderer::new(values(&context(specs.iter(), &variables, "x"))),
            lean: Renderer::new(values(&context(specs.iter().filter(always), &variables, ""))),
            without,
        }
    }

    fn check(&mut self, specs: &[ArgumentSpec], template: &Located<String>) -> Result<(), Fault> {
        let (at, source) = (template.at, template.value.as_str());
        let is_known = |name: &str| self.known(specs).any(|known| known == name);
        if let Some(name) = unknown_names(source, is_known).map_err(|error| broken(at, &error))?.first() {
            return Err(fault(at, self.unknown(specs, name)));
        }
        self.full.render(source).map_err(|error| broken(at, &error))?;
        self.lean.render(source).map(drop).map_err(|error| optional(at, &error))
    }

    fn known<'b>(&'b self, specs: &'b [ArgumentSpec]) -> impl Iterator<Item = &'b str> {
        self.names.iter().copied().chain(specs.iter().map(|spec| spec.name.as_str()))
    }

    fn unknown(&self, specs: &[ArgumentSpec], name: &str) -> String {
        if NAMES.iter().any(|(ours, _)| *ours == name) {
            return format!("`{name}` has no value {}", self.without);
        }
        let hint = suggest::hint(name, self.known(specs));
        format!("`{name}` in the template is neither an argument nor a known name{hint}")
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

/// A context in which the arguments and variables have values.
fn context<'a>(specs: impl Iterator<Item = &'a ArgumentSpec>, variables: &[&str], text: &str) -> Context {
    Context {
        arguments: specs.map(|spec| (spec.name.clone(), sample(spec))).collect(),
        plan_name: "plan".to_owned(),
        strategy: text.to_owned(),
        guidance: text.to_owned(),
        env: variables.iter().map(|variable| ((*variable).to_owned(), format!("/{variable}"))).collect(),
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
