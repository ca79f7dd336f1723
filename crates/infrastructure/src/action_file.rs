//! Reads action files: YAML text to an [`Action`] that keeps every rule, or an error with a place.
//!
//! Three steps, each in its own file: `yaml` turns text into a `document` within budgets, `check`
//! turns a document into an [`Action`], and `error` shows what is wrong. Templates are rendered
//! once, on made-up values, so that a misspelt name is found now and not an hour into a run.
//!
//! Guarantees that no text, of any size, nesting or number of aliases, takes more than a second
//! or 64 MiB, and that none makes it panic. It runs nothing and reads no file but the one named.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use agents_domain::action::Action;

mod check;
mod document;
mod error;
mod json;
mod located;
mod yaml;

pub use error::{ActionFileError, Diagnostic};
pub(crate) use json::item as item_of_json;
pub use located::Position;

/// The largest action file, in bytes.
pub const MAX_FILE: usize = 1024 * 1024;

/// Reads an action from `text`; `origin` is the name that errors show.
///
/// ```
/// use agents_infrastructure::action_file::parse;
///
/// let action = parse("name: hello\nexecute: { run: [echo, hello] }\n", "hello.yaml").expect("valid");
/// assert_eq!(action.name.as_str(), "local/hello");
///
/// let error = parse("name: hello\nexcute: { run: [echo] }\n", "hello.yaml").expect_err("misspelt");
/// assert!(error.to_string().starts_with("hello.yaml:2:1: unknown key `excute`, did you mean `execute`?"));
/// ```
pub fn parse(text: &str, origin: &str) -> Result<Action, ActionFileError> {
    if text.len() > MAX_FILE {
        return Err(ActionFileError::TooLarge { origin: origin.to_owned(), limit: MAX_FILE });
    }
    yaml::parse(text).and_then(check::action).map_err(|fault| invalid(origin, text, &fault))
}

/// Reads an action from a file, and gives back its text too.
///
/// Never reads more than [`MAX_FILE`] and one byte, whatever the path leads to.
pub fn read(path: &Path) -> Result<(Action, String), ActionFileError> {
    let origin = path.display().to_string();
    let bytes = read_bounded(path)
        .map_err(|error| ActionFileError::Unreadable { origin: origin.clone(), reason: error.to_string() })?;
    if bytes.len() > MAX_FILE {
        return Err(ActionFileError::TooLarge { origin, limit: MAX_FILE });
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&origin, &error))?;
    let action = parse(&text, &origin)?;
    Ok((action, text))
}

/// The JSON Schema of action files.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(document::Document).to_value()
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn not_utf8(origin: &str, error: &std::string::FromUtf8Error) -> ActionFileError {
    let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let good = String::from_utf8_lossy(good);
    let line = good.matches('\n').count() + 1;
    let column = good.rsplit('\n').next().map_or(1, |last| last.chars().count() + 1);
    let fault = yaml::Fault::new(Some(Position { line, column }), "this is not UTF-8 text");
    invalid(origin, &good, &fault)
}

fn invalid(origin: &str, text: &str, fault: &yaml::Fault) -> ActionFileError {
    ActionFileError::Invalid(Box::new(Diagnostic::new(origin, text, fault)))
}

#[cfg(test)]
mod tests;
