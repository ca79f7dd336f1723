//! The environment of a command: the caller's, scrubbed, and what the plan adds.
//!
//! Later wins: the caller's variables (less the stripped ones and every `GIT_…`, by which a
//! repository, index or identity of the caller would leak into the worktree), those named by
//! `env_from`, those of the context, the run's marker. A stripped name is handed on to nobody, not
//! even through `env_from`, for which it counts as not set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use agents_domain::runner::{Context, RunError};

use super::redact::Secret;

/// Variables, by name.
pub(super) type Variables = BTreeMap<OsString, OsString>;

/// The caller's environment, and what is never handed on.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// Less the stripped names.
    caller: Variables,
}

impl Environment {
    /// The caller's environment less these names.
    pub(super) fn new(caller: impl IntoIterator<Item = (OsString, OsString)>, strip: &[&str]) -> Self {
        let kept = |name: &OsString| !strip.iter().any(|stripped| name == *stripped);
        Self { caller: caller.into_iter().filter(|(name, _)| kept(name)).collect() }
    }

    /// What a guard, or a command without additions, gets.
    pub(super) fn scrubbed(&self) -> Variables {
        let git = |name: &OsString| name.as_bytes().starts_with(b"GIT_");
        self.caller.iter().filter(|(name, _)| !git(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }

    /// What a command gets, and the values that its log must not show.
    pub(super) fn of(&self, context: &Context) -> Result<(Variables, Vec<Secret>), RunError> {
        let mut variables = self.scrubbed();
        let mut secrets = Vec::new();
        for name in &context.env_from {
            let key = OsString::from(name);
            let missing = || RunError::MissingVariable { name: name.clone() };
            let value = self.caller.get(&key).ok_or_else(missing)?;
            secrets.extend(Secret::new(name, value.as_bytes()));
            variables.insert(key, value.clone());
        }
        variables.extend(context.env.iter().map(|(name, value)| (name.into(), value.into())));
        Ok((variables, secrets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let caller = [("PATH", "/bin"), ("GIT_DIR", "/r"), ("KEY", "12345"), ("URL", "db"), ("PIN", "123")];
        Environment::new(caller.map(|(n, v)| (n.into(), v.into())), &["URL"])
    }

    fn context(from: &[&str], env: &[(&str, &str)]) -> Context {
        Context {
            env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            env_from: from.iter().map(|n| (*n).to_owned()).collect(),
            ..Context::default()
        }
    }

    #[test]
    fn the_callers_is_scrubbed_and_added_to() {
        let (variables, secrets) = environment()
            .of(&context(&["KEY", "GIT_DIR", "PIN"], &[("PATH", "/x"), ("NEW", "1")]))
            .expect("all set");
        let names: Vec<_> =
            variables.iter().map(|(n, v)| (n.to_str().expect("text"), v.to_str().expect("text"))).collect();
        assert_eq!(
            names,
            [("GIT_DIR", "/r"), ("KEY", "12345"), ("NEW", "1"), ("PATH", "/x"), ("PIN", "123")]
        );
        assert_eq!(secrets, [Secret::new("KEY", b"12345")].into_iter().flatten().collect::<Vec<_>>());
        assert!(!environment().scrubbed().contains_key("GIT_DIR".as_ref() as &std::ffi::OsStr));
    }

    #[test]
    fn what_is_not_set_or_stripped_is_missing() {
        for name in ["NOPE", "URL"] {
            let error = environment().of(&context(&[name], &[])).expect_err("missing");
            assert_eq!(error, RunError::MissingVariable { name: name.to_owned() });
        }
    }
}
