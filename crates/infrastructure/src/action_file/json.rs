//! One subplan as a JSON object: the same keys and rules as of an item in an action file.

use std::collections::BTreeMap;

use agents_domain::subplan::SubplanItem;
use serde::de::IgnoredAny;

use super::document::ItemEntry;
use super::{check, yaml};

/// Reads one object; what is wrong with it, in words.
pub(crate) fn item(text: &str) -> Result<SubplanItem, String> {
    // Serde would take a list for the object, its values in the order of the keys.
    if !text.trim_start().starts_with('{') {
        return Err("a JSON object is expected, such as {\"name\": \"api\", \"action\": \"fix\"}".to_owned());
    }
    let entry: ItemEntry = serde_json::from_str(text).map_err(|error| in_words(text, &error))?;
    check::item(entry).map_err(|fault| fault.message)
}

fn in_words(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "the line ends before its object does".to_owned();
    }
    if error.is_data() {
        // That it is one object is all that is asked of it now.
        let keys: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).unwrap_or_default();
        if let Some(key) = keys.keys().find(|key| !ItemEntry::KEYS.contains(&key.as_str())) {
            return yaml::unknown("field", key, &ItemEntry::KEYS);
        }
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let reason = message.strip_suffix(&place).unwrap_or(&message);
    format!("column {}: {reason}", error.column())
}
