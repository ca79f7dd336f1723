//! A remote, before it becomes a project's: which one is meant, and whether plans can land on it.

use std::path::Path;

use agents_domain::workspace::{Project, WorkspaceError};

use super::command::{At, Git};
use super::failure::unsuitable;
use super::output;
use super::remote::Far;

/// The URL that is meant: that of the checkout's remote of this name, or the text itself. A path
/// becomes absolute. One that holds a password or what may be a token is refused: it would be stored, and shown.
pub fn chosen_remote(git: &Git, root: &Path, asked: &str) -> Result<String, WorkspaceError> {
    git.check()?;
    let at = git.directory(root);
    let named = if asked.starts_with('-') { None } else { url_of(&at, asked)? };
    let url = match named {
        Some(url) => url,
        None if asked.contains(['/', ':']) && !asked.starts_with('-') => asked.to_owned(),
        None => return Err(unsuitable(root, unknown(&at, asked)?)),
    };
    if let Some(secret) = secret(&url) {
        let reason = format!(
            "the URL of its remote holds {secret}, which would be stored; \
             leave it out and give it to a credential helper of git"
        );
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

/// What of a URL is secret, or may be. For the web a user's name is as good as a token, which many servers
/// take in its place; and no repository needs a query.
pub fn secret(url: &str) -> Option<&'static str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    match user {
        Some(user) if user.contains(':') => Some("a password"),
        Some(_) if web => Some("a user, who may be a token (a name is set by git's `credential.username`)"),
        _ if web && rest.contains(['?', '#']) => Some("a query, which may be a token"),
        _ => None,
    }
}

/// The URL less what [`secret`] finds in it.
pub fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| secret(url).is_some()) else {
        return url.to_owned();
    };
    let web = scheme.to_ascii_lowercase().starts_with("http");
    let end = rest.find(if web { &['?', '#'][..] } else { &[] }).unwrap_or(rest.len());
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let Some(at) = authority.rfind('@') else { return format!("{scheme}://{}", &rest[..end]) };
    // For ssh it is the user who is needed, and the password that is not.
    let user = authority[..at].split(':').next().filter(|_| !web).map(|user| format!("{user}@"));
    format!("{scheme}://{}{}", user.unwrap_or_default(), &rest[at + 1..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_paths_are_told_apart() {
        for url in ["https://ann:secret@host/x.git", "ssh://git:secret@host/x", "HTTP://a:b@host"] {
            assert_eq!(secret(url), Some("a password"), "{url}");
        }
        for url in ["https://ghp_secret@host:8443/x.git", "http://ann@host?x"] {
            assert!(secret(url).is_some_and(|what| what.starts_with("a user")), "{url}");
        }
        for url in ["https://host/x.git?private_token=secret", "https://host/x#secret", "http://host?a@b"] {
            assert!(secret(url).is_some_and(|what| what.starts_with("a query")), "{url}");
        }
        for url in ["https://host:8443/x@y.git", "ssh://git@host/x", "git@host:x.git", "/srv/x:y@z?"] {
            assert_eq!(secret(url), None, "{url}");
        }
        for (url, clean) in [
            ("https://ann:s@host:8443/x@y.git", "https://host:8443/x@y.git"),
            ("HTTP://tok@host/x?t=1", "HTTP://host/x"),
            ("https://host/x#t", "https://host/x"),
            ("ssh://git:s@host/x", "ssh://git@host/x"),
            ("ssh://git@host/x?y", "ssh://git@host/x?y"),
            ("/srv/a:b@c", "/srv/a:b@c"),
        ] {
            assert_eq!(without_secrets(url), clean);
            assert_eq!(secret(clean), None);
        }
        assert!(is_path("../x.git") && is_path("/srv/x.git") && is_path("x/y:z"));
        assert!(!is_path("git@host:x.git") && !is_path("file:///srv/x.git"));
    }
}
