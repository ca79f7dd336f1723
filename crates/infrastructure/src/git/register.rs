//! A remote, before it becomes a project's: which one is meant, and whether plans can land on it.

use std::path::Path;

use agents_domain::workspace::{Project, WorkspaceError};

use super::command::{At, Git};
use super::failure::unsuitable;
use super::output;
use super::remote::Far;

/// The URL that is meant: that of the checkout's remote of this name, or the text itself. A path
/// becomes absolute. One that holds a password is refused: it would be stored, and shown.
pub fn chosen_remote(git: &Git, root: &Path, asked: &str) -> Result<String, WorkspaceError> {
    git.check()?;
    let at = git.directory(root);
    let named = if asked.starts_with('-') { None } else { url_of(&at, asked)? };
    let url = match named {
        Some(url) => url,
        None if asked.contains(['/', ':']) && !asked.starts_with('-') => asked.to_owned(),
        None => return Err(unsuitable(root, unknown(&at, asked)?)),
    };
    if has_password(&url) {
        let reason = "the URL of its remote holds a password, which would be stored; \
                      leave it out and give it to a credential helper of git";
        return Err(unsuitable(root, reason));
    }
    Ok(if is_path(&url) { root.join(url).display().to_string() } else { url })
}

/// Whether plans can land on the project's remote from this machine: it is within reach, has the
/// branch, and takes pushes that move several refs or none. Nothing moves there.
pub fn check_remote(git: &Git, project: &Project) -> Result<(), WorkspaceError> {
    let Some(far) = Far::of(git, project)? else { return Ok(()) };
    let target = far.target()?;
    far.try_push(&target)
}

fn url_of(at: &At<'_>, name: &str) -> Result<Option<String>, WorkspaceError> {
    // Not `git remote get-url`: it would apply `insteadOf`, which is this user's.
    let key = format!("remote.{name}.url");
    let found = at.call(&["config", "--get"]).args([key]).run_or(&[1])?;
    Ok(Some(output::text(&found.stdout)).filter(|url| !url.is_empty()))
}

fn unknown(at: &At<'_>, asked: &str) -> Result<String, WorkspaceError> {
    let known = output::text(&at.call(&["remote"]).run()?).lines().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
    Ok(format!("it has no remote `{asked}`, and that is no URL; {known}"))
}

/// Neither `scheme://` nor `host:path`: a colon before the first slash makes a host.
fn is_path(url: &str) -> bool {
    let before_slash = url.split('/').next().unwrap_or_default();
    !before_slash.contains(':')
}

fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_paths_are_told_apart() {
        assert!(has_password("https://ann:secret@host/x.git"));
        for url in ["https://ann@host:8443/x.git", "ssh://git@host/x", "git@host:x.git", "/srv/x:y@z"] {
            assert!(!has_password(url), "{url}");
        }
        assert!(is_path("../x.git") && is_path("/srv/x.git") && is_path("x/y:z"));
        assert!(!is_path("git@host:x.git") && !is_path("file:///srv/x.git"));
    }
}
