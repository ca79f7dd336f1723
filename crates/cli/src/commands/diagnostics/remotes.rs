//! Whether a project was registered with a secret in the URL of its remote, before such were refused.

use agents_domain::workspace::Project;
use agents_infrastructure::git;

use super::{Check, bad, failed, ok};
use crate::app::App;
use crate::remedy::quoted;

/// Read-only. The secret is not shown.
pub(super) fn check(app: &App) -> Check {
    let projects = match app.block_on(app.store.projects().list()) {
        Ok(projects) => projects,
        Err(error) => return failed("remotes", error.into()),
    };
    let found: Vec<_> = projects.iter().filter_map(|project| Some((project, secret_of(project)?))).collect();
    let Some((first, _)) = found.first() else { return ok("remotes", "no URL holds a secret") };
    let told = found.iter().map(|(project, what)| format!("the URL of {} holds {what}", project.name));
    bad("remotes", "warn", told.collect::<Vec<_>>().join("; "), &remedy(first))
}

/// What of the URL of a project is secret, or may be.
pub(in crate::commands) fn secret_of(project: &Project) -> Option<&'static str> {
    project.remote.as_ref().and_then(|remote| git::secret(&remote.url))
}

/// A URL is not changed: plans count on it.
fn remedy(project: &Project) -> String {
    let (name, path) = (&project.name, quoted(&project.path.display().to_string()));
    let remote = project.remote.as_ref();
    let url = remote.map(|remote| quoted(&git::without_secrets(&remote.url))).unwrap_or_default();
    let also = if remote.is_some_and(|remote| remote.push_snapshots) { " --push-snapshots" } else { "" };
    let branch = quoted(&project.branch);
    format!(
        "make it worthless on the server, and give git a credential helper; once no plan of it is under way: \
         `agents project remove {name}`, then where it is at home \
         `agents project add {path} --name {name} --branch {branch} --remote {url}{also}`"
    )
}

#[cfg(test)]
mod tests {
    use agents_domain::name::Name;
    use agents_domain::workspace::Remote;

    use super::*;

    #[test]
    fn the_remedy_parses_and_shows_no_secret() {
        let project = Project {
            name: Name::parse("local/site").expect("valid"),
            path: "/srv/the site".into(),
            common_dir: "/srv/the site/.git".into(),
            branch: "main".to_owned(),
            machine: None,
            remote: Some(Remote {
                url: "https://ann:s3cret@far/x?t=s3cret".to_owned(),
                push_snapshots: true,
            }),
        };
        assert_eq!(secret_of(&project), Some("a password"));
        let told = remedy(&project);
        assert_eq!(crate::remedy::commands(&told).len(), 2);
        crate::remedy::check_hint(&told).expect("parses");
        assert!(told.contains("--remote https://far/x --push") && !told.contains("s3cret"), "{told}");
    }
}
