//! Running the `git` program: one place that decides its environment and its settings.
//!
//! Each command gets the caller's environment less every `GIT_*`, the C locale, no prompts, no
//! terminal, and a process group of its own: a Ctrl-C at the terminal does not reach it, and it
//! runs to its end. Settings that would let the user's configuration change what plumbing does
//! are overridden on the command line.
//!
//! What speaks with a remote gets a deadline ([`At::within`]): a server may be silent, and a hook there may
//! wait for ever. What is late is ended with all that it started, and fails like any command. Given an escort
//! ([`Git::with_escort`]) it ends with this process, too, however that ends.
//!
//! Must not: decide what a failure means. Callers that expect one use [`Call::output`].

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use agents_domain::oid::Oid;
use agents_domain::workspace::WorkspaceError;

use super::{deadline, escort, failure, output, version};

/// Settings that hold for every command.
const SETTINGS: [&str; 9] = [
    // No hook of the repository runs, `reference-transaction` included.
    "core.hooksPath=/dev/null",
    // A directory is removed once its snapshot is recorded: the snapshot must survive a power cut
    // too. Git by itself does not wait for the disk with loose objects.
    "core.fsync=loose-object,reference",
    "core.fsyncMethod=batch",
    // Neither a hook nor a daemon that outlives the worktree.
    "core.fsmonitor=false",
    // Line endings are no reason to refuse a snapshot.
    "core.safecrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // Messages are UTF-8, whatever the repository says.
    "i18n.commitEncoding=UTF-8",
    // Relative links would add an extension to the user's repository.
    "worktree.useRelativePaths=false",
];

/// How long a command waits for a ref that another git has locked; git's own 100 ms would make
/// two landings at once an error.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// How long one exchange with a remote may take.
const REMOTE_LIMIT: Duration = Duration::from_mins(10);

/// The git program: which one, and what is added to its environment.
#[derive(Debug, Clone)]
pub struct Git {
    program: OsString,
    lock_wait: Duration,
    remote_limit: Duration,
    env: Vec<(OsString, OsString)>,
    escort: Option<PathBuf>,
    usable: Arc<OnceLock<()>>,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            program: "git".into(),
            lock_wait: LOCK_WAIT,
            remote_limit: REMOTE_LIMIT,
            env: Vec::new(),
            escort: None,
            usable: Arc::default(),
        }
    }
}

impl Git {
    /// Another program than the `git` on the path.
    #[must_use]
    pub fn with_program(mut self, program: impl Into<OsString>) -> Self {
        self.program = program.into();
        self.usable = Arc::default();
        self
    }

    /// How long a command waits for a ref that another git has locked; 5 s unless told.
    #[must_use]
    pub fn with_lock_wait(mut self, wait: Duration) -> Self {
        self.lock_wait = wait;
        self
    }

    /// How long one exchange with a remote may take, a fetch or a push; 10 min unless told. What takes
    /// longer is ended, and has failed.
    #[must_use]
    pub fn with_remote_limit(mut self, limit: Duration) -> Self {
        self.remote_limit = limit;
        self
    }

    /// See [`Git::with_remote_limit`].
    pub(super) fn remote_limit(&self) -> Duration {
        self.remote_limit
    }

    /// Commands that speak with a remote are run by that binary, `binary __escort git …`
    /// ([`run_escort`](super::run_escort)): they end with this process, also if it is killed.
    #[must_use]
    pub fn with_escort(mut self, binary: impl Into<PathBuf>) -> Self {
        self.escort = Some(binary.into());
        self
    }

