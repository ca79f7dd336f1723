//! Where a project's repository is on this machine: under the user's checkout, or a bare mirror.
//!
//! A mirror is `<state>/mirrors/<project>-<hash of the URL>.git`, made when it is first needed and
//! filled by fetches of single refs (`remote`). It notes which URL it is of: another repository is
//! never taken for it. Making it is guarded by a file lock beside it and may be repeated after a crash.

use std::fs;
use std::path::{Path, PathBuf};

use agents_domain::workspace::{Machine, Project, Remote, Site, WorkspaceError};

use super::command::Git;
use super::failure::{io, unsuitable};
use super::{deadline, output, remote};

/// The setting that says which URL a mirror is of.
const URL: &str = "agents.url";

/// Where repositories are, seen from one machine.
#[derive(Debug, Clone)]
pub struct Grounds {
    machine: Option<Machine>,
    mirrors: PathBuf,
}

impl Grounds {
    /// Mirrors live below `state_dir`; without a machine, every project is under its checkout.
    pub fn new(machine: Option<Machine>, state_dir: &Path) -> Self {
        Self { machine, mirrors: state_dir.join("mirrors") }
    }

    /// The project as it is here: with the paths of the mirror, if that is where it is worked on.
    /// Blocks; makes the mirror if there is none yet. [`WorkspaceError::NotHere`] if it is at home on
    /// another machine.
    pub fn here(&self, git: &Git, project: &Project) -> Result<Project, WorkspaceError> {
        let Some(machine) = &self.machine else { return Ok(project.clone()) };
        project.is_here(machine)?;
        match project.site(machine) {
            Site::Mirror(remote) => {
                let dir = self.mirror(git, project, remote)?;
                Ok(Project { path: dir.clone(), common_dir: dir, ..project.clone() })
            }
            Site::Checkout | Site::Elsewhere(_) => Ok(project.clone()),
        }
    }

    /// The same, but nothing is made: `None` if there is no repository of it here.
    pub(super) fn found(&self, git: &Git, project: &Project) -> Result<Option<Project>, WorkspaceError> {
        match self.machine.as_ref().map(|machine| project.site(machine)) {
            Some(Site::Elsewhere(_)) => Ok(None),
            Some(Site::Mirror(remote)) if !is_of(git, &self.place(project, remote).1, remote)? => Ok(None),
            _ => self.here(git, project).map(Some),
        }
    }

    /// The name of a mirror, and its directory.
    fn place(&self, project: &Project, remote: &Remote) -> (String, PathBuf) {
        let (name, hash) = (&project.name, hash(&remote.url));
        let name = format!("{}~{}-{hash:016x}", name.namespace(), name.short());
        let dir = self.mirrors.join(format!("{name}.git"));
        (name, dir)
    }

    fn mirror(&self, git: &Git, project: &Project, remote: &Remote) -> Result<PathBuf, WorkspaceError> {
        let (name, dir) = self.place(project, remote);
        if !is_of(git, &dir, remote)? {
            fs::create_dir_all(&self.mirrors).map_err(io(&self.mirrors))?;
            let lock = self.mirrors.join(format!("{name}.lock"));
            let Some(_held) = deadline::hold(&lock, git.remote_limit())? else {
                return Err(unsuitable(
                    &dir,
                    "another process is making this mirror, and does not come to an end",
                ));
            };
            make(git, &dir, project, remote)?;
        }
        fs::canonicalize(&dir).map_err(io(&dir))
    }
}

/// Whether the mirror is there; an error if it is one of another URL.
fn is_of(git: &Git, dir: &Path, remote: &Remote) -> Result<bool, WorkspaceError> {
    if !dir.join("HEAD").is_file() {
        return Ok(false);
    }
    let noted = git.repository(dir).call(&["config", "--get", URL]).run_or(&[1])?;
    match output::text(&noted.stdout) {
        // The process that was making it died.
        noted if noted.is_empty() => Ok(false),
        noted if noted == remote.url => Ok(true),
        noted => Err(unsuitable(dir, format!("it is a mirror of {noted}, not of {}", remote.url))),
    }
}

fn make(git: &Git, dir: &Path, project: &Project, remote: &Remote) -> Result<(), WorkspaceError> {
    // Ids of objects are as long here as there.
    let length = remote::length_of_ids(git, project, remote)?;
    let format = if length == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
    let parent = dir.parent().unwrap_or(dir);
    let init = git.directory(parent).call(&["init", "--quiet", "--bare", "--template=", format]);
    init.args([dir.as_os_str()]).run()?;
    // The note comes last: with it, the mirror is there.
    git.repository(dir).call(&["config", URL]).args([&remote.url]).run().map(drop)
}

/// FNV-1a. Not for safety, the note is: only that two URLs of one name have different directories.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Whether there is a checkout beside the repository: a mirror has none.
pub(super) fn has_checkout(project: &Project) -> bool {
    project.path != project.common_dir
}
