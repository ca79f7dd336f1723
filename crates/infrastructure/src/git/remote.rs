//! Speaking with the remote of a project: looking, fetching, pushing.
//!
//! - Nobody is asked anything: no terminal, no window, and ssh in batch mode. Silence ends: a server
//!   that accepts a connection and says nothing is given up after a minute, and whatever it is that takes
//!   so long, a hook there included, after the time that is set for it (`deadline`).
//! - What is fetched is kept in refs of our own, `refs/agents/remote/<project>/…`; the user's branches
//!   and remote-tracking branches stay as they are.
//! - Every push is a compare-and-swap, all refs or none. What came of one that failed is asked of the
//!   remote, never guessed ([`Push`]).

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, Remote, WorkspaceError};

use super::answers::{self, Answer};
use super::command::{At, Git};
use super::{deadline, output, refs};

/// The remote of a project, seen from a repository of this machine.
pub(super) struct Far<'a> {
    /// The repository here.
    pub(super) at: At<'a>,
    speaking: At<'a>,
    limit: Duration,
    project: &'a Project,
    pub(super) remote: &'a Remote,
}

/// What came of a push.
pub(super) enum Push {
    /// All refs are where they were to go.
    Done,
    /// The remote said no, and why: nothing has moved. Whether it will say so again is told by the error.
    Refused(WorkspaceError),
    /// It failed, and this is what is known; the remote may still be at it.
    Broken(String),
}

impl Push {
    /// Where nothing will do but success.
    pub(super) fn done(self, far: &Far<'_>) -> Result<(), WorkspaceError> {
        match self {
            Self::Done => Ok(()),
            Self::Refused(error) => Err(error),
            Self::Broken(why) => Err(far.cannot(why)),
        }
    }
}

/// Refs by their names.
pub(super) type Refs = BTreeMap<String, Oid>;

impl<'a> Far<'a> {
    /// The remote, if the project has one.
    pub(super) fn of(git: &'a Git, project: &'a Project) -> Result<Option<Self>, WorkspaceError> {
        let Some(remote) = &project.remote else { return Ok(None) };
        let at = git.repository(&project.common_dir);
        let speaking = quietly(git, &at)?;
        Ok(Some(Self { at, speaking, limit: git.remote_limit(), project, remote }))
    }

    /// Where these refs are there now; one that is not there is left out. `^{}` behind a name asks what a tag
    /// of that name leads to; one that ends with `*` asks for all that begin so.
    pub(super) fn look(&self, names: &[&str]) -> Result<Refs, WorkspaceError> {
        let call = self.speaking.call(&["ls-remote", "--quiet"]);
        let answer = call.args(["--", &self.remote.url]).args(names).output()?;
        if !answer.status.success() {
            return Err(self.unusable(&output::text(&answer.stderr)));
        }
        let mut found = Refs::new();
        // The program matches the ends of names; only whole names count.
        for line in output::text(&answer.stdout).lines() {
            if let Some((id, name)) = line.split_once('\t')
                && names.iter().any(|asked| match asked.strip_suffix('*') {
                    Some(beginning) => name.starts_with(beginning),
                    None => name == *asked,
                })
            {
                found.insert(name.to_owned(), output::oid(id.as_bytes(), "ls-remote", self.at.dir)?);
            }
        }
        Ok(found)
    }

    /// Brings the commits of these refs here, if they are not.
    pub(super) fn bring(&self, wanted: &Refs) -> Result<(), WorkspaceError> {
        let mut lacking = Vec::new();
        for (name, commit) in wanted {
            if !refs::exists(&self.at, commit)? {
                lacking.push(format!("+{name}:{}", self.kept(name)));
            }
        }
        if lacking.is_empty() { Ok(()) } else { self.fetch(&lacking) }
    }

    /// Fetches by these refspecs, one process at a time.
    pub(super) fn fetch(&self, refspecs: &[String]) -> Result<(), WorkspaceError> {
        self.fetching(&["--no-prune"], refspecs)
    }

    /// Fetches all refs of a kind into refs of our own, and removes those there that the remote has not any
    /// more: one called `a` would be in the way of one called `a/b`. Nothing else is removed.
    pub(super) fn fetch_all(&self, theirs: &str, ours: &str) -> Result<(), WorkspaceError> {
        self.fetching(&["--prune"], &[format!("+{theirs}:{ours}")])
    }

    fn fetching(&self, options: &[&str], refspecs: &[String]) -> Result<(), WorkspaceError> {
        let _held = self.alone()?;
        // Whatever the user has configured: tags are the user's.
        let speaking = self.speaking.set("fetch.pruneTags=false");
        let always = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
        let call = speaking.call(&always).args(options).args(["--no-auto-maintenance", "--"]);
        let answer = call.args([&self.remote.url]).args(refspecs).output()?;
        if answer.status.success() { Ok(()) } else { Err(self.unusable(&output::text(&answer.stderr))) }
    }

