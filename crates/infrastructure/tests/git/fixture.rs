//! A repository with one commit, a home of its own, and a workspace on it.

#![expect(clippy::disallowed_methods, reason = "tests hand the caller's GIT_* to git")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use agents_domain::action::MergeStrategy;
use agents_domain::id::{IntentId, PlanId};
use agents_domain::lock::FencingToken;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, MergeRequest, Project, Slot, Snapshot, WorkspaceError, Worktrees};
use agents_infrastructure::git::{Git, GitWorkspace};
use tempfile::TempDir;

pub(crate) const PLAN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) repo: PathBuf,
    pub(crate) project: Project,
    pub(crate) workspace: GitWorkspace,
}

/// A git that sees no configuration but the one in `home`.
pub(crate) fn hermetic(home: &Path) -> Git {
    Git::default()
        .with_env("HOME", home)
        .with_env("XDG_CONFIG_HOME", home.join(".config"))
        .with_env("GIT_CONFIG_NOSYSTEM", "1")
        .with_env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"))
}

/// A script that is run in place of git.
pub(crate) fn script(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).expect("written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    path.to_owned()
}

/// A file that whoever reads waits at until somebody has written.
pub(crate) fn fifo(path: &Path) -> PathBuf {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
    path.to_owned()
}

/// Somebody has written into that [`fifo`].
pub(crate) async fn written(path: PathBuf) {
    let read = tokio::task::spawn_blocking(|| fs::read(path)).await;
    read.expect("it ran").expect("it is there");
}

/// Runs git as the user or the child would.
pub(crate) fn try_git(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("GIT_")) {
        command.env_remove(key);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command.args(["-c", "user.name=User", "-c", "user.email=user@example.com"]);
    command.args(["-c", "protocol.file.allow=always"]);
    command.arg("-C").arg(dir).args(args).output().expect("git runs")
}

pub(crate) fn git(dir: &Path, args: &[&str]) -> String {
    let output = try_git(dir, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

pub(crate) fn oid(dir: &Path, revision: &str) -> Oid {
    Oid::parse(&git(dir, &["rev-parse", "--verify", revision])).expect("an object id")
}

pub(crate) fn write(dir: &Path, file: &str, text: &str) {
    let path = dir.join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(path, text).expect("written");
}

pub(crate) fn read(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).expect("readable")
}

/// Commits everything in a checkout.
pub(crate) fn commit(dir: &Path, message: &str) -> Oid {
    git(dir, &["add", "-A"]);
    git(dir, &["commit", "-q", "--allow-empty", "-m", message]);
    oid(dir, "HEAD")
}

/// A fresh repository on `main` with `a`, `b` and a `.gitignore`.
pub(crate) fn repository(dir: &Path) {
    fs::create_dir_all(dir).expect("made");
    git(dir, &["init", "-q", "--template=", "-b", "main"]);
    write(dir, "a", "a1\n");
    write(dir, "b", "b1\n");
    write(dir, ".gitignore", "*.ignored\n.env\ntarget/\n");
    commit(dir, "first");
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(dir.path()).expect("canonical");
        let (repo, home) = (base.join("repo"), base.join("home"));
        repository(&repo);
        fs::create_dir_all(&home).expect("made");
        fs::write(home.join(".gitconfig"), "[user]\nname = Ann\nemail = ann@example.com\n").expect("written");
        let workspace = GitWorkspace::new(hermetic(&home), &base.join("state"));
        let project = Project {
            name: Name::parse("api").expect("valid"),
            path: repo.clone(),
            common_dir: repo.join(".git"),
            branch: "main".to_owned(),
            machine: None,
            remote: None,
        };
        Self { dir, repo, project, workspace }
    }

    pub(crate) fn base(&self) -> PathBuf {
        fs::canonicalize(self.dir.path()).expect("canonical")
    }

    pub(crate) fn git(&self) -> Git {
        hermetic(&self.base().join("home"))
    }

    /// Another value over the same state, as another process would have.
    pub(crate) fn workspace_with(&self, git: Git) -> GitWorkspace {
        GitWorkspace::new(git, &self.base().join("state"))
    }

    pub(crate) fn slot(&self, attempt: u32) -> Slot {
        Slot { plan: plan(), attempt, project: self.project.clone() }
    }

    /// Where an attempt's directory is, there or not.
    pub(crate) fn place(&self, attempt: u32) -> PathBuf {
        self.base().join(format!("state/worktrees/{PLAN}/{attempt}/local~api"))
    }

    pub(crate) fn head(&self) -> Oid {
        oid(&self.repo, "refs/heads/main")
    }

    /// Opens the first attempt at the head of `main`.
    pub(crate) async fn open(&self) -> PathBuf {
        self.workspace.open(&self.slot(1), &self.head(), &[]).await.expect("opened")
    }

    pub(crate) async fn try_snapshot(&self, copied: &[&str]) -> Result<Snapshot, WorkspaceError> {
        let copied: Vec<_> = copied.iter().map(|&name| name.to_owned()).collect();
        self.workspace.snapshot(&self.slot(1), &self.head(), token(7), &copied).await
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        self.try_snapshot(&[]).await.expect("a snapshot")
    }

    /// A commit beside the branch, with these files written on top of `main`.
    pub(crate) fn side_commit(&self, files: &[(&str, &str)]) -> Oid {
        let dir = self.base().join("side");
        git(&self.repo, &["worktree", "add", "-q", "--detach", "../side", "main"]);
        for (file, text) in files {
            write(&dir, file, text);
        }
        let made = commit(&dir, "side");
        git(&self.repo, &["worktree", "remove", "--force", "../side"]);
        made
    }

    pub(crate) fn request(&self, tip: &Oid, strategy: MergeStrategy) -> MergeRequest {
        let (project, tip) = (self.project.clone(), tip.clone());
        let message = "fix: it".to_owned();
        MergeRequest { plan: plan(), project, tip, strategy, message, exclusive: false }
    }

    pub(crate) fn intent(&self, new: &Oid) -> Intent {
        Intent {
            id: IntentId::parse("01BX5ZZKBKACTAV9WEVGEMMVRZ").expect("valid"),
            project: self.project.name.clone(),
            reference: self.project.target_ref(),
            old: self.head(),
            new: new.clone(),
        }
    }
}

pub(crate) fn plan() -> PlanId {
    PlanId::parse(PLAN).expect("valid")
}

#[expect(clippy::unnecessary_wraps, reason = "the port takes an option; an attempt may have no lock")]
pub(crate) fn token(value: i64) -> Option<FencingToken> {
    Some(FencingToken::from_storage(value))
}

/// The files of a commit, sorted as git sorts them.
pub(crate) fn files(dir: &Path, commit: &Oid) -> Vec<String> {
    let listed = git(dir, &["ls-tree", "-r", "-z", "--name-only", commit.as_str()]);
    listed.split_terminator('\0').map(str::to_owned).collect()
}
