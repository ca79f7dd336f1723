//! `agents demo`: a scratch repository, scripted commands, several plans at once, and two
//! processes racing for one of them; with `--subplans` one plan with ten subplans. Needs no key and
//! no network; touches nothing of the user's.
//!
//! What it shows is real: every step is this program in a process of its own, and the summary is
//! read from the event log that those processes left behind.

mod scene;
mod subplans;
mod summary;

use std::process::Child;

use agents_infrastructure::git::Git;
use serde_json::json;

use crate::app::Base;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report};

use scene::Scene;
pub use subplans::demo_subplans;

/// Plans that run side by side.
const GUESTS: [&str; 3] = ["ada", "grace", "edsger"];

/// Plays the demo and says who held which lock when.
pub fn demo(base: &Base) -> Result<Report, Failure> {
    Git::default().check()?;
    base.progress.transition("demo: a scratch repository");
    let scene = Scene::set(base)?;
    scene.add("greet", scene::GREET)?;
    base.progress.transition(&format!("demo: {} plans at once, each to its landing", GUESTS.len()));
    let runs: Vec<Child> = GUESTS
        .iter()
        .map(|guest| scene.start(&["run", "greet", "demo", "--arg", &format!("who={guest}"), "--apply"]))
        .collect::<Result<_, _>>()?;
    let landed = runs.into_iter().map(scene::wait).collect::<Result<Vec<_>, _>>()?;
    base.progress.transition("demo: two processes race for one plan");
    let raced = scene.agents(&["-q", "plan", "use", "greet", "demo", "--arg", "who=race"])?;
    let plan = raced.trim();
    let racers = [scene.start(&["plan", "execute", plan])?, scene.start(&["plan", "execute", plan])?];
    let mut race = racers.into_iter().map(scene::wait).collect::<Result<Vec<_>, _>>()?;
    race.sort_unstable();
    scene.agents(&["plan", "apply", plan])?;
    base.progress.finish();
    let terms = summary::terms(base, &scene)?;
    let commits = scene.commits()?;
    let home = scene.home.display().to_string();
    let data = json!({
        "home": home,
        "repository": scene.repository.display().to_string(),
        "commits": commits,
        "runs": landed,
        "race": race,
        "locks": summary::data(&terms),
    });
    let exit = if landed.iter().all(|code| *code == 0) && race[0] == 0 { Exit::Done } else { Exit::Internal };
    let report = Report { body: Body::Table(summary::table(&terms)), exit, ..Report::of(data) };
    Ok(report
        .message(format!("{} plans landed on one branch, one after the other", GUESTS.len() + 1))
        .message(verdict(&race))
        .message(format!("look around: AGENTS_HOME={home} agents plan list"))
        .message(format!("and clear it away: rm -r {}", scene.root.display())))
}

fn verdict(race: &[i32]) -> String {
    match race {
        [0, 4] => "of two racing processes one moved the plan, the other was refused (exit 4)".to_owned(),
        [0, 0] => "of two racing processes one moved the plan, the other found it done (exit 0)".to_owned(),
        other => format!("the race ended with {other:?}"),
    }
}
