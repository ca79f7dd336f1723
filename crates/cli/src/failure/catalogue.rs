//! Failures of names, ids, keys and removals.

use agents_domain::catalogue::Removal;
use agents_domain::id::InvalidId;
use agents_domain::lock::InvalidKey;
use agents_domain::name::InvalidName;
use agents_domain::time::TtlOutOfBounds;

use crate::args::value::InvalidValue;
use crate::exit::Exit;
use crate::failure::Failure;

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        let code = match &error {
            InvalidName::Malformed { .. } => "invalid_name",
            InvalidName::Reserved { .. } => "reserved_namespace",
        };
        Self::new(Exit::Usage, code, error.to_string())
    }
}

impl From<InvalidId> for Failure {
    fn from(error: InvalidId) -> Self {
        Self::new(Exit::Usage, "invalid_id", error.to_string())
    }
}

impl From<InvalidKey> for Failure {
    fn from(error: InvalidKey) -> Self {
        Self::new(Exit::Usage, "invalid_key", error.to_string()).hint("agents lock list")
    }
}

impl From<TtlOutOfBounds> for Failure {
    fn from(error: TtlOutOfBounds) -> Self {
        Self::new(Exit::Usage, "invalid_ttl", error.to_string())
    }
}

impl From<InvalidValue> for Failure {
    fn from(error: InvalidValue) -> Self {
        Self::new(Exit::Usage, "invalid_value", error.to_string())
    }
}

impl Failure {
    /// What a removal came to, `what` being `project local/api`. Gone is what was wanted.
    pub fn check_removal(what: &str, removal: &Removal) -> Result<(), Self> {
        match removal {
            Removal::Removed => Ok(()),
            Removal::Missing => Err(Self::not_found("not_found", format!("there is no {what}"))),
            Removal::InUse { by } => {
                Err(Self::new(Exit::Refused, "in_use", format!("{what} is still in use by {by}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agents_domain::lock::LockKey;
    use agents_domain::name::Name;
    use agents_domain::time::Ttl;
    use std::time::Duration;

    #[test]
    fn malformed_text_of_every_kind_is_usage() {
        let failures: [Failure; 6] = [
            Name::parse("A").expect_err("malformed").into(),
            Name::parse("root/a").expect_err("reserved").into(),
            agents_domain::id::PlanId::parse("x").expect_err("no id").into(),
            LockKey::parse("x").expect_err("no key").into(),
            Ttl::new(Duration::ZERO).expect_err("too short").into(),
            InvalidValue::Blank.into(),
        ];
        assert!(failures.iter().all(|failure| failure.exit == Exit::Usage && !failure.retryable));
        let codes = failures.each_ref().map(|failure| failure.code);
        let expected = [
            "invalid_name",
            "reserved_namespace",
            "invalid_id",
            "invalid_key",
            "invalid_ttl",
            "invalid_value",
        ];
        assert_eq!(codes, expected);
        for hint in failures.iter().flat_map(|failure| &failure.hints) {
            crate::remedy::check_hint(hint).expect("parses");
        }
    }

    #[test]
    fn a_removal_that_did_nothing_is_a_failure() {
        assert_eq!(Failure::check_removal("project local/a", &Removal::Removed), Ok(()));
        let missing = Failure::check_removal("project local/a", &Removal::Missing).expect_err("missing");
        assert_eq!((missing.exit, missing.message.as_str()), (Exit::NotFound, "there is no project local/a"));
        let used = Removal::InUse { by: "plan 01".to_owned() };
        assert_eq!(Failure::check_removal("project local/a", &used).expect_err("used").exit, Exit::Refused);
    }
}