    /// Removes, of the commits that were shared for landings, those of that plan. It has come to its end,
    /// and who died between sharing and deciding has left them.
    pub(super) fn forget_shared(&self, plan: PlanId) -> Result<(), WorkspaceError> {
        let shared = self.look(&["refs/agents/intended/*"])?;
        let lacking = shared.iter().map(|(name, at)| Ok((name, refs::exists(&self.at, at)?)));
        let lacking = lacking.collect::<Result<Vec<_>, WorkspaceError>>()?;
        // Into no ref: they are wanted for their messages only.
        let lacking: Vec<_> =
            lacking.into_iter().filter(|(_, here)| !here).map(|(name, _)| name.clone()).collect();
        if !lacking.is_empty() {
            self.fetch(&lacking)?;
        }
        for (name, commit) in &shared {
            let format = "--format=%(trailers:key=Agents-Plan,valueonly)";
            let of = self.at.call(&["log", "-1", format, commit.as_str()]).run()?;
            if output::text(&of).trim() == plan.as_str() {
                self.remove(name, commit)?;
            }
        }
        Ok(())
    }

    /// Where that ref was there when this machine last looked, or moved it.
    pub(super) fn known(&self, name: &str) -> Result<Option<Oid>, WorkspaceError> {
        refs::read(&self.at, &self.kept(name))
    }

    /// Notes where that ref is there now.
    pub(super) fn note(&self, name: &str, at: Option<&Oid>) -> Result<(), WorkspaceError> {
        let (kept, known) = (self.kept(name), self.known(name)?);
        match (at, known) {
            (Some(at), known) if known.as_ref() != Some(at) => {
                refs::swap(&self.at, &kept, known.as_ref(), at, "agents: seen on the remote")
            }
            (None, Some(known)) => refs::delete(&self.at, &kept, &known),
            _ => Ok(()),
        }
    }

    /// Waits for whoever else fetches into this repository.
    fn alone(&self) -> Result<File, WorkspaceError> {
        let (path, limit) = (self.project.common_dir.join("agents-remote.lock"), self.limit);
        deadline::hold(&path, limit)?.ok_or_else(|| {
            let lock = path.display();
            self.cannot(format!("another process fetches from it, since {} ({lock})", deadline::shown(limit)))
        })
    }

    /// One push, of all these refspecs or of none. `expected`: where each ref must be now, `None`:
    /// nowhere.
    pub(super) fn push(
        &self,
        refspecs: &[String],
        expected: &[(&str, Option<&Oid>)],
    ) -> Result<Push, WorkspaceError> {
        let answer = self.pushing(refspecs, expected, &[])?;
        if answer.status.success() {
            return Ok(Push::Done);
        }
        let (told, said) = (output::text(&answer.stdout), output::text(&answer.stderr));
        let refusals: Vec<_> = told.lines().filter_map(answers::refusal).collect();
        if refusals.is_empty() || refusals.iter().any(|why| why.starts_with("[remote failure]")) {
            let answer = answers::of_trouble(&said, is_here(&self.remote.url));
            // Who is not let in has asked for nothing.
            return Ok(match answer.remedy {
                Some(_) => Push::Refused(self.as_told(answer)),
                None => Push::Broken(answer.told),
            });
        }
        Ok(Push::Refused(self.as_told(answers::of_refusals(&said, &refusals))))
    }

    /// Removes a ref there that is at `tip`. One that is gone is fine.
    pub(super) fn remove(&self, name: &str, tip: &Oid) -> Result<(), WorkspaceError> {
        if !self.look(&[name])?.contains_key(name) {
            return Ok(());
        }
        self.push(&[format!(":{name}")], &[(name, Some(tip))])?.done(self)
    }

    fn pushing(
        &self,
        refspecs: &[String],
        expected: &[(&str, Option<&Oid>)],
        options: &[&str],
    ) -> Result<std::process::Output, WorkspaceError> {
        let leases = expected.iter().map(|(name, at)| {
            format!("--force-with-lease={name}:{}", at.map(Oid::as_str).unwrap_or_default())
        });
        let quiet = ["push", "--porcelain", "--atomic", "--no-verify", "--no-follow-tags", "--no-signed"];
        let call = self.speaking.call(&quiet).args(["--recurse-submodules=no"]).args(options).args(leases);
        call.args(["--", &self.remote.url]).args(refspecs).output()
    }

