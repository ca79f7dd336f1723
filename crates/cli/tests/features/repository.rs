//! Git repositories as a user has them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A repository with a checkout.
#[derive(Debug, Clone)]
pub(crate) struct Repository {
    pub(crate) path: PathBuf,
}

impl Repository {
    /// A new one on the branch `main` with one commit: `notes.txt` says "one". It is tagged
    /// `start`.
    pub(crate) fn create(path: PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("a directory");
        let repository = Self { path };
        repository.git(&["init", "-q", "-b", "main", "."]);
        for (key, value) in
            [("user.name", "Ada"), ("user.email", "ada@example.org"), ("commit.gpgsign", "false")]
        {
            repository.git(&["config", key, value]);
        }
        repository.write("notes.txt", "one");
        repository.commit("start");
        repository.git(&["tag", "start"]);
        repository
    }

    /// Writes a line to a file of the checkout.
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path.join(file), format!("{}\n", text.replace("\\n", "\n"))).expect("written");
    }

    /// Commits everything in the checkout.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", message]);
    }

    /// Runs git; its output, trimmed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.path, arguments)
    }

    /// Runs git, whatever comes of it.
    pub(crate) fn try_git(&self, arguments: &[&str]) -> Output {
        command(&self.path, arguments).output().expect("git runs")
    }

    /// A file as a commit has it.
    pub(crate) fn show(&self, commit: &str, file: &str) -> Option<String> {
        let output = self.try_git(&["show", &format!("{commit}:{file}")]);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Runs git in a directory; its output, trimmed.
pub(crate) fn git_in(directory: &Path, arguments: &[&str]) -> String {
    let output = command(directory, arguments).output().expect("git runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "git must not see what the caller's git was told")]
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars_os().filter(|(key, _)| key.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(key);
    }
    command.env("LC_ALL", "C").current_dir(directory).args(arguments);
    command
}