    /// Adds a variable to the environment of every command, after it was scrubbed of `GIT_*`.
    #[must_use]
    pub fn with_env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((key.into(), value.into()));
        self
    }

    /// Whether the program is there and new enough; asked once per value and its clones.
    pub fn check(&self) -> Result<(), WorkspaceError> {
        if self.usable.get().is_none() {
            let said = self.call(Path::new("/"), &["--version"]).output()?;
            version::check(&said.stdout)?;
            self.usable.get_or_init(|| ());
        }
        Ok(())
    }

    /// Commands about a repository, by its common git directory; no checkout is involved.
    pub(super) fn repository<'a>(&'a self, common_dir: &'a Path) -> At<'a> {
        let mut option = OsString::from("--git-dir=");
        option.push(common_dir);
        At { git: self, dir: common_dir, options: vec![option], env: Vec::new(), limit: None }
    }

    /// Commands in a directory: git finds out which checkout it belongs to.
    pub(super) fn directory<'a>(&'a self, dir: &'a Path) -> At<'a> {
        At { git: self, dir, options: vec!["-C".into(), dir.into()], env: Vec::new(), limit: None }
    }

    /// Commands in a worktree of ours. If its `.git` is gone, git does not go looking for another
    /// repository further up.
    pub(super) fn worktree<'a>(&'a self, dir: &'a Path) -> At<'a> {
        let ceiling = dir.parent().unwrap_or(dir);
        self.directory(dir).with("GIT_CEILING_DIRECTORIES", ceiling)
    }

    /// The program by which the caller wants git to reach servers over ssh. All else of the caller's
    /// `GIT_*` is about another repository; this is about keys.
    #[expect(clippy::disallowed_methods, reason = "the caller's GIT_SSH_COMMAND goes to git, extended")]
    pub(super) fn caller_ssh(&self) -> Option<String> {
        const NAME: &str = "GIT_SSH_COMMAND";
        let given = self.env.iter().rev().find(|(key, _)| key == NAME).map(|(_, value)| value.clone());
        let ssh = given.or_else(|| std::env::var_os(NAME))?;
        Some(ssh.to_string_lossy().into_owned())
    }

    #[expect(clippy::disallowed_methods, reason = "to take the caller's GIT_* away from the child")]
    fn call(&self, dir: &Path, args: &[&str]) -> Call {
        let mut command = Command::new(&self.program);
        for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"GIT_")) {
            command.env_remove(key);
        }
        command.env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0").env("GIT_OPTIONAL_LOCKS", "0");
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command.current_dir("/").process_group(0);
        command.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        for lock in ["core.filesRefLockTimeout", "core.packedRefsTimeout"] {
            command.arg("-c").arg(format!("{lock}={}", self.lock_wait.as_millis()));
        }
        let shown = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        Call { command, shown, dir: dir.to_owned(), input: Vec::new(), limit: None, escort: None }.args(args)
    }
}

/// Where commands run: a repository or a checkout, and variables of their own.
#[derive(Clone)]
pub(super) struct At<'a> {
    git: &'a Git,
    /// The directory, for errors.
    pub(super) dir: &'a Path,
    options: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    limit: Option<Duration>,
}

impl At<'_> {
    /// The same place with one more variable.
    pub(super) fn with(&self, key: &'static str, value: impl AsRef<OsStr>) -> Self {
        let mut at = self.clone();
        at.env.push((key, value.as_ref().to_owned()));
        at
    }

    /// The same place with one more setting.
    pub(super) fn set(&self, setting: &str) -> Self {
        let mut at = self.clone();
        at.options.extend(["-c".into(), setting.into()]);
        at
    }

    /// The same place; commands there must end within that time.
    pub(super) fn within(&self, limit: Duration) -> Self {
        Self { limit: Some(limit), ..self.clone() }
    }

    /// A command here; nothing runs yet.
    pub(super) fn call(&self, args: &[&str]) -> Call {
        let mut call = self.git.call(self.dir, &[]);
        call.command.args(&self.options).args(args).envs(self.env.iter().map(|(key, value)| (key, value)));
        call.shown = args.iter().take(2).copied().collect::<Vec<_>>().join(" ");
        call.limit = self.limit;
        call.escort = self.git.escort.clone().filter(|_| self.limit.is_some());
        call
    }
}

/// One command, not yet run.
pub(super) struct Call {
    command: Command,
    shown: String,
    dir: PathBuf,
    input: Vec<u8>,
    limit: Option<Duration>,
    escort: Option<PathBuf>,
}

