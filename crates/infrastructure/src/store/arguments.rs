//! JSON of a plan's arguments: each value under the word of its type, so that none changes type
//! on the way. Floats are kept as text, which is exact there and back.

use std::collections::BTreeMap;

use agents_domain::action::{ArgumentValue, Arguments};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Value {
    String(String),
    Integer(i64),
    Float(String),
    Boolean(bool),
    List(Vec<String>),
}

/// The column of these arguments.
pub(crate) fn to_json(arguments: &Arguments) -> String {
    let form: BTreeMap<&str, Value> =
        arguments.iter().map(|(name, value)| (name.as_str(), to_value(value))).collect();
    serde_json::to_string(&form).expect("keys are text")
}

/// The arguments of a column; the error is for people.
pub(crate) fn from_json(json: &str) -> Result<Arguments, String> {
    let form: BTreeMap<String, Value> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    form.into_iter().map(|(name, value)| Ok((name, from_value(value)?))).collect()
}

fn to_value(value: &ArgumentValue) -> Value {
    match value {
        ArgumentValue::String(text) => Value::String(text.clone()),
        ArgumentValue::Integer(number) => Value::Integer(*number),
        ArgumentValue::Float(number) => Value::Float(number.to_string()),
        ArgumentValue::Boolean(truth) => Value::Boolean(*truth),
        ArgumentValue::List(items) => Value::List(items.clone()),
    }
}

fn from_value(value: Value) -> Result<ArgumentValue, String> {
    Ok(match value {
        Value::String(text) => ArgumentValue::String(text),
        Value::Integer(number) => ArgumentValue::Integer(number),
        Value::Float(text) => {
            ArgumentValue::Float(text.parse().map_err(|_| format!("`{text}` is no number"))?)
        }
        Value::Boolean(truth) => ArgumentValue::Boolean(truth),
        Value::List(items) => ArgumentValue::List(items),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_keeps_its_type_and_every_bit() {
        let arguments: Arguments = [
            ("a", ArgumentValue::String("1".into())),
            ("b", ArgumentValue::Integer(i64::MIN)),
            ("c", ArgumentValue::Float(1.0)),
            ("d", ArgumentValue::Float(0.1 + 0.2)),
            ("e", ArgumentValue::Float(f64::MIN_POSITIVE)),
            ("f", ArgumentValue::Boolean(false)),
            ("g", ArgumentValue::List(vec![String::new(), "x,y".into()])),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        assert_eq!(from_json(&to_json(&arguments)), Ok(arguments));
    }

    #[test]
    fn anything_else_is_refused() {
        for json in ["[]", r#"{"a":1}"#, r#"{"a":{"float":"x"}}"#, r#"{"a":{"bag":1}}"#] {
            assert!(from_json(json).is_err(), "{json}");
        }
    }
}
