//! Who commits: the user as git is configured, else a documented default.
//!
//! Without a configured address git guesses one from the host's name, or fails. Both are bad for
//! a program that works unattended: the default is `agents <agents@localhost>`.

use agents_domain::workspace::WorkspaceError;

use super::command::At;

const NAME: &str = "agents";
const EMAIL: &str = "agents@localhost";

/// The same place, able to commit: identities that are not configured become the default.
pub(super) fn with_identity<'a>(at: &At<'a>) -> Result<At<'a>, WorkspaceError> {
    let roles = [
        ("GIT_AUTHOR_IDENT", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"),
        ("GIT_COMMITTER_IDENT", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
    ];
    let strict = at
        .with("GIT_CONFIG_COUNT", "1")
        .with("GIT_CONFIG_KEY_0", "user.useConfigOnly")
        .with("GIT_CONFIG_VALUE_0", "true");
    let mut able = at.clone();
    for (variable, name, email) in roles {
        if !strict.call(&["var", variable]).output()?.status.success() {
            able = able.with(name, NAME).with(email, EMAIL);
        }
    }
    Ok(able)
}
