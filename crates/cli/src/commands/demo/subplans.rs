//! `agents demo --subplans`: one plan with ten subplans, of which one fails and two do not go
//! together, and what a person does about it.
//!
//! ```text
//! run ──► conflict ── git merge on the plan's branch ── retry ──► one failed
//!                     the cause is mended ── retry --only-failed ──► complete ── apply ──► applied
//! ```
//!
//! The commands are this program in processes of its own; what a person would do by hand the demo
//! does with git and a file, and says so.

mod actions;
mod family;
mod story;

use serde_json::json;

use agents_infrastructure::git::Git;

use crate::app::Base;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report};

use super::scene::Scene;
use family::Family;
use story::Story;

/// Plays the demo, and shows each subplan after the run, after the conflict, and in the end.
pub fn demo_subplans(base: &Base) -> Result<Report, Failure> {
    Git::default().check()?;
    base.progress.transition("demo: a scratch repository");
    let scene = Scene::set(base)?;
    actions::add(&scene)?;
    let app = scene.open(base)?;
    let mut story = Story::new(&scene, &base.progress);

    story.agents("ten subplans, in the order of what they need", &["run", "site", "demo"])?;
    let plan = family::head(&app)?;
    let first = Family::read(&app, plan)?;
    story.tree(plan)?;
    story.resolve(plan, &first)?;
    story.agents("the plan goes on", &["plan", "retry", plan.as_str()])?;
    let then = Family::read(&app, plan)?;
    story.mend()?;
    let again = ["plan", "retry", plan.as_str(), "--only-failed"];
    story.agents("what failed has new attempts, what was skipped a successor", &again)?;
    story.agents("the work of all lands, as one", &["plan", "apply", plan.as_str()])?;
    let last = Family::read(&app, plan)?;
    story.tree(plan)?;
    base.progress.finish();

    let (home, repository) = (scene.home.display().to_string(), scene.repository.display().to_string());
    let data = json!({
        "home": home,
        "repository": repository,
        "plan_id": plan.as_str(),
        "commits": scene.commits()?,
        "steps": story.data(),
        "subplans": family::data([&first, &then, &last]),
    });
    let exit = if last.is_applied() && first.is_mixed() { Exit::Done } else { Exit::Internal };
    let table = Body::Table(family::table([&first, &then, &last]));
    let report = Report { body: table, exit, ..Report::of(data) };
    let report = story.messages().into_iter().fold(report, Report::message);
    Ok(report
        .message(format!("the result: {repository} (git log --graph main)"))
        .message(format!("the plan: AGENTS_HOME={home} agents plan events {plan}"))
        .message(format!("and clear it away: rm -r {}", scene.root.display())))
}
