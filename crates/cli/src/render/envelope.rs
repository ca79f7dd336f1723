//! The JSON envelope: one document for each command, on failure too.
//!
//! Fields are only ever added within a schema version.

use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;

/// The version of everything that `--json` writes.
const SCHEMA_VERSION: u32 = 1;

/// The document of a command that did its work.
pub(super) fn success(command: &str, exit: Exit, data: &Value, messages: &[String]) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "status": "ok",
        "exit_code": exit.code(),
        "data": data,
        "messages": messages,
    })
}

/// The document of a command that failed. Several hints are one a line.
pub(super) fn failure(command: &str, failure: &Failure) -> Value {
    let hint = (!failure.hints.is_empty()).then(|| failure.hints.join("\n"));
    json!({
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "status": "error",
        "exit_code": failure.exit.code(),
        "error": {
            "code": failure.code,
            "message": failure.message,
            "hint": hint,
            "retryable": failure.retryable,
            "causes": failure.causes,
            "details": failure.details,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_has_data_and_messages() {
        let document = success("plan.status", Exit::Done, &json!({"a": 1}), &["done".to_owned()]);
        let expected = json!({
            "schema_version": 1, "command": "plan.status", "status": "ok", "exit_code": 0,
            "data": {"a": 1}, "messages": ["done"],
        });
        assert_eq!(document, expected);
    }

    #[test]
    fn failure_has_an_error_and_no_data() {
        let failed = Failure::new(Exit::Conflict, "lock_conflict", "locked")
            .retry()
            .hint("a")
            .hint("b")
            .cause("by ada");
        let expected = json!({
            "schema_version": 1, "command": "plan.execute", "status": "error", "exit_code": 4,
            "error": {"code": "lock_conflict", "message": "locked", "hint": "a\nb", "retryable": true,
                      "causes": ["by ada"], "details": null},
        });
        assert_eq!(failure("plan.execute", &failed), expected);
        assert_eq!(failure("x", &Failure::internal("y"))["error"]["hint"], Value::Null);
    }
}
