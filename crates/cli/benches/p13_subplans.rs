//! P13: a plan with a hundred subplans whose command does nothing, ten at once ÷ the git commands that
//! they need, run again with as many at once.
//!
//! Ours is the whole process (`agents run`, `AGENTS_CONCURRENCY=10`) from start to end: the plan and its
//! subplans made, each run in a worktree of its own and merged. The git commands are those that such a
//! run was seen to make (`shared/recording`, `shared/at_once`). Before each, home and repository are put
//! back to what they were before the recording. `cargo bench -p agents --bench p13_subplans`.

#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "the two are timed one by one")]
mod figures;
#[path = "shared/parts.rs"]
mod parts;
#[path = "shared/recording.rs"]
#[expect(dead_code, reason = "commands are run again many at once")]
mod recording;
#[path = "shared/scene.rs"]
mod scene;

use std::fs;
use std::path::Path;
use std::process::Command;

use figures::{Turns, say, wanted};
use parts::{copy, microseconds, run};
use recording::Recording;
use scene::Scene;

/// Rounds, of one run of either kind each.
const ROUNDS: usize = 7;
/// Subplans, and how many of them at once.
const CHILDREN: (u32, usize) = (100, 10);
/// The command of a subplan.
const COMMAND: &str = "true";

fn actions(directory: &Path) -> (String, String) {
    fs::create_dir_all(directory).expect("a directory");
    let items: Vec<_> = (0..CHILDREN.0).map(|n| format!("{{ name: n{n}, action: child }}")).collect();
    let settings = format!("mode: parallel, max_parallel: {}", CHILDREN.1);
    let parent = format!("name: bench\nsubplans: {{ {settings}, items: [{}] }}\n", items.join(", "));
    (parent, format!("name: child\nexecute: {{ shell: '{COMMAND}' }}\n"))
}

fn command(scene: &Scene) -> Command {
    let mut command = scene.command(&["-q", "run", "bench", "bench"]);
    command.env("AGENTS_CONCURRENCY", CHILDREN.1.to_string());
    command
}

fn measure(directory: &Path) {
    let (stage, kept) = (directory.join("stage"), directory.join("kept"));
    fs::create_dir_all(&kept).expect("a directory");
    let (parent, child) = actions(&stage);
    let scene = Scene::set(&stage, &parent);
    let file = directory.join("child.yaml");
    fs::write(&file, child).expect("written");
    scene.agents(&["action", "add", &file.display().to_string()]);
    copy(&stage, &kept);
    let recording = Recording::of(directory, &command(&scene), COMMAND);
    let gits = || {
        copy(&kept, &stage);
        microseconds(recording.replay_at_once(CHILDREN.1))
    };
    let whole = || {
        copy(&kept, &stage);
        microseconds(run(command(&scene)))
    };
    gits();
    whole();
    let mut turns = Turns::default();
    for _ in 0..ROUNDS {
        turns.round(vec![gits()], vec![whole()]);
    }
    let (plain, ours) = turns.absolute();
    let each = (ours.median - plain.median) / f64::from(CHILDREN.0) / 1_000.0;
    say(&format!("P13 {} subplans, {} at once: {ROUNDS} of either kind", recording.children(), CHILDREN.1));
    say(&format!("    their {} git commands  {plain} µs", recording.len()));
    say(&format!("    the whole process      {ours} µs"));
    say(&format!("    beyond git, a subplan  {each:8.2} ms"));
    say(&format!("    ratio, by rounds       {}   aim ≤ 1.3", turns.ratio()));
}

fn main() {
    if wanted() {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
        measure(directory.path());
    }
}