    /// Whether the remote takes pushes of several refs, all or none, from here. Nothing moves there.
    pub(super) fn try_push(&self, commit: &Oid) -> Result<(), WorkspaceError> {
        let probe = format!("{commit}:refs/agents/landed/probe");
        let answer = self.pushing(&[probe], &[], &["--dry-run"])?;
        if answer.status.success() { Ok(()) } else { Err(self.unusable(&output::text(&answer.stderr))) }
    }

    /// Where the project's branch is there; its commit is here afterwards.
    pub(super) fn target(&self) -> Result<Oid, WorkspaceError> {
        let name = self.project.target_ref();
        let seen = self.look(&[&name])?;
        self.bring(&seen)?;
        let (project, branch) = (self.project.name.clone(), self.project.branch.clone());
        seen.get(&name).cloned().ok_or(WorkspaceError::NoBranch { project, branch })
    }

    /// Where a ref of the remote is kept here.
    fn kept(&self, name: &str) -> String {
        // In one component: a name that was `a` must not be in the way of one that is `a/b`.
        let below = name.strip_prefix("refs/").unwrap_or(name).replace('/', "%");
        format!("refs/agents/remote/{}/{below}", refs::component(&self.project.name))
    }

    /// The remote cannot be used, as git says.
    pub(super) fn unusable(&self, said: &str) -> WorkspaceError {
        self.as_told(answers::of_trouble(said, is_here(&self.remote.url)))
    }

    fn as_told(&self, answer: Answer) -> WorkspaceError {
        as_told(self.project, self.remote, answer)
    }

    /// The remote cannot be used, in words of ours.
    pub(super) fn cannot(&self, reason: String) -> WorkspaceError {
        let (project, url) = (self.project.name.clone(), self.remote.url.clone());
        WorkspaceError::Remote { project, url, reason }
    }
}

/// How long object ids are in a remote of which there is no repository here yet.
pub(super) fn length_of_ids(git: &Git, project: &Project, remote: &Remote) -> Result<usize, WorkspaceError> {
    let at = git.directory(std::path::Path::new("/"));
    let answer = quietly(git, &at)?
        .call(&["ls-remote", "--quiet", "--", &remote.url])
        .args(["HEAD", &project.target_ref()])
        .output()?;
    if !answer.status.success() {
        let answer = answers::of_trouble(&output::text(&answer.stderr), is_here(&remote.url));
        return Err(as_told(project, remote, answer));
    }
    let said = output::text(&answer.stdout);
    Ok(said.split('\t').next().map_or(0, str::len))
}

/// The error of what a remote said.
fn as_told(project: &Project, remote: &Remote, answer: Answer) -> WorkspaceError {
    let (project, url, reason) = (project.name.clone(), remote.url.clone(), answer.told);
    match answer.remedy {
        Some(remedy) => WorkspaceError::RemoteRefused { project, url, reason, remedy: remedy.to_owned() },
        None => WorkspaceError::Remote { project, url, reason },
    }
}

/// Whether it is a directory of this machine.
fn is_here(url: &str) -> bool {
    url.starts_with('/') || url.starts_with("file://")
}

/// The same place, for commands that speak with a remote.
fn quietly<'a>(git: &Git, at: &At<'a>) -> Result<At<'a>, WorkspaceError> {
    let ssh = match git.caller_ssh() {
        Some(ssh) => ssh,
        None => output::text(&at.call(&["config", "--get", "core.sshCommand"]).run_or(&[1])?.stdout),
    };
    let ssh = if ssh.trim().is_empty() { "ssh".to_owned() } else { ssh };
    let quiet = at
        .with("GIT_SSH_COMMAND", in_batch_mode(&ssh))
        // Set, and empty: neither the variable of ssh nor the setting counts any more.
        .with("GIT_ASKPASS", "")
        .with("SSH_ASKPASS_REQUIRE", "never");
    let settings = ["credential.interactive=false", "http.lowSpeedLimit=1", "http.lowSpeedTime=60"];
    Ok(settings.into_iter().fold(quiet, |at, setting| at.set(setting)).within(git.remote_limit()))
}

/// The caller's program with options of ours, if it is one that knows them.
fn in_batch_mode(ssh: &str) -> String {
    const OPTIONS: &str =
        "-o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4";
    let program = ssh.split_whitespace().next().unwrap_or_default();
    let is_openssh = program.rsplit('/').next() == Some("ssh");
    if is_openssh { format!("{ssh} {OPTIONS}") } else { ssh.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssh_asks_nothing_and_another_program_is_left_alone() {
        assert!(in_batch_mode("ssh -i key").starts_with("ssh -i key -o BatchMode=yes"));
        assert!(in_batch_mode("/usr/bin/ssh").contains("BatchMode"));
        assert_eq!(in_batch_mode("plink -batch"), "plink -batch");
    }
}
