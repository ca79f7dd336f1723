//! The git commands of one run of `agents`, recorded by a `git` that stands first on the path, and
//! run again, each alone.
//!
//! A recorded command has its arguments, environment, directory and input. Its commits are dated by
//! the recording, so that what is run again makes the same objects. What `agents` itself does
//! between two commands, and the next one needs, is done again as well, and not timed: the command
//! of the plan, the copy of an index, the removal of a directory. Those of a plan with children can be
//! run again as many at once as they were (`at_once`).

#[path = "at_once.rs"]
mod at_once;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::figures::nanoseconds;

/// A git command as it was run.
#[derive(Clone)]
struct Recorded {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    input: Vec<u8>,
    code: i32,
}

/// The git commands of one run.
pub(crate) struct Recording {
    git: PathBuf,
    /// What the plan runs, in the directory of its attempt.
    command: &'static str,
    commands: Vec<Recorded>,
}

impl Recording {
    /// Runs that command of `agents` with a `git` that records. The database and the repositories
    /// are as they were before only once the caller has put them back.
    pub(crate) fn of(directory: &Path, agents: &Command, command: &'static str) -> Self {
        let (bin, notes) = (directory.join("bin"), directory.join("notes"));
        let _ = fs::remove_dir_all(&notes);
        for folder in [&bin, &notes] {
            fs::create_dir_all(folder).expect("a directory");
        }
        let git = real_git();
        fs::write(bin.join("git"), recorder(&git, &notes)).expect("written");
        fs::set_permissions(bin.join("git"), fs::Permissions::from_mode(0o755)).expect("executable");
        let mut shell = Command::new("sh");
        shell.args(["-c", "PATH=\"$0:$PATH\" exec \"$@\""]).arg(&bin);
        shell.arg(agents.get_program()).args(agents.get_args()).stdin(Stdio::null());
        for (key, value) in agents.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        let ran = shell.output().expect("a shell");
        assert!(ran.status.success(), "{agents:?}: {}", String::from_utf8_lossy(&ran.stderr));
        Self { git, command, commands: read(&notes) }
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Runs them again; how long all of them take, in nanoseconds.
    pub(crate) fn replay(&self) -> u64 {
        self.commands.iter().map(|recorded| self.again(recorded)).sum()
    }

    fn again(&self, recorded: &Recorded) -> u64 {
        recorded.prepare();
        let mut command = Command::new(&self.git);
        command.args(&recorded.arguments).current_dir(&recorded.directory);
        command.env_clear().envs(recorded.environment.iter().map(|(key, value)| (key, value)));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if recorded.input.is_empty() { Stdio::null() } else { Stdio::piped() });
        let mut ended = None;
        let time = nanoseconds(|| {
            let mut child = command.spawn().expect("git starts");
            if let Some(mut pipe) = child.stdin.take() {
                // Small enough for the pipe.
                std::io::Write::write_all(&mut pipe, &recorded.input).expect("git reads");
            }
            ended = child.wait_with_output().ok();
        });
        let ended = ended.expect("git ends");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(recorded.code), "git {:?}: {said}", recorded.arguments);
        if let Some(worktree) = recorded.added() {
            let ran = Command::new("sh").args(["-c", self.command]).current_dir(worktree).status();
            assert!(ran.expect("a shell").success(), "{} failed", self.command);
        }
        time
    }
}

impl Recorded {
    fn names(&self, words: [&str; 2]) -> bool {
        self.arguments.windows(2).any(|pair| pair[0] == words[0] && pair[1] == words[1])
    }

    /// The worktree that it adds.
    fn added(&self) -> Option<&OsStr> {
        let last = self.arguments.len().checked_sub(2)?;
        self.names(["worktree", "add"]).then(|| self.arguments[last].as_os_str())
    }

    fn prepare(&self) {
        if self.names(["worktree", "remove"])
            && let Some(worktree) = self.arguments.last()
        {
            let _ = fs::remove_dir_all(worktree);
        }
        let index = self.environment.iter().find(|(key, _)| key == "GIT_INDEX_FILE");
        if let Some(index) = index.map(|(_, path)| Path::new(path)).filter(|path| !path.exists()) {
            fs::copy(index.with_file_name("index"), index).expect("an index to copy");
        }
    }
}

/// The git that the path leads to.
fn real_git() -> PathBuf {
    let found = Command::new("sh").args(["-c", "command -v git"]).output().expect("a shell");
    PathBuf::from(OsString::from_vec(found.stdout.trim_ascii().to_vec()))
}

/// A `git` that notes what it was told, does it, and notes how that ended.
fn recorder(git: &Path, notes: &Path) -> String {
    let (git, notes) = (git.display(), notes.display());
    format!(
        "#!/bin/sh\n\
         GIT_AUTHOR_DATE=\"@$(date +%s) +0000\"; GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE\n\
         export GIT_AUTHOR_DATE GIT_COMMITTER_DATE\n\
         number=$(ls '{notes}' | wc -l)\n\
         until mkdir '{notes}'/$number 2>/dev/null; do number=$((number + 1)); done\n\
         note='{notes}'/$number\n\
         for word in \"$@\"; do printf '%s\\0' \"$word\"; done > \"$note/arguments\"\n\
         env -0 > \"$note/environment\"\n\
         pwd > \"$note/directory\"\n\
         cat > \"$note/input\"\n\
         '{git}' \"$@\" < \"$note/input\"\n\
         code=$?\n\
         echo $code > \"$note/code\"\n\
         exit $code\n"
    )
}

fn read(notes: &Path) -> Vec<Recorded> {
    let count = fs::read_dir(notes).expect("notes").count();
    let recorded = (0..count).map(|number| {
        let part = |name| fs::read(notes.join(number.to_string()).join(name)).expect("a whole note");
        let environment = fields(&part("environment")).into_iter().filter_map(|field| {
            let at = field.as_bytes().iter().position(|byte| *byte == b'=')?;
            let (key, value) = field.as_bytes().split_at(at);
            Some((OsStr::from_bytes(key).to_owned(), OsStr::from_bytes(&value[1..]).to_owned()))
        });
        Recorded {
            arguments: fields(&part("arguments")),
            environment: environment.collect(),
            directory: PathBuf::from(OsString::from_vec(part("directory").trim_ascii().to_vec())),
            input: part("input"),
            code: String::from_utf8_lossy(&part("code")).trim().parse().expect("a code"),
        }
    });
    recorded.collect()
}

fn fields(bytes: &[u8]) -> Vec<OsString> {
    let fields = bytes.split(|byte| *byte == 0).map(|field| OsString::from_vec(field.to_vec()));
    let mut fields: Vec<_> = fields.collect();
    fields.pop();
    fields
}
