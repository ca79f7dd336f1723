//! What a test needs: a directory, a runner, scripts, and a FIFO to hear from them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::action::Program;
use agents_domain::id::{Ids as _, PlanId};
use agents_domain::runner::{
    Context, Ended, Invocation, PhaseRunner as _, RunError, RunReport, StopCause, StopSignal,
};
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::{ProcessRunner, copy_log};
use tempfile::TempDir;

pub(crate) const PROBE: &str = env!("CARGO_BIN_EXE_agents-process-probe");
/// Longer than any test may take: who waits for it, fails.
pub(crate) const FOREVER: Duration = Duration::from_hours(1);

pub(crate) struct Room {
    directory: TempDir,
    /// Its own: what carries the marker of another test must not be ended by this one.
    plan: PlanId,
}

impl Room {
    pub(crate) fn new() -> Self {
        let room =
            Self { directory: TempDir::new().expect("a directory"), plan: SystemIds::new().ulid().into() };
        for fifo in ["says", "hears"] {
            assert!(Command::new("mkfifo").arg(room.path(fifo)).status().expect("mkfifo").success());
        }
        room
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("our file");
        path
    }

    /// A script, run by a shell in this directory, with `says` open as descriptor 3.
    pub(crate) fn script(&self, script: &str) -> Invocation {
        self.program(Program::Shell(format!("exec 3>says; {script}")))
    }

    /// A script that says nothing.
    pub(crate) fn mute(&self, script: &str) -> Invocation {
        self.program(Program::Shell(script.to_owned()))
    }

    pub(crate) fn argv(&self, argv: &[&str]) -> Invocation {
        self.program(Program::Run(argv.iter().map(|&argument| argument.to_owned()).collect()))
    }

    fn program(&self, program: Program) -> Invocation {
        Invocation {
            plan: self.plan,
            attempt: 3,
            purpose: "execute".to_owned(),
            program,
            context: Context { env: vec![("ROOM".into(), self.name())], ..Context::default() },
            directory: self.directory.path().to_owned(),
            log: self.path("log/execute.log"),
            timeout: None,
            grace: FOREVER,
        }
    }

    fn name(&self) -> String {
        self.directory.path().display().to_string()
    }

    pub(crate) fn log(&self) -> Vec<u8> {
        let mut log = Vec::new();
        copy_log(&self.path("log/execute.log"), &mut log).expect("a log");
        log
    }

    /// The ear for what the script says.
    pub(crate) fn ear(&self) -> Ear {
        Ear { path: self.path("says"), open: None }
    }

    /// A stop signal that comes when the script has said this line; hands the ear on.
    pub(crate) fn when(
        &self,
        line: &'static str,
        cause: StopCause,
    ) -> (StopSignal, std::sync::mpsc::Receiver<Ear>) {
        let mut ear = self.ear();
        let (sender, receiver) = std::sync::mpsc::channel();
        let heard = tokio::task::spawn_blocking(move || {
            ear.hear(line);
            let _ = sender.send(ear);
        });
        let signal = async move {
            heard.await.expect("no panic");
            cause
        };
        (Box::pin(signal), receiver)
    }
}

/// Hears what scripts say; blocks as long as they might say something.
pub(crate) struct Ear {
    path: PathBuf,
    open: Option<BufReader<File>>,
}

impl Ear {
    fn lines(&mut self) -> &mut BufReader<File> {
        let path = self.path.clone();
        self.open.get_or_insert_with(|| BufReader::new(File::open(path).expect("a FIFO")))
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines().read_line(&mut line).expect("text");
        line.trim_end().to_owned()
    }

    pub(crate) fn hear(&mut self, expected: &str) {
        assert_eq!(self.line(), expected);
    }

    /// Returns when nobody is left who could say anything.
    pub(crate) fn silence(mut self) {
        self.lines().read_to_end(&mut Vec::new()).expect("the end");
    }
}

pub(crate) fn render(program: &Program, _: &Context, purpose: &str) -> Result<Vec<String>, RunError> {
    match program {
        Program::Run(argv) if argv == &["{{"] => {
            Err(RunError::Template { purpose: purpose.to_owned(), reason: "broken".to_owned() })
        }
        Program::Run(argv) => Ok(argv.clone()),
        Program::Shell(script) => Ok(vec!["sh".into(), "-c".into(), script.clone()]),
    }
}

#[expect(clippy::disallowed_methods, reason = "tests hand the caller's environment in")]
pub(crate) fn runner_with(binary: &Path, extra: &[(&str, &str)]) -> ProcessRunner {
    let extra = extra.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let caller: Vec<_> = std::env::vars_os().chain(extra).collect();
    ProcessRunner::new(binary.to_owned(), caller, &["AGENTS_DATABASE_URL"], render, Arc::new(SystemClock))
}

pub(crate) fn runner() -> ProcessRunner {
    runner_with(Path::new(PROBE), &[])
}

pub(crate) fn never() -> StopSignal {
    Box::pin(std::future::pending())
}

pub(crate) async fn run(invocation: Invocation) -> Result<RunReport, RunError> {
    runner().run(invocation, never()).await
}

pub(crate) async fn ended(invocation: Invocation, stop: StopSignal) -> Ended {
    runner().run(invocation, stop).await.expect("it runs").ended
}
