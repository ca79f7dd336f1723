//! One value against one spec: type, pattern, least and greatest.
//!
//! Guarantees that a value returned from here has the spec's type. Every rule of a spec is
//! applied here and nowhere else, so that defaults, command lines and files cannot differ.

use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue};

use super::{ArgumentProblem, MAX_MATCHED, compile_pattern, shown, with_article};

/// Reads the text of a command line as the spec's type, then checks it.
pub(super) fn read(spec: &ArgumentSpec, text: &str) -> Result<ArgumentValue, ArgumentProblem> {
    check_value(spec, typed_text(spec, text).ok_or_else(|| ill_typed(spec, text))?)
}

/// The text as the spec's type, if it is one. Not checked.
pub(super) fn typed_text(spec: &ArgumentSpec, text: &str) -> Option<ArgumentValue> {
    match spec.kind {
        ArgumentType::String => Some(ArgumentValue::String(text.to_owned())),
        ArgumentType::Integer => text.parse().ok().map(ArgumentValue::Integer),
        ArgumentType::Float => text.parse().ok().map(ArgumentValue::Float),
        ArgumentType::Boolean => text.parse().ok().map(ArgumentValue::Boolean),
        ArgumentType::List if text.is_empty() => Some(ArgumentValue::List(Vec::new())),
        ArgumentType::List => Some(ArgumentValue::List(text.split(',').map(str::to_owned).collect())),
    }
}

/// Checks one value; the only conversion is from an integer to a float that was asked for.
pub fn check_value(spec: &ArgumentSpec, value: ArgumentValue) -> Result<ArgumentValue, ArgumentProblem> {
    let value = typed(spec, value)?;
    let texts = match &value {
        ArgumentValue::String(text) => std::slice::from_ref(text),
        ArgumentValue::List(items) => items.as_slice(),
        _ => &[],
    };
    if texts.iter().any(|text| text.contains('\0')) {
        return Err(refused(spec, "must not contain a NUL byte".to_owned()));
    }
    matches_pattern(spec, texts)?;
    within_bounds(spec, &value)?;
    Ok(value)
}

fn typed(spec: &ArgumentSpec, value: ArgumentValue) -> Result<ArgumentValue, ArgumentProblem> {
    match (spec.kind, value) {
        (ArgumentType::Float, ArgumentValue::Integer(number)) => Ok(ArgumentValue::Float(as_float(number))),
        (ArgumentType::Float, ArgumentValue::Float(number)) if !number.is_finite() => {
            Err(ill_typed(spec, &number.to_string()))
        }
        (ArgumentType::String, value @ ArgumentValue::String(_))
        | (ArgumentType::Integer, value @ ArgumentValue::Integer(_))
        | (ArgumentType::Float, value @ ArgumentValue::Float(_))
        | (ArgumentType::Boolean, value @ ArgumentValue::Boolean(_))
        | (ArgumentType::List, value @ ArgumentValue::List(_)) => Ok(value),
        (_, other) => Err(ill_typed(spec, &other.to_string())),
    }
}

fn matches_pattern(spec: &ArgumentSpec, texts: &[String]) -> Result<(), ArgumentProblem> {
    let Some(pattern) = spec.pattern.as_deref() else { return Ok(()) };
    if texts.iter().map(String::len).sum::<usize>() > MAX_MATCHED {
        return Err(refused(spec, format!("has a pattern, so it may have at most {MAX_MATCHED} bytes")));
    }
    let regex = compile_pattern(pattern)
        .map_err(|error| refused(spec, format!("has a pattern that does not compile: {error}")))?;
    match texts.iter().find(|text| !regex.is_match(text)) {
        Some(text) => Err(refused(spec, format!("must match `{pattern}`, which `{}` does not", shown(text)))),
        None => Ok(()),
    }
}

fn within_bounds(spec: &ArgumentSpec, value: &ArgumentValue) -> Result<(), ArgumentProblem> {
    let (measure, found) = match value {
        ArgumentValue::String(text) => (" characters", as_float(text.chars().count())),
        ArgumentValue::Integer(number) => ("", as_float(*number)),
        ArgumentValue::Float(number) => ("", *number),
        ArgumentValue::List(items) => (" items", as_float(items.len())),
        ArgumentValue::Boolean(_) => return Ok(()),
    };
    match (spec.min, spec.max) {
        (Some(min), _) if found < min => {
            Err(refused(spec, format!("must be at least {min}{measure}, not {found}{measure}")))
        }
        (_, Some(max)) if found > max => {
            Err(refused(spec, format!("must be at most {max}{measure}, not {found}{measure}")))
        }
        _ => Ok(()),
    }
}

/// Bounds are doubles in the file; beyond 2^53 an integer is compared by its nearest double.
#[expect(clippy::cast_precision_loss, reason = "the bound it is compared with is a double itself")]
fn as_float(number: impl TryInto<i64>) -> f64 {
    number.try_into().unwrap_or(i64::MAX) as f64
}

fn ill_typed(spec: &ArgumentSpec, found: &str) -> ArgumentProblem {
    ArgumentProblem::IllTyped {
        name: spec.name.clone(),
        expected: with_article(spec.kind),
        found: shown(found),
    }
}

fn refused(spec: &ArgumentSpec, rule: String) -> ArgumentProblem {
    ArgumentProblem::Refused { name: spec.name.clone(), rule }
}
