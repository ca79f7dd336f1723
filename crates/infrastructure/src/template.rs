//! Renders the templates of an action: argument vectors and commit messages.
//!
//! Guarantees: a name that is not there is an error, never an empty text; what is written is what
//! runs (no escaping, no lost newline); a script for a shell is not rendered at all, so no value
//! can become code; and no template takes more than a fixed amount of work or memory, whoever
//! wrote it. It must not read the environment or a file: all it knows is the [`Context`].

use std::collections::BTreeMap;

use agents_domain::action::{ArgumentValue, Arguments, Program};
use agents_domain::runner::{Context, RunError};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};

/// Names that templates know besides the arguments, each with the variable it comes from, if any.
pub(crate) const NAMES: [(&str, Option<&str>); 11] = [
    ("plan", None),
    ("description", None),
    ("definition_of_done", None),
    ("strategy", None),
    ("guidance", None),
    ("project_dir", Some("AGENTS_PROJECT_DIR")),
    ("strategy_file", Some("AGENTS_STRATEGY_FILE")),
    ("guidance_file", Some("AGENTS_GUIDANCE_FILE")),
    ("artifacts_dir", Some("AGENTS_ARTIFACTS_DIR")),
    ("events_file", Some("AGENTS_EVENTS_FILE")),
    ("subplans_file", Some("AGENTS_SUBPLANS_FILE")),
];

/// Work for all templates of one command. The engine bounds time and memory by it (a unit is an
/// instruction or 64 bytes of data): about 12 MiB.
const FUEL: u64 = 200_000;
/// What all templates of one command may produce together.
const MAX_OUTPUT: usize = 1024 * 1024;
/// The longest template; the kernel takes no argument above 128 KiB.
pub(crate) const MAX_TEMPLATE: usize = 64 * 1024;
/// The engine's functions that do nothing for an argument vector.
const UNUSED_FUNCTIONS: [&str; 2] = ["debug", "namespace"];

/// The argument vector of a program: the items of `run` rendered one by one, or `sh -c` with the
/// script as it stands.
///
/// ```
/// use agents_domain::action::{ArgumentValue, Program};
/// use agents_domain::runner::Context;
/// use agents_infrastructure::template::render;
///
/// let context = Context {
///     arguments: [("target".to_owned(), ArgumentValue::String("src".into()))].into(),
///     ..Context::default()
/// };
/// let program = Program::Run(vec!["echo".into(), "fix {{ target }}".into()]);
/// assert_eq!(render(&program, &context, "execute").expect("known names"), ["echo", "fix src"]);
/// ```
pub fn render(program: &Program, context: &Context, purpose: &str) -> Result<Vec<String>, RunError> {
    let items = match program {
        Program::Shell(script) => return Ok(["sh", "-c", script].map(str::to_owned).to_vec()),
        Program::Run(items) => items,
    };
    let mut renderer = Renderer::new(values(context));
    let vector = items.iter().map(|item| renderer.render(item)).collect::<Result<_, _>>();
    vector.map_err(|fault| RunError::Template { purpose: purpose.to_owned(), reason: fault.reason })
}

/// The commit message of `apply.message`, rendered.
pub fn render_message(template: &str, context: &Context) -> Result<String, RunError> {
    Renderer::new(values(context))
        .render(template)
        .map_err(|fault| RunError::Template { purpose: "apply.message".to_owned(), reason: fault.reason })
}

/// Why a template could not be rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateFault {
    /// In words.
    pub(crate) reason: String,
    /// The names it uses that have no value, if that is why.
    pub(crate) undefined: Vec<String>,
}

/// Names and values that templates see.
pub(crate) type Values = BTreeMap<String, Value>;

/// Renders templates over one set of values, out of one budget.
pub(crate) struct Renderer {
    environment: Environment<'static>,
    context: Value,
    fuel: u64,
    output: usize,
}

impl Renderer {
    /// A renderer with the full budget.
    pub(crate) fn new(values: Values) -> Self {
        Self {
            environment: environment(),
            context: Value::from_pairs(values),
            fuel: FUEL,
            output: MAX_OUTPUT,
        }
    }

