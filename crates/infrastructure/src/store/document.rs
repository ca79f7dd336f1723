//! JSON of domain values, for the columns that hold a whole value: the payload of an event and
//! what the checks said.
//!
//! The domain knows no serde. Here each of its types has a definition that mirrors it (serde's
//! *remote* derive, so that a field added there breaks the build here), and texts that carry a
//! meaning of their own, such as ids and names, go through their parsers. Unknown fields are
//! refused: a payload of a later program is an error that names its row, not half an event.

mod change;
mod subplan;

use std::collections::BTreeMap;

use agents_domain::action::Automation;
use agents_domain::id::{IntentId, PlanId};
use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{
    Change, Exit, Failure, InterruptCause, Origin, Phase, Saved, Spawned, Validation, Work,
};
use agents_domain::subplan::{GivenUp, Subplan};
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::change::ChangeDefinition;
use self::subplan::{GivenUpDefinition, SpawnedDefinition, SubplanDefinition};

/// The version of the payloads that [`change_to_json`] writes.
pub(crate) const SCHEMA_VERSION: i64 = 1;

/// A change as the payload of an event.
pub(crate) fn change_to_json(change: &Change) -> String {
    to_json(change)
}

/// The change of a payload.
pub(crate) fn change_from_json(json: &str) -> Result<Change, serde_json::Error> {
    from_json(json)
}

/// What the checks said, as a column.
pub(crate) fn validations_to_json(validations: &Vec<Validation>) -> String {
    to_json(validations)
}

/// What the checks said.
pub(crate) fn validations_from_json(json: &str) -> Result<Vec<Validation>, serde_json::Error> {
    from_json(json)
}

fn to_json<T: Document>(value: &T) -> String {
    serde_json::to_string(&value.to_form()).expect("these forms have text keys and no failing parts")
}

fn from_json<T: Document>(json: &str) -> Result<T, serde_json::Error> {
    let form = serde_json::from_str(json)?;
    T::from_form(form).map_err(serde_json::Error::custom)
}

/// A domain value that has a form which serde knows.
trait Document: Sized {
    type Form: Serialize + DeserializeOwned;
    fn to_form(&self) -> Self::Form;
    fn from_form(form: Self::Form) -> Result<Self, String>;
}

/// `#[serde(with = "form")]`: any [`Document`] as a field.
mod form {
    use super::{Deserialize as _, Deserializer, Document, Serialize as _, Serializer};

    pub(super) fn serialize<T: Document, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.to_form().serialize(to)
    }

    pub(super) fn deserialize<'de, T: Document, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::from_form(T::Form::deserialize(from)?).map_err(serde::de::Error::custom)
    }
}

impl<T: Document> Document for Option<T> {
    type Form = Option<T::Form>;
    fn to_form(&self) -> Self::Form {
        self.as_ref().map(T::to_form)
    }
    fn from_form(form: Self::Form) -> Result<Self, String> {
        form.map(T::from_form).transpose()
    }
}

impl<T: Document> Document for Vec<T> {
    type Form = Vec<T::Form>;
    fn to_form(&self) -> Self::Form {
        self.iter().map(T::to_form).collect()
    }
    fn from_form(form: Self::Form) -> Result<Self, String> {
        form.into_iter().map(T::from_form).collect()
    }
}

impl Document for BTreeMap<Name, Oid> {
    type Form = BTreeMap<String, String>;
    fn to_form(&self) -> Self::Form {
        self.iter().map(|(name, oid)| (name.to_form(), oid.to_form())).collect()
    }
    fn from_form(form: Self::Form) -> Result<Self, String> {
        form.into_iter().map(|(name, oid)| Ok((Name::from_form(name)?, Oid::from_form(oid)?))).collect()
    }
}

impl Document for Timestamp {
    type Form = i64;
    fn to_form(&self) -> i64 {
        self.as_millis()
    }
    fn from_form(form: i64) -> Result<Self, String> {
        Ok(Self::from_millis(form))
    }
}

