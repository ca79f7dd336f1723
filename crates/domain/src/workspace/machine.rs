//! Machines, and on which of them a project can be worked on.
//!
//! A project without a remote is at home where it was registered: its path means nothing elsewhere,
//! and a repository that happens to be there is another one. A project with a remote can be worked on
//! anywhere: where there is no checkout, in a mirror. The decision is pure: it looks at what is
//! recorded, never at a disk.

use thiserror::Error;

use crate::name::Name;
use crate::workspace::Project;

/// A machine among those that share a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    /// What tells it from others: the system's machine id, or what was configured.
    pub id: String,
    /// Its name, for people, and in the records of attempts.
    pub host: String,
}

/// A repository that several machines share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Where it is, as git understands it; no password is in it.
    pub url: String,
    /// Whether snapshots of attempts go there too. Failed attempts may hold secrets.
    pub push_snapshots: bool,
}

/// Where a project is worked on, seen from one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site<'a> {
    /// In the repository of the user's checkout.
    Checkout,
    /// In a mirror of its remote.
    Mirror(&'a Remote),
    /// Nowhere here: it is at home on that machine.
    Elsewhere(&'a Machine),
}

/// A project that is at home on another machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{project} has no remote, so it can be worked on only on the machine {} ({}), where it was registered", machine.host, machine.id)]
pub struct NotHere {
    /// The project.
    pub project: Name,
    /// Its machine.
    pub machine: Machine,
}

impl Project {
    /// Where it is worked on, seen from `here`.
    pub fn site(&self, here: &Machine) -> Site<'_> {
        match (&self.machine, &self.remote) {
            (Some(machine), _) if machine.id == here.id => Site::Checkout,
            // Registered before machines were told apart, when there was only one.
            (None, None) => Site::Checkout,
            (_, Some(remote)) => Site::Mirror(remote),
            (Some(machine), None) => Site::Elsewhere(machine),
        }
    }

    /// Whether it can be worked on from `here`.
    pub fn is_here(&self, here: &Machine) -> Result<(), NotHere> {
        match self.site(here) {
            Site::Checkout | Site::Mirror(_) => Ok(()),
            Site::Elsewhere(machine) => Err(NotHere { project: self.name.clone(), machine: machine.clone() }),
        }
    }
}

/// Whether a plan on these projects can be worked on from `here`; the first that cannot says where it
/// is at home.
pub fn all_here(projects: &[Project], here: &Machine) -> Result<(), NotHere> {
    projects.iter().try_for_each(|project| project.is_here(here))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: &str) -> Machine {
        Machine { id: id.to_owned(), host: format!("{id}-host") }
    }

    fn project(machine: Option<Machine>, url: Option<&str>) -> Project {
        Project {
            name: Name::parse("api").expect("valid"),
            path: "/api".into(),
            common_dir: "/api/.git".into(),
            branch: "main".to_owned(),
            machine,
            remote: url.map(|url| Remote { url: url.to_owned(), push_snapshots: false }),
        }
    }

    #[test]
    fn without_a_remote_a_project_is_bound_to_its_machine() {
        let bound = project(Some(machine("one")), None);
        assert_eq!(bound.site(&machine("one")), Site::Checkout);
        assert_eq!(bound.site(&machine("two")), Site::Elsewhere(&machine("one")));
        let refused = all_here(&[project(None, None), bound], &machine("two")).expect_err("elsewhere");
        assert_eq!(
            refused.to_string(),
            "local/api has no remote, so it can be worked on only on the machine one-host (one), \
             where it was registered"
        );
    }

    #[test]
    fn with_a_remote_it_is_a_mirror_elsewhere() {
        let shared = project(Some(machine("one")), Some("file:///r.git"));
        assert_eq!(shared.site(&machine("one")), Site::Checkout);
        assert!(
            matches!(shared.site(&machine("two")), Site::Mirror(remote) if remote.url == "file:///r.git")
        );
        assert_eq!(all_here(&[shared], &machine("two")), Ok(()));
    }

    #[test]
    fn one_registered_before_machines_were_told_apart_is_here() {
        assert_eq!(project(None, None).site(&machine("two")), Site::Checkout);
    }
}
