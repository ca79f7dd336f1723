//! Steps that make repositories, actions and plans.

use std::os::unix::fs::PermissionsExt as _;

use cucumber::gherkin::Step;
use cucumber::{given, when};

use crate::repository::Repository;
use crate::world::World;

#[given(expr = "a repository {string}")]
async fn repository(world: &mut World, name: String) {
    if world.repositories.is_empty() {
        world.must("init").await;
    }
    let path = world.root().join(&name);
    world.repositories.insert(name.clone(), Repository::create(path));
    world.must(&format!("project add ROOT/{name} --name local/{name}")).await;
}

#[given(expr = "an action {string} that runs")]
async fn scripted_action(world: &mut World, name: String, step: &Step) {
    let script = step.docstring().expect("a script").trim().replace('\n', "\n    ");
    add(world, &format!("name: local/{name}\ndescription: A test\nexecute:\n  shell: |\n    {script}\n"))
        .await;
}

#[given("the action")]
async fn action(world: &mut World, step: &Step) {
    add(world, step.docstring().expect("a file").trim_start_matches('\n')).await;
}

async fn add(world: &mut World, text: &str) {
    let text = world.said(text);
    world.pauses.prepare(&text);
    std::fs::write(world.root().join("action.yaml"), text).expect("written");
    world.must("action add ROOT/action.yaml").await;
}

#[given(expr = "a plan of {string} on {string}")]
async fn plan(world: &mut World, action: String, projects: String) {
    make(world, "PLAN", &action, &projects).await;
}

#[given(expr = "a plan {word} of {string} on {string}")]
async fn named_plan(world: &mut World, name: String, action: String, projects: String) {
    make(world, &name, &action, &projects).await;
}

#[given(expr = "an executed plan of {string} on {string}")]
async fn executed_plan(world: &mut World, action: String, projects: String) {
    make(world, "PLAN", &action, &projects).await;
    world.must("plan execute PLAN").await;
}

#[given(expr = "an executed plan {word} of {string} on {string}")]
async fn named_executed_plan(world: &mut World, name: String, action: String, projects: String) {
    make(world, &name, &action, &projects).await;
    world.must("plan execute PLAN").await;
}

/// An action that may be refused.
#[when("I add the action")]
async fn try_action(world: &mut World, step: &Step) {
    let text = step.docstring().expect("a file").trim_start_matches('\n');
    std::fs::write(world.root().join("action.yaml"), text).expect("written");
    world.run("action add ROOT/action.yaml").await;
}

#[given(expr = "the variable {string} is {string}")]
fn set_variable(world: &mut World, name: String, value: String) {
    world.variables.insert(name, value);
}

#[given(expr = "the file {string} is there")]
fn is_there(world: &mut World, file: String) {
    std::fs::write(world.root().join(file), "").expect("written");
}

#[given(expr = "the file {string} says {string}")]
fn file_with(world: &mut World, file: String, text: String) {
    std::fs::write(world.root().join(file), text + "\n").expect("written");
}

#[given(expr = "the folder {string} is there")]
fn folder_is_there(world: &mut World, folder: String) {
    std::fs::create_dir_all(world.root().join(folder)).expect("made");
}

/// Projects are named with spaces between them. The plan is known by its name, and as `PLAN`
/// until the next one.
async fn make(world: &mut World, name: &str, action: &str, projects: &str) {
    let id = world.must(&format!("-q plan use {action} {projects}")).await.out.trim().to_owned();
    world.words.insert(name.to_owned(), id.clone());
    // Plans of one day begin alike.
    world.words.insert("SHORT".to_owned(), id[..4].to_owned());
    world.words.insert("PLAN".to_owned(), id);
}

#[given(expr = "commands get a grace of {word}")]
fn grace(world: &mut World, length: String) {
    world.words.insert("GRACE".to_owned(), length);
}

#[given(regex = r"^there (?:is|are) (\d+) places? for commands$")]
fn places(world: &mut World, number: String) {
    world.variables.insert("AGENTS_CONCURRENCY".to_owned(), number);
}

/// Whoever is first to move a branch for a landing stops before and after it. Its stdout leads
/// nowhere, or the end of a driver that reads it would end it too.
#[given("a git that stops before it lands")]
fn stopping_git(world: &mut World) {
    stop_git(world, "");
}

/// The same for whoever is second.
#[given("a git that stops before its second landing")]
fn stopping_git_later(world: &mut World) {
    let first = format!("mkdir '{}/first' 2>/dev/null && exec \"$real\" \"$@\"; ", world.root().display());
    stop_git(world, &first);
}

/// One that speaks with a remote goes on if whoever started it has ended: what has been sent to a server is
/// under way. So its work is done in a session of its own.
fn stop_git(world: &mut World, unless: &str) {
    let script = "pause git || exit 1\n\"$real\" \"$@\" > /dev/null\ncode=$?\npause thawed\nexit $code\n";
    world.pauses.prepare(script);
    let (bin, root) = (world.root().join("bin"), world.root().display());
    let real = "#!/bin/sh\nreal=$(PATH=${PATH#*:} command -v git)\n";
    let late = bin.join("late-git");
    let text = format!(
        "{real}\
         case \"$*\" in\n*'agents: landing'* | *push*refs/agents/landed/*) {unless}mkdir '{root}/landing' 2>/dev/null || exec \"$real\" \"$@\" ;;\n\
         *) exec \"$real\" \"$@\" ;;\nesac\n\
         case \"$*\" in\n*push*) setsid '{late}' \"$@\" & wait $! ;;\n*) exec '{late}' \"$@\" ;;\nesac\n",
        late = late.display()
    );
    let executable = std::fs::Permissions::from_mode(0o755);
    for (path, text) in [(bin.join("git"), text), (late, format!("{real}{script}"))] {
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, executable.clone()).expect("executable");
    }
}

/// Git may write small files only, for as long as `room` is not there; the system refuses the rest,
/// as a full disk does.
#[given("a disk without room for big files")]
fn full_disk(world: &mut World) {
    let (bin, root) = (world.root().join("bin"), world.root().display());
    let text = format!(
        "#!/bin/sh\nreal=$(PATH=${{PATH#*:}} command -v git)\n\
         if [ ! -e '{root}/room' ]; then trap '' XFSZ; ulimit -f 32; fi\nexec \"$real\" \"$@\"\n"
    );
    std::fs::write(bin.join("git"), text).expect("written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("git"), executable).expect("executable");
}

#[given("there is room again")]
fn room(world: &mut World) {
    std::fs::write(world.root().join("room"), "").expect("written");
}