    /// Renders one template and takes its cost from the budget.
    pub(crate) fn render(&mut self, source: &str) -> Result<String, TemplateFault> {
        if source.len() > MAX_TEMPLATE {
            return Err(TemplateFault::of(format!("it is longer than {MAX_TEMPLATE} bytes")));
        }
        self.environment.set_fuel(Some(self.fuel));
        let template =
            self.environment.template_from_str(source).map_err(|error| self.fault(source, &error))?;
        let captured =
            template.render_captured(self.context.clone()).map_err(|error| self.fault(source, &error))?;
        let left = captured.state().fuel_levels().map_or(0, |(_, remaining)| remaining);
        let text = captured.into_output();
        self.fuel = left;
        self.output = self
            .output
            .checked_sub(text.len())
            .ok_or_else(|| TemplateFault::of(format!("the result is larger than {MAX_OUTPUT} bytes")))?;
        Ok(text)
    }

    fn fault(&self, source: &str, error: &Error) -> TemplateFault {
        let undefined: Vec<_> = match error.kind() {
            ErrorKind::UndefinedError => {
                let known = |name: &str| self.context.get_attr(name).is_ok_and(|value| !value.is_undefined());
                unknown_names(source, known).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        let reason = match (error.kind(), undefined.as_slice()) {
            (ErrorKind::OutOfFuel, _) => "it takes too much work or memory".to_owned(),
            (_, []) => in_words(error),
            (_, names) => format!("`{}` has no value", names.join("`, `")),
        };
        TemplateFault { reason, undefined }
    }
}

impl TemplateFault {
    fn of(reason: String) -> Self {
        Self { reason, undefined: Vec::new() }
    }
}

/// The engine, set up so that what is written is what runs. Truth values show as they do in
/// `AGENTS_ARG_<NAME>`, not in Python's spelling.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.expect("the default delimiters are valid"));
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Bool => out.write_str(if value.is_true() { "true" } else { "false" }).map_err(Error::from),
        _ => escape_formatter(out, state, value),
    });
    for name in UNUSED_FUNCTIONS {
        environment.remove_global(name);
    }
    environment
}

/// The names a template uses, on whatever path through it, for which `known` is false. Nothing is
/// evaluated. A template that cannot be parsed is a fault.
pub(crate) fn unknown_names(
    source: &str,
    known: impl Fn(&str) -> bool,
) -> Result<Vec<String>, TemplateFault> {
    let environment = environment();
    let template =
        environment.template_from_str(source).map_err(|error| TemplateFault::of(in_words(&error)))?;
    let is_function = |name: &str| environment.globals().any(|(function, _)| function == name);
    let mut names: Vec<_> = template
        .undeclared_variables(false)
        .into_iter()
        .filter(|name| !known(name) && !is_function(name))
        .collect();
    names.sort();
    Ok(names)
}

/// The engine's word without its name for a template that has none.
fn in_words(error: &Error) -> String {
    let place = error.line().filter(|line| *line > 1).map(|line| format!(" (line {line} of the template)"));
    let detail = error.detail().map(|detail| format!(": {detail}"));
    format!("{}{}{}", error.kind(), detail.unwrap_or_default(), place.unwrap_or_default())
}

/// Arguments, typed, under their names.
pub(crate) fn argument_values(arguments: &Arguments) -> Values {
    arguments.iter().map(|(name, value)| (name.clone(), template_value(value))).collect()
}

fn template_value(value: &ArgumentValue) -> Value {
    match value {
        ArgumentValue::String(text) => Value::from(text.as_str()),
        ArgumentValue::Integer(number) => Value::from(*number),
        ArgumentValue::Float(number) => Value::from(*number),
        ArgumentValue::Boolean(truth) => Value::from(*truth),
        ArgumentValue::List(items) => Value::from(items.clone()),
    }
}

/// All that a context shows. A file whose variable is not set has no name here. Names of ours win
/// over arguments; an action file with such an argument is refused.
pub(crate) fn values(context: &Context) -> Values {
    let mut values = argument_values(&context.arguments);
    let plan = Value::from_pairs([("name", Value::from(context.plan_name.as_str()))]);
    values.insert("plan".to_owned(), plan);
    let texts = [
        ("description", &context.description),
        ("definition_of_done", &context.definition_of_done),
        ("strategy", &context.strategy),
        ("guidance", &context.guidance),
    ];
    values.extend(texts.map(|(name, text)| (name.to_owned(), Value::from(text.as_str()))));
    let files = NAMES.iter().filter_map(|(name, variable)| {
        let set = context.env.iter().rev().find(|(set, _)| Some(set.as_str()) == *variable)?;
        Some(((*name).to_owned(), Value::from(set.1.as_str())))
    });
    values.extend(files);
    values
}

#[cfg(test)]
mod tests;
