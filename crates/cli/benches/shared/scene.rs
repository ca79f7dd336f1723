//! A home with a database, a repository that is a project, and an action.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a command of `agents` finds everything.
pub(crate) struct Scene {
    pub(crate) home: PathBuf,
}

impl Scene {
    /// Below that directory, with the action of that text; action and project are called `bench`.
    pub(crate) fn set(directory: &Path, action: &str) -> Self {
        let (home, repository) = (directory.join("home"), directory.join("repository"));
        fs::create_dir_all(&repository).expect("a directory");
        for line in ["init -q -b main", "commit -q --allow-empty -m first"] {
            let identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
            let git =
                Command::new("git").args(identity).args(line.split(' ')).current_dir(&repository).status();
            assert!(git.expect("git").success(), "git {line}");
        }
        let file = directory.join("bench.yaml");
        fs::write(&file, action).expect("written");
        let scene = Self { home };
        let (file, repository) = (file.display().to_string(), repository.display().to_string());
        scene.agents(&["init"]);
        scene.agents(&["project", "add", &repository, "--name", "bench"]);
        scene.agents(&["action", "add", &file]);
        scene
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agents"));
        command.args(words).env("AGENTS_HOME", &self.home).env_remove("AGENTS_DATABASE_URL");
        command
    }

    pub(crate) fn agents(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("agents");
        assert!(output.status.success(), "agents {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }
}
