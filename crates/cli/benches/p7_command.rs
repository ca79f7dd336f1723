//! P7: one command against an existing database (`agents plan status ID`), the whole process,
//! ÷ `sqlite3 DB 'select …'` on the same file.
//!
//! Both are started, run and reaped in turn, their output thrown away. The database has one plan
//! that was taken through its phases. Without the `sqlite3` program there is no ratio, and the
//! report says so. `cargo bench -p agents`.

#[path = "../../../benches/figures.rs"]
mod figures;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use figures::{Turns, say, wanted};

const ACTION: &str = "name: bench\nexecute: { shell: echo bench > bench.txt }\n";
/// Rounds, and commands of either kind in a round.
const ROUNDS: (usize, usize) = (40, 10);

/// A home with a database, and a plan in it.
struct Scene {
    home: PathBuf,
    plan: String,
}

impl Scene {
    fn set(directory: &Path) -> Self {
        let (home, repository) = (directory.join("home"), directory.join("repository"));
        fs::create_dir_all(&repository).expect("a directory");
        for line in ["init -q -b main", "commit -q --allow-empty -m first"] {
            let identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
            let git =
                Command::new("git").args(identity).args(line.split(' ')).current_dir(&repository).status();
            assert!(git.expect("git").success(), "git {line}");
        }
        let action = directory.join("bench.yaml");
        fs::write(&action, ACTION).expect("written");
        let scene = Self { home, plan: String::new() };
        let (action, repository) = (action.display().to_string(), repository.display().to_string());
        scene.agents(&["init"]);
        scene.agents(&["project", "add", &repository, "--name", "bench"]);
        scene.agents(&["action", "add", &action]);
        let plan = scene.agents(&["-q", "run", "bench", "bench"]);
        let plan = plan.lines().next().expect("the plan's id").trim().to_owned();
        Self { plan, ..scene }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agents"));
        command.args(words).env("AGENTS_HOME", &self.home).env_remove("AGENTS_DATABASE_URL");
        command
    }

    fn agents(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("agents");
        assert!(output.status.success(), "agents {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    fn status(&self) -> Command {
        self.command(&["plan", "status", &self.plan])
    }

    fn select(&self) -> Command {
        let database = self.home.join("state/agents.db");
        let mut command = Command::new("sqlite3");
        command.arg(database).arg(format!("SELECT * FROM plans WHERE id = '{}'", self.plan));
        command
    }
}

/// Starts it, waits for its end, throws its output away.
fn run(mut command: Command) {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(ended.expect("started").success(), "{command:?} failed");
}

fn main() {
    if !wanted() {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let scene = Scene::set(directory.path());
    let version = Command::new("sqlite3").arg("--version").output();
    let peer = version.is_ok_and(|output| output.status.success());
    let select = || {
        if peer {
            run(scene.select());
        }
    };
    let status = || run(scene.status());
    Turns::take(2, ROUNDS.1, select, status);
    let turns = Turns::take(ROUNDS.0, ROUNDS.1, select, status);
    let (select, status) = turns.absolute();
    say(&format!("P7  whole process, {} of either kind", ROUNDS.0 * ROUNDS.1));
    if peer {
        say(&format!("    sqlite3 DB 'select …'   {select} µs"));
    }
    say(&format!("    agents plan status      {status} µs   aim ≤ 10000"));
    if peer {
        say(&format!("    ratio, by rounds        {}   aim ≤ 2", turns.ratio()));
    } else {
        say("    no ratio: the program sqlite3 is not installed");
    }
}
