//! P7: one command against an existing database (`agents plan status ID`), the whole process,
//! ÷ `sqlite3 DB 'select …'` on the same file.
//!
//! Both are started, run and reaped in turn, their output thrown away. The database has one plan
//! that was taken through its phases. Without the `sqlite3` program there is no ratio, and the
//! report says so. `cargo bench -p agents --bench p7_command`.

#[path = "../../../benches/figures.rs"]
mod figures;
#[path = "shared/scene.rs"]
mod scene;

use std::process::{Command, Stdio};

use figures::{Turns, say, wanted};
use scene::Scene;

const ACTION: &str = "name: bench\nexecute: { shell: echo bench > bench.txt }\n";
/// Rounds, and commands of either kind in a round.
const ROUNDS: (usize, usize) = (40, 10);

fn select(scene: &Scene, plan: &str) -> Command {
    let mut command = Command::new("sqlite3");
    command.arg(scene.home.join("state/agents.db")).arg(format!("SELECT * FROM plans WHERE id = '{plan}'"));
    command
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
    let scene = Scene::set(directory.path(), ACTION);
    let plan = scene.agents(&["-q", "run", "bench", "bench"]);
    let plan = plan.lines().next().expect("the plan's id").trim();
    let version = Command::new("sqlite3").arg("--version").output();
    let peer = version.is_ok_and(|output| output.status.success());
    let select = || {
        if peer {
            run(select(&scene, plan));
        }
    };
    let status = || run(scene.command(&["plan", "status", plan]));
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
