//! The scratch repository, actions, and this program as the actors.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use agents_domain::id::Ids;
use agents_infrastructure::ids::SystemIds;

use crate::app::{App, Base};
use crate::args::Global;
use crate::config::{self, Settings};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;

/// What every plan of the demo does. The pause stands for work; it lets the plans overlap.
pub(super) const GREET: &str = r#"name: local/greet
description: Greet somebody in a file of their own
arguments:
  - { name: who, type: string, required: true, pattern: "^[a-z]+$" }
strategize:
  shell: echo "write greetings/$AGENTS_ARG_WHO.txt" > "$AGENTS_STRATEGY_FILE"
execute:
  shell: |
    cat "$AGENTS_STRATEGY_FILE"
    mkdir -p greetings && echo "Hello, $AGENTS_ARG_WHO" > "greetings/$AGENTS_ARG_WHO.txt"
    sleep 1
validations:
  - { name: polite, run: [grep, -qr, Hello, greetings], required: true }
apply:
  message: "greet {{ who }}"
"#;

/// Commands at once: as many as there are subplans, of which two wait for each other.
const CONCURRENCY: &str = "10";

/// Everything the demo plays with, below one directory.
pub(super) struct Scene {
    pub(super) root: PathBuf,
    pub(super) home: PathBuf,
    pub(super) repository: PathBuf,
    executable: PathBuf,
    /// What the caller told git about another repository.
    not_for_git: Vec<OsString>,
}

impl Scene {
    /// Makes the repository and registers it in a home of its own.
    pub(super) fn set(base: &Base) -> Result<Self, Failure> {
        let root = base.env.temp_dir.join(format!("agents-demo-{}", SystemIds::new().ulid()));
        let scene = Self {
            home: root.join("home"),
            repository: root.join("demo"),
            executable: base.env.executable.clone(),
            not_for_git: git_variables(base).cloned().collect(),
            root,
        };
        config::private_directory(&scene.root)?;
        scene.git(&["init", "-q", "-b", "main", "demo"], &scene.root)?;
        scene.write(&scene.repository.join("README.md"), "# A scratch repository\n")?;
        scene.git(&["add", "."], &scene.repository)?;
        scene.git(&["commit", "-q", "-m", "first"], &scene.repository)?;
        scene.agents(&["init"])?;
        scene.agents(&[OsStr::new("project"), OsStr::new("add"), scene.repository.as_os_str()])?;
        Ok(scene)
    }

    /// Registers an action.
    pub(super) fn add(&self, name: &str, text: &str) -> Result<(), Failure> {
        let file = self.root.join(name).with_extension("yaml");
        self.write(&file, text)?;
        self.agents(&[OsStr::new("action"), OsStr::new("add"), file.as_os_str()]).map(drop)
    }

    /// The store that this program fills here.
    pub(super) fn open(&self, base: &Base) -> Result<App, Failure> {
        let env = Env { home: Some(self.home.clone()), ..base.env.clone() };
        let env = Env { config: None, database_url: None, ..env };
        let settings = Settings::resolve(&Global::default(), &env)?;
        Base { flags: Global::default(), settings, env, progress: base.progress.clone() }.open()
    }

    /// Runs this program to its end; what it printed.
    pub(super) fn agents<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String, Failure> {
        let output = self.command(args).output();
        finished("agents", output)
    }

    /// Starts this program and lets it run.
    pub(super) fn start(&self, args: &[&str]) -> Result<Child, Failure> {
        let mut command = self.command(args);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(|error| Failure::internal("the demo cannot start itself").caused_by(&error))
    }

    /// How many commits the branch has.
    pub(super) fn commits(&self) -> Result<u64, Failure> {
        let count = self.git(&["rev-list", "--count", "--first-parent", "main"], &self.repository)?;
        count.trim().parse().map_err(|error: std::num::ParseIntError| {
            Failure::internal("git gave no number").caused_by(&error)
        })
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(args).current_dir(&self.root).stdin(Stdio::null());
        command.env("AGENTS_HOME", &self.home).env("AGENTS_CONCURRENCY", CONCURRENCY);
        for name in ["CONFIG", "DATABASE_URL", "LEASE_TTL", "AUTOMATION", "SUBPLAN_DEPTH"] {
            command.env_remove(format!("AGENTS_{name}"));
        }
        command
    }

    /// Runs git to an end that must be good; what it printed.
    pub(super) fn git(&self, args: &[&str], directory: &Path) -> Result<String, Failure> {
        finished("git", self.git_ends(args, directory))
    }

    /// Runs git to whatever end.
    pub(super) fn git_ends(&self, args: &[&str], directory: &Path) -> std::io::Result<Output> {
        let mut command = Command::new("git");
        for name in &self.not_for_git {
            command.env_remove(name);
        }
        let identity =
            ["-c", "user.name=demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"];
        command.args(identity).args(args).current_dir(directory).output()
    }

    /// Writes a file below the root.
    pub(super) fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        let shown = path.strip_prefix(&self.root).unwrap_or(path).display();
        fs::write(path, text)
            .map_err(|error| Failure::internal(format!("{shown} cannot be written")).caused_by(&error))
    }
}

fn git_variables(base: &Base) -> impl Iterator<Item = &OsString> {
    let names = base.env.inherited.iter().map(|(name, _)| name);
    names.filter(|name| name.as_encoded_bytes().starts_with(b"GIT_"))
}

/// The exit code of a process that was started.
pub(super) fn wait(mut child: Child) -> Result<i32, Failure> {
    let status = child.wait().map_err(|error| Failure::internal("a process was lost").caused_by(&error))?;
    Ok(status.code().unwrap_or(-1))
}

fn finished(program: &str, output: std::io::Result<Output>) -> Result<String, Failure> {
    let failed = |why: String| Failure::new(Exit::Internal, "demo_failed", format!("{program}: {why}"));
    let output = output.map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