impl Call {
    /// Adds arguments.
    pub(super) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// What it reads from stdin; without it, nothing.
    pub(super) fn input(mut self, bytes: Vec<u8>) -> Self {
        self.input = bytes;
        self
    }

    /// Runs it; any exit code is an answer. Only a program that cannot be started is an error.
    pub(super) fn output(mut self) -> Result<Output, WorkspaceError> {
        tracing::debug!(command = %self.shown, dir = %self.dir.display(), "git");
        // Nothing that speaks with a remote reads from stdin.
        if let Some(escort) = self.escort.take() {
            return self.escorted(&escort);
        }
        self.command.stdin(if self.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let spawned = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| version::unusable(self.command.get_program(), &error))?;
        let input = &self.input;
        let answer = match (child.stdin.take(), self.limit) {
            (None, Some(limit)) => deadline::wait(child, limit, None),
            (None, None) => child.wait_with_output(),
            // A thread of its own: git may answer before it has read everything. One that stops
            // reading early says why on stderr; the broken pipe says nothing more.
            (Some(mut pipe), _) => std::thread::scope(|scope| {
                scope.spawn(move || pipe.write_all(input));
                child.wait_with_output()
            }),
        };
        answer.map_err(|error| version::unusable(self.command.get_program(), &error))
    }

    fn escorted(self, escort: &Path) -> Result<Output, WorkspaceError> {
        let unusable = |error| version::unusable(escort.as_os_str(), &error);
        let (mut command, line) = escort::escorted(escort, &self.command).map_err(unusable)?;
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(unusable)?;
        let limit = self.limit.unwrap_or(Duration::MAX);
        let output = deadline::wait(child, limit, Some(line)).map_err(unusable)?;
        match escort::unstarted(&output) {
            Some(error) => Err(version::unusable(self.command.get_program(), &error)),
            None => Ok(output),
        }
    }

    /// Starts it; its stdout is read as it comes, never held as a whole.
    pub(super) fn stream(mut self) -> Result<Stream, WorkspaceError> {
        tracing::debug!(command = %self.shown, dir = %self.dir.display(), "git");
        let spawned = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = spawned.map_err(|error| version::unusable(self.command.get_program(), &error))?;
        let out = child.stdout.take();
        Ok(Stream { child, out, shown: self.shown })
    }

    /// Runs it and returns its stdout; a failure becomes [`WorkspaceError::Git`].
    pub(super) fn run(self) -> Result<Vec<u8>, WorkspaceError> {
        self.run_or(&[]).map(|output| output.stdout)
    }

    /// Like [`Call::run`], with these exit codes as answers too.
    pub(super) fn run_or(self, answers: &[i32]) -> Result<Output, WorkspaceError> {
        let (shown, dir) = (self.shown.clone(), self.dir.clone());
        let output = self.output()?;
        let answered = output.status.code().is_some_and(|code| code == 0 || answers.contains(&code));
        if answered { Ok(output) } else { Err(failure::of_command(&shown, &dir, &output)) }
    }

    /// Runs it; its stdout is one object id.
    pub(super) fn run_oid(self) -> Result<Oid, WorkspaceError> {
        let (shown, dir) = (self.shown.clone(), self.dir.clone());
        output::oid(&self.run()?, &shown, &dir)
    }
}

/// The stdout of a command that runs. A command that fails is an error where the output ends.
pub(super) struct Stream {
    child: Child,
    out: Option<ChildStdout>,
    shown: String,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(out) = &mut self.out else { return Ok(0) };
        let count = out.read(buffer)?;
        if count > 0 || buffer.is_empty() {
            return Ok(count);
        }
        self.out = None;
        let status = self.child.wait()?;
        if status.success() { Ok(0) } else { Err(io::Error::other(format!("git {}: {status}", self.shown))) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Nobody reads on: git ends at its next write.
        self.out = None;
        drop(self.child.wait());
    }
}
