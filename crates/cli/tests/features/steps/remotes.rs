//! Steps about several machines: each has a home of its own, and they share a database and a remote.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use cucumber::{given, then, when};
use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::sqlite::SqliteConnection;

use crate::repository::{Repository, git_in};
use crate::world::World;

/// The repository `far`, and a checkout of it that the machine `alpha` has registered.
#[given(expr = "a repository {string} that machines share")]
async fn shared(world: &mut World, name: String) {
    on(world, "alpha");
    world.must("init").await;
    let repository = Repository::create(world.root().join(&name));
    let far = world.root().join("far.git");
    git_in(world.root(), &["init", "-q", "--bare", "--template=", "-b", "main", "far.git"]);
    repository.git(&["remote", "add", "origin", &far.display().to_string()]);
    repository.git(&["push", "-q", "origin", "main", "start"]);
    world.repositories.insert(name.clone(), repository);
    world.repositories.insert("far".to_owned(), Repository { path: far });
    world.must(&format!("project add ROOT/{name} --name local/{name} --remote origin")).await;
}

#[given(expr = "I am on the machine {string}")]
#[when(expr = "I am on the machine {string}")]
#[then(expr = "I am on the machine {string}")]
fn machine(world: &mut World, name: String) {
    on(world, &name);
}

/// Each machine has its own state directory; the database is that of the server, or the file of `alpha`.
fn on(world: &mut World, name: &str) {
    let home = if name == "alpha" { world.root().join("home") } else { world.root().join(name) };
    std::fs::create_dir_all(home.join("state")).expect("a home");
    world.variables.insert("AGENTS_MACHINE".to_owned(), name.to_owned());
    if world.server.is_none() {
        let database = world.database().display().to_string();
        world.variables.insert("AGENTS_DATABASE_URL".to_owned(), database);
    }
    world.home = Some(home);
}

#[given(expr = "the remote refuses pushes to {string}")]
fn protect(world: &mut World, branch: String) {
    let hook = hook(world);
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
    let text = format!(
        "#!/bin/sh\n[ \"$1\" != refs/heads/{branch} ] || {{ echo '{branch} is protected'; exit 1; }}\n"
    );
    std::fs::write(&hook, text).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Its hook reads from where nobody writes.
#[given(expr = "the remote hangs in pushes to {string}")]
fn hang(world: &mut World, branch: String) {
    let (hook, never) = (hook(world), world.root().join("never"));
    assert!(std::process::Command::new("mkfifo").arg(&never).status().expect("mkfifo runs").success());
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
    let text = format!("#!/bin/sh\n[ \"$1\" != refs/heads/{branch} ] || read x < '{}'\n", never.display());
    std::fs::write(&hook, text).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Its hook stops before it lets the push through; as long as it, or a git that waits for it, is there, somebody
/// can write to that pipe.
#[given(expr = "the remote stops in pushes to {string}, and holds {string} meanwhile")]
fn stop_at(world: &mut World, branch: String, pipe: String) {
    let (hook, pipe) = (hook(world), world.root().join("pauses").join(pipe));
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
    world.pauses.prepare("pause push");
    let pipe = pipe.display();
    let text =
        format!("#!/bin/sh\n[ \"$1\" = refs/heads/{branch} ] || exit 0\nexec 9> '{pipe}'\npause push\n");
    std::fs::write(&hook, text).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

/// The first of them; all that come are written down.
#[given("the remote stops when the result of a plan is pushed")]
fn stop_at_plans(world: &mut World) {
    let (hook, root) = (hook(world), world.root().display().to_string());
    std::fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
    let script = format!("echo \"$1\" >> '{root}/pushed'; pause push");
    world.pauses.prepare(&script);
    let text = format!("#!/bin/sh\ncase \"$1\" in refs/heads/agents/plan-*) {script} ;; esac\n");
    std::fs::write(&hook, text).expect("written");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("executable");
}

#[when("the remote takes pushes again")]
fn unprotect(world: &mut World) {
    std::fs::remove_file(hook(world)).expect("it was there");
}

fn hook(world: &World) -> PathBuf {
    world.root().join("far.git/hooks/update")
}

#[given("the remote is out of reach")]
#[when("the remote is out of reach")]
fn away(world: &mut World) {
    std::fs::rename(world.root().join("far.git"), world.root().join("away.git")).expect("moved");
}

#[given("the remote is back")]
#[when("the remote is back")]
fn back(world: &mut World) {
    std::fs::rename(world.root().join("away.git"), world.root().join("far.git")).expect("moved back");
}

/// By a program that did not yet refuse it.
#[given(expr = "the remote was registered as {string}")]
fn registered(world: &mut World, url: String) {
    let sql = format!("UPDATE projects SET remote = '{url}'");
    if let Some(server) = &world.server {
        server.connect().batch_execute(&sql).expect("noted");
    } else {
        let path = world.database();
        let connection = SqliteConnection::establish(path.to_str().expect("utf-8"));
        connection.expect("opens").batch_execute(&sql).expect("noted");
    }
}

#[then(expr = "the machine {string} has a mirror")]
fn mirror(world: &mut World, name: String) {
    let mirrors = world.root().join(name).join("state/mirrors");
    let found = std::fs::read_dir(mirrors).expect("made").flatten();
    assert!(found.into_iter().any(|entry| entry.path().join("HEAD").is_file()));
}

#[then(expr = "in the remote {int} commit(s) landed on {string}")]
fn landed(world: &mut World, number: usize, branch: String) {
    let far = world.repository("far");
    let made = far.git(&["rev-list", "--first-parent", &branch, "--not", "start"]);
    assert_eq!(made.lines().count(), number, "{made}");
    let markers = far.git(&["for-each-ref", "--format=%(refname)", "refs/agents/landed"]);
    assert_eq!(markers.lines().count(), number, "{markers}");
    assert_eq!(far.git(&["for-each-ref", "refs/agents/intended"]), "");
}

#[then(expr = "in the remote are the results of {int} plan(s)")]
fn results(world: &mut World, number: usize) {
    let there = world.repository("far").git(&["for-each-ref", "--format=%(refname)", "refs/heads/agents"]);
    assert_eq!(there.lines().count(), number, "{there}");
}

#[then("in the remote a landing is marked as given up")]
fn given_up(world: &mut World) {
    let far = world.repository("far");
    let format = "--format=%(*objectname) %(contents:subject)";
    let marked = far.git(&["for-each-ref", format, "refs/agents/landed"]);
    let start = far.git(&["rev-parse", "start"]);
    assert!(marked.starts_with(&format!("{start} Given up, nothing landed")), "{marked}");
    assert_eq!(far.git(&["for-each-ref", "refs/agents/intended"]), "");
}
