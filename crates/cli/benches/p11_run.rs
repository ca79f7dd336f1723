//! P11: a whole `agents run` whose command does nothing ÷ the git commands that it needs.
//!
//! The git commands are those that such a run was seen to make (`shared/recording`), each run again
//! alone, one after the other, their times added up; ours is the whole process from start to end.
//! Before each, home and repository are put back to what they were before the recording. A second
//! pair lands a small change (`run --apply`). `cargo bench -p agents --bench p11_run`.
//!
//! The yardstick is what we ask of git, not the least that would do: asking less makes both faster.
//! How many commands there are is told with the ratio.

#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "the two are timed one by one")]
mod figures;
#[path = "shared/parts.rs"]
mod parts;
#[path = "shared/recording.rs"]
#[expect(dead_code, reason = "one plan's commands are run again one by one")]
mod recording;
#[path = "shared/scene.rs"]
mod scene;

use std::fs;
use std::path::Path;

use figures::{Turns, say, wanted};
use parts::{copy, microseconds, run};
use recording::Recording;
use scene::Scene;

/// Rounds, and runs of either kind in a round.
const ROUNDS: (usize, usize) = (30, 3);

/// What a plan runs, and the command line that runs the plan.
struct Case {
    shown: &'static str,
    command: &'static str,
    words: &'static [&'static str],
}

const CASES: [Case; 2] = [
    Case { shown: "agents run, `true`", command: "true", words: &["-q", "run", "bench", "bench"] },
    Case {
        shown: "agents run --apply, one file",
        command: "echo bench > bench.txt",
        words: &["-q", "run", "bench", "bench", "--apply"],
    },
];

fn measure(directory: &Path, case: &Case) {
    let action = format!("name: bench\nexecute: {{ shell: '{}' }}\n", case.command);
    let (stage, kept) = (directory.join("stage"), directory.join("kept"));
    fs::create_dir_all(&kept).expect("a directory");
    let scene = Scene::set(&stage, &action);
    copy(&stage, &kept);
    let recording = Recording::of(directory, &scene.command(case.words), case.command);
    let gits = || {
        copy(&kept, &stage);
        microseconds(recording.replay())
    };
    let whole = || {
        copy(&kept, &stage);
        microseconds(run(scene.command(case.words)))
    };
    gits();
    whole();
    let mut turns = Turns::default();
    for _ in 0..ROUNDS.0 {
        turns.round((0..ROUNDS.1).map(|_| gits()).collect(), (0..ROUNDS.1).map(|_| whole()).collect());
    }
    let (plain, ours) = turns.absolute();
    say(&format!("P11 {}: {} of either kind", case.shown, ROUNDS.0 * ROUNDS.1));
    say(&format!("    its {} git commands   {plain} µs", recording.len()));
    say(&format!("    the whole process     {ours} µs"));
    say(&format!("    ratio, by rounds      {}   aim ≤ 1.3", turns.ratio()));
}

fn main() {
    if !wanted() {
        return;
    }
    for case in &CASES {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
        measure(directory.path(), case);
    }
}