/// Types that are a text with a parser.
macro_rules! texts {
    ($($type:ty),+ $(,)?) => {$(
        impl Document for $type {
            type Form = String;
            fn to_form(&self) -> String {
                self.as_str().to_owned()
            }
            fn from_form(form: String) -> Result<Self, String> {
                Self::parse(&form).map_err(|error| error.to_string())
            }
        }
    )+};
}

/// Types that are one word of a few.
macro_rules! words {
    ($($type:ty),+ $(,)?) => {$(
        impl Document for $type {
            type Form = String;
            fn to_form(&self) -> String {
                self.as_str().to_owned()
            }
            fn from_form(form: String) -> Result<Self, String> {
                Self::parse(&form).ok_or_else(|| format!("unknown word `{form}`"))
            }
        }
    )+};
}

/// Types with a definition below.
macro_rules! defined {
    ($($type:ident: $form:ident by $definition:literal),+ $(,)?) => {$(
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        struct $form(#[serde(with = $definition)] $type);

        impl Document for $type {
            type Form = $form;
            fn to_form(&self) -> $form {
                $form(self.clone())
            }
            fn from_form(form: $form) -> Result<Self, String> {
                Ok(form.0)
            }
        }
    )+};
}

texts!(Name, Oid, PlanId, IntentId);
words!(Phase, Automation, InterruptCause);
defined!(
    Change: ChangeForm by "ChangeDefinition",
    Holder: HolderForm by "HolderDefinition",
    Failure: FailureForm by "FailureDefinition",
    Exit: ExitForm by "ExitDefinition",
    Work: WorkForm by "WorkDefinition",
    Saved: SavedForm by "SavedDefinition",
    Validation: ValidationForm by "ValidationDefinition",
    Intent: IntentForm by "IntentDefinition",
    Origin: OriginForm by "OriginDefinition",
    Spawned: SpawnedForm by "SpawnedDefinition",
    Subplan: SubplanForm by "SubplanDefinition",
    GivenUp: GivenUpForm by "GivenUpDefinition",
);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Holder", deny_unknown_fields)]
struct HolderDefinition {
    host: String,
    boot_id: String,
    pid_namespace: String,
    pid: u32,
    started: u64,
    user: String,
    operation: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure", deny_unknown_fields)]
struct FailureDefinition {
    code: String,
    message: String,
    hint: Option<String>,
    retryable: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Exit", rename_all = "snake_case")]
enum ExitDefinition {
    Code(i32),
    Signal(i32),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Work", deny_unknown_fields)]
struct WorkDefinition {
    #[serde(with = "form")]
    project: Name,
    #[serde(with = "form")]
    saved: Saved,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Saved", rename_all = "snake_case", deny_unknown_fields)]
enum SavedDefinition {
    Snapshot {
        reference: String,
        #[serde(with = "form")]
        commit: Oid,
        kept: Option<String>,
    },
    Directory {
        reason: String,
    },
    Pending {
        host: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Validation", deny_unknown_fields)]
struct ValidationDefinition {
    name: String,
    #[serde(with = "form")]
    project: Name,
    required: bool,
    passed: bool,
    message: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Intent", deny_unknown_fields)]
struct IntentDefinition {
    #[serde(with = "form")]
    id: IntentId,
    #[serde(with = "form")]
    project: Name,
    reference: String,
    #[serde(with = "form")]
    old: Oid,
    #[serde(with = "form")]
    new: Oid,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Origin", deny_unknown_fields)]
struct OriginDefinition {
    name: Option<String>,
    #[serde(with = "form")]
    action: Name,
    #[serde(with = "form")]
    automation: Automation,
    #[serde(with = "form")]
    projects: Vec<Name>,
    // Under the key of the first release, when no plan had a parent.
    #[serde(with = "form", rename = "parent")]
    subplan: Option<Subplan>,
}

#[cfg(test)]
#[path = "document/tests.rs"]
mod tests;
