//! What one scenario works with: a directory, repositories, plans by name, commands that run.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use agents_cli::env::Env;
use agents_testing::postgres::Database;
use agents_testing::proxy::Proxy;
use rustix::process::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::job::{Job, Outcome};
use crate::pauses::Pauses;
use crate::repository::Repository;
use crate::services::Drivers;
use crate::stream::Stream;

/// The program under test.
pub(crate) const AGENTS: &str = env!("CARGO_BIN_EXE_agents");

/// How commands are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Through {
    /// In this process.
    Library,
    /// As the user does.
    Binary,
}

/// Where plans are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// In a file.
    Sqlite,
    /// On a server.
    Postgres,
}

impl On {
    /// As the command line of the tests has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[derive(cucumber::World)]
#[world(init = Self::new)]
pub(crate) struct World {
    directory: TempDir,
    pub(crate) through: Through,
    /// The database on a server; none: plans are kept in a file.
    pub(crate) server: Option<Database>,
    /// What lies between commands and the server; none: nothing does.
    pub(crate) network: Option<Proxy>,
    /// Hears of it when the network has caught a commit.
    pub(crate) caught: Option<Receiver<()>>,
    /// The last command that has ended.
    pub(crate) last: Outcome,
    /// Words that stand for others in commands and texts: `PLAN`, `ROOT` and names of plans.
    pub(crate) words: BTreeMap<String, String>,
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) jobs: BTreeMap<String, Job>,
    pub(crate) pauses: Pauses,
    /// Pipes that somebody listens to.
    pub(crate) listeners: BTreeMap<String, Receiver<()>>,
    /// The services alone, on a clock that is moved by hand.
    pub(crate) drivers: Option<Drivers>,
    /// Variables that the scenario adds to the caller's environment.
    pub(crate) variables: BTreeMap<String, String>,
    /// What came of commands that were run at once.
    pub(crate) crowd: Vec<Outcome>,
    /// Homes with what a power cut may have left.
    pub(crate) cuts: Vec<PathBuf>,
    /// Where commands have their files, if not in `home`.
    pub(crate) home: Option<PathBuf>,
    /// Databases on the server of the tests.
    pub(crate) databases: Vec<Database>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("words", &self.words).field("last", &self.last).finish_non_exhaustive()
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let bin = directory.path().join("bin");
        std::fs::create_dir_all(&bin).expect("a directory for programs");
        let root = directory.path().display().to_string();
        Self {
            pauses: Pauses::install(directory.path(), &bin),
            through: Through::Library,
            server: None,
            network: None,
            caught: None,
            last: Outcome::default(),
            words: [("ROOT".to_owned(), root), ("AGENTS run".to_owned(), format!("{AGENTS} run"))].into(),
            repositories: BTreeMap::new(),
            jobs: BTreeMap::new(),
            listeners: BTreeMap::new(),
            variables: BTreeMap::new(),
            drivers: None,
            crowd: Vec::new(),
            cuts: Vec::new(),
            home: None,
            databases: Vec::new(),
            directory,
        }
    }

    /// Has the scenario keep its plans on a server. Commands that actions run are not told where that is:
    /// the URL may hold a password. One that runs the program itself says it.
    pub(crate) fn move_to(&mut self, server: Database) {
        let run = format!("AGENTS_DATABASE_URL='{}' {AGENTS} run", server.url());
        self.words.insert("AGENTS run".to_owned(), run);
        self.words.insert("PASSWORD".to_owned(), server.password().to_owned());
        self.server = Some(server);
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The file that plans are kept in.
    pub(crate) fn database(&self) -> PathBuf {
        self.root().join("home/state/agents.db")
    }

    pub(crate) fn repository(&self, name: &str) -> &Repository {
        self.repositories.get(name).unwrap_or_else(|| panic!("no repository {name}"))
    }

    /// The last plan that was named.
    pub(crate) fn plan(&self) -> &str {
        self.words.get("PLAN").expect("a plan was made")
    }

    /// A text with the scenario's words put in; only where they stand alone, as an id may well have
    /// one of them in it.
    pub(crate) fn said(&self, text: &str) -> String {
        let mut words: Vec<_> = self.words.iter().collect();
        words.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        let (mut said, mut rest, mut inside) = (String::new(), text, false);
        while let Some(next) = rest.chars().next() {
            let alone = |word: &str| !inside && !rest[word.len()..].starts_with(is_of_word);
            let found = words.iter().find(|(word, _)| rest.starts_with(word.as_str()) && alone(word));
            let (put, length) = found
                .map_or((&rest[..next.len_utf8()], next.len_utf8()), |(word, meaning)| {
                    (meaning.as_str(), word.len())
                });
            said.push_str(put);
            inside = found.is_none() && is_of_word(next);
            rest = &rest[length..];
        }
        said
    }

    /// The caller's environment, less what would make a difference.
    #[expect(clippy::disallowed_methods, reason = "commands get the environment of the tests' caller")]
    pub(crate) fn environment(&self) -> BTreeMap<OsString, OsString> {
        let foreign = |key: &OsString| {
            let key = key.as_encoded_bytes();
            ["GIT_", "AGENTS_", "XDG_"].iter().any(|prefix| key.starts_with(prefix.as_bytes()))
                || [&b"NO_COLOR"[..], b"TERM"].contains(&key)
        };
        let mut all: BTreeMap<_, _> = std::env::vars_os().filter(|(key, _)| !foreign(key)).collect();
        let mut path = OsString::from(self.root().join("bin"));
        path.push(":");
        path.push(all.get(&OsString::from("PATH")).cloned().unwrap_or_default());
        all.insert("PATH".into(), path);
        all.insert("HOME".into(), self.root().into());
        let home = self.home.clone().unwrap_or_else(|| self.root().join("home"));
        all.insert("AGENTS_HOME".into(), home.into());
        if let Some(server) = &self.server {
            let way = self.network.as_ref().map_or(server.server(), Proxy::address);
            all.insert("AGENTS_DATABASE_URL".into(), server.url_by_way_of(way).into());
        }
        all.extend(self.variables.iter().map(|(name, value)| (name.into(), value.into())));
        all.insert("AGENTS_GRACE".into(), self.words.get("GRACE").map_or("10s", String::as_str).into());
        all
    }

    /// Starts a command: what follows `agents` on the command line.
    pub(crate) fn start(&self, line: &str) -> Job {
        let words: Vec<OsString> = split(&self.said(line)).into_iter().map(OsString::from).collect();
        match self.through {
            Through::Library => self.start_in_process(words),
            Through::Binary => self.start_process(&words),
        }
    }

    fn start_in_process(&self, words: Vec<OsString>) -> Job {
        let variables = self.environment();
        let env = Env {
            executable: AGENTS.into(),
            temp_dir: self.root().into(),
            ..Env::from_variables(|name| variables.get(&OsString::from(name)).cloned())
        };
        let env = Env { inherited: variables.into_iter().collect(), ..env };
        let (out, err, (sender, done)) = (Stream::default(), Stream::default(), channel());
        let streams = (Box::new(out.clone()), Box::new(err.clone()));
        let argv: Vec<_> = std::iter::once("agents".into()).chain(words).collect();
        std::thread::spawn(move || sender.send(agents_cli::run(&argv, &env, streams.0, streams.1).code()));
        Job::new(None, out, err, done)
    }

    /// Starts a process, whichever way the scenario runs.
    pub(crate) fn start_process(&self, words: &[OsString]) -> Job {
        let mut command = Command::new(AGENTS);
        command.args(words).current_dir(self.root()).env_clear().envs(self.environment());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (out, err, (sender, done)) = (Stream::default(), Stream::default(), channel());
        let copies = [
            copy(child.stdout.take().expect("piped"), out.clone()),
            copy(child.stderr.take().expect("piped"), err.clone()),
        ];
        std::thread::spawn(move || {
            use std::os::unix::process::ExitStatusExt as _;
            let status = child.wait().expect("it can be waited for");
            for copy in copies {
                copy.join().expect("copied");
            }
            let signalled = || 128 + status.signal().unwrap_or_default();
            sender.send(u8::try_from(status.code().unwrap_or_else(signalled)).expect("a byte"))
        });
        Job::new(pid, out, err, done)
    }

    /// Runs a command to its end; other scenarios go on meanwhile.
    pub(crate) async fn run(&mut self, line: &str) -> &Outcome {
        let mut job = self.start(line);
        let ended = tokio::task::spawn_blocking(move || job.wait()).await;
        self.last = ended.expect("the command ends in time");
        &self.last
    }

    /// Runs a command that has to succeed.
    pub(crate) async fn must(&mut self, line: &str) -> Outcome {
        let outcome = self.run(line).await.clone();
        assert_eq!(outcome.exit, 0, "agents {line}: {outcome:?}");
        outcome
    }

    /// What a command says with `--json`; the last outcome stays as it is.
    pub(crate) async fn ask(&mut self, line: &str) -> Value {
        let before = self.last.clone();
        let answer = self.must(&format!("--json {line}")).await.json();
        self.last = before;
        answer["data"].clone()
    }

    pub(crate) fn job(&mut self, name: &str) -> &mut Job {
        self.jobs.get_mut(name).unwrap_or_else(|| panic!("no command {name} was started"))
    }
}

impl Drop for World {
    /// What a failed scenario left running ends with it.
    fn drop(&mut self) {
        for job in self.jobs.values_mut() {
            job.kill();
        }
        self.pauses.clear();
    }
}

fn copy(mut from: impl Read + Send + 'static, mut to: Stream) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
    })
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Splits a command line at spaces; single quotes hold words together.
pub(crate) fn split(line: &str) -> Vec<String> {
    let mut words = vec![];
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 0 {
            words.extend(part.split_whitespace().map(str::to_owned));
        } else {
            words.push(part.to_owned());
        }
    }
    words
}
