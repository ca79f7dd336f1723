//! Trouble with remotes: what hangs, what is from a past life, what is in the way, and what stays behind.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use agents_domain::housekeeping::Leftovers as _;
use agents_domain::id::IntentId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{
    Head, Intent, Landing, Landings as _, Project, WorkspaceError, Worktrees as _,
};
use agents_infrastructure::git::{Git, GitWorkspace};

use crate::escort::ESCORT;
use crate::fixture::{PLAN, commit, fifo, git, oid, plan, script, token, write};
use crate::remote::{Shared, branch, machine};

/// The machine `one`, which waits no longer than that for its remote.
fn impatient(shared: &Shared, limit: Duration) -> GitWorkspace {
    let state = shared.fixture.base().join("state");
    GitWorkspace::new(shared.fixture.git().with_remote_limit(limit), &state).on(machine("one"), &state)
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended_and_what_became_of_the_landing_is_unknown() {
    is_ended(Git::clone).await;
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended_by_the_escort_of_its_git() {
    is_ended(|git| git.clone().with_escort(ESCORT)).await;
}

async fn is_ended(made: fn(&Git) -> Git) {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let (hook, base) = (shared.bare.join("hooks/pre-receive"), shared.fixture.base());
    let (never, pid) = (fifo(&base.join("never")), base.join("pid"));
    fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    script(&hook, &format!("#!/bin/sh\necho $$ > {}\nread x < {}\n", pid.display(), never.display()));
    let git = made(&shared.fixture.git().with_remote_limit(Duration::from_secs(3)));
    let state = shared.fixture.base().join("state");
    let impatient = GitWorkspace::new(git, &state).on(machine("one"), &state);
    let landed = shared.land(&impatient, &intent).await;
    let Err(WorkspaceError::LandingUnknown { reason, .. }) = &landed else { panic!("{landed:?}") };
    assert!(reason.contains("did not end within 3 s") && reason.contains("remote_timeout"), "{reason}");
    let hung = fs::read_to_string(&pid).expect("it ran");
    // One that nobody has taken notice of yet is dead, too.
    let left = fs::read_to_string(Path::new("/proc").join(hung.trim()).join("stat")).unwrap_or_default();
    assert!(left.is_empty() || left.contains(") Z "), "nothing of it is left: {left}");
    fs::remove_file(&hook).expect("gone");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

/// What ssh does that shares its connection, and a helper that keeps passwords.
#[tokio::test]
async fn a_process_that_git_leaves_behind_is_not_waited_for() {
    let shared = Shared::new();
    let never = fifo(&shared.fixture.base().join("never"));
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *ls-remote*|*push*|*fetch*) (read x < {}) & ;; esac\nexec git \"$@\"\n",
        never.display()
    );
    let script = script(&shared.fixture.base().join("leaving-git"), &text);
    let git = shared.fixture.git().with_program(script).with_remote_limit(Duration::from_secs(20));
    let state = shared.fixture.base().join("state");
    let leaving = GitWorkspace::new(git, &state).on(machine("one"), &state);
    let intent = shared.ready(&leaving).await;
    assert_eq!(shared.land(&leaving, &intent).await, Ok(Landing::Landed));
    // Whoever waits on it goes on, and ends.
    File::options().read(true).write(true).open(&never).expect("it is there");
}

#[tokio::test]
async fn behind_a_fetch_that_does_not_end_nobody_waits_for_ever() {
    let shared = Shared::new();
    shared.pushed("x");
    let lock = shared.fixture.repo.join(".git/agents-remote.lock");
    let held = File::create(lock).expect("made");
    held.lock().expect("free");
    let waits = impatient(&shared, Duration::from_secs(2));
    let told = waits.head(&shared.project).await.expect_err("another fetches");
    let WorkspaceError::Remote { reason, .. } = &told else { panic!("{told:?}") };
    assert!(reason.contains("another process fetches from it, since 2 s"), "{reason}");
    drop(held);
    waits.head(&shared.project).await.expect("free");
}

#[tokio::test]
async fn a_branch_that_is_gone_on_the_remote_is_not_in_the_way_of_one_below_its_name() {
    let shared = Shared::new();
    let repo = &shared.fixture.repo;
    for (name, at) in [("refs/heads/a", "main"), ("refs/tags/t", "main"), ("refs/remotes/origin/a", "main")] {
        git(repo, &["update-ref", name, at]);
    }
    git(repo, &["config", "fetch.pruneTags", "true"]);
    let users = git(repo, &["for-each-ref", "refs/heads", "refs/tags", "refs/remotes"]);
    let (_, unknown) =
        (git(&shared.bare, &["branch", "a", "main"]), Oid::parse(&"1".repeat(40)).expect("an id"));
    for workspace in [&shared.one, &shared.two] {
        assert_eq!(workspace.holds(&shared.project, plan(), &unknown).await, Ok(false));
    }
    git(&shared.bare, &["branch", "-D", "a"]);
    git(&shared.bare, &["branch", "a/b", "main"]);
    for workspace in [&shared.one, &shared.two] {
        assert_eq!(workspace.holds(&shared.project, plan(), &unknown).await, Ok(false));
    }
    let fetched = git(repo, &["for-each-ref", "--format=%(refname)", "refs/agents/fetched"]);
    assert_eq!(fetched, "refs/agents/fetched/heads/a/b\nrefs/agents/fetched/heads/main");
    assert_eq!(git(repo, &["for-each-ref", "refs/heads", "refs/tags", "refs/remotes"]), users);
}

#[tokio::test]
async fn a_project_may_land_on_a_branch_below_one_that_it_once_landed_on() {
    let shared = Shared::new();
    let on = |branch: &str| Project { branch: branch.to_owned(), ..shared.project.clone() };
    let new = async |named: &str| {
        let tree = git(&shared.bare, &["rev-parse", "main^{tree}"]);
        let made = git(&shared.bare, &["commit-tree", &tree, "-p", "main", "-m", named]);
        git(&shared.bare, &["branch", named, &made]);
        let head = shared.two.head(&on(named)).await;
        assert!(matches!(&head, Ok(Head { commit, .. }) if commit.as_str() == made), "{head:?}");
    };
    new("a").await;
    git(&shared.bare, &["branch", "-D", "a"]);
    new("a/b").await;
}

/// An attempt of that machine, from where the target is; what is recorded of it afterwards.
async fn attempted(shared: &Shared, on: &GitWorkspace, attempt: u32) -> Oid {
    let start = on.head(&shared.project).await.expect("within reach").commit;
    let dir = on.open(&shared.slot(attempt), &start, &[]).await.expect("opened");
    write(&dir, &format!("made-{attempt}"), "new\n");
    let made = on.snapshot(&shared.slot(attempt), &start, token(7), &[]).await.expect("a snapshot").commit;
    on.close(&shared.slot(attempt)).await.expect("closed");
    made
}

#[tokio::test]
async fn a_branch_from_a_past_life_on_another_machine_gives_way_to_what_counts() {
    for missed in [true, false] {
        let shared = Shared::new();
        let first = shared.executed(&shared.two, 1, "made").await;
        // It is reverted, and executed anew on another machine, whose push is missed, or which dies before it.
        let found = shared.one.settle(&shared.project, plan(), None, &[]).await.expect("settled");
        assert_eq!(found, Some(first.clone()));
        let second = attempted(&shared, &shared.one, 2).await;
        if missed {
            let aside = shared.fixture.base().join("aside.git");
            fs::rename(&shared.bare, &aside).expect("moved");
            let advanced = shared.one.advance(&shared.project, plan(), found, &second).await;
            assert!(matches!(advanced, Err(WorkspaceError::Remote { .. })), "{advanced:?}");
            fs::rename(&aside, &shared.bare).expect("back");
        }
        assert_eq!(shared.one.unpushed(&shared.project, plan(), &second).await, Ok(true));
        let settle = async |earlier: &[Oid]| {
            shared.one.settle(&shared.project, plan(), Some(second.clone()), earlier).await
        };
        let stranger = settle(&[]).await;
        assert!(
            matches!(stranger, Err(WorkspaceError::RefMoved { .. })),
            "it may be anybody's: {stranger:?}"
        );
        assert_eq!(shared.branch(), Some(first.clone()));
        assert_eq!(settle(&[first]).await, Ok(Some(second.clone())), "the log says that it is the plan's");
        assert_eq!(shared.branch(), Some(second));
    }
}

#[tokio::test]
async fn with_nothing_recorded_the_branch_here_becomes_what_it_is_there() {
    let shared = Shared::new();
    let made = shared.executed(&shared.two, 1, "made").await;
    let here = format!("refs/heads/agents/plan-{PLAN}");
    let own = commit(&shared.fixture.repo, "own");
    git(&shared.fixture.repo, &["update-ref", &here, own.as_str()]);
    let settled = shared.one.settle(&shared.project, plan(), None, &[]).await;
    assert_eq!((settled, oid(&shared.fixture.repo, &here)), (Ok(Some(made.clone())), made));
    git(&shared.bare, &["update-ref", "-d", &here]);
    assert_eq!(shared.one.settle(&shared.project, plan(), None, &[]).await, Ok(None));
    assert_eq!(git(&shared.fixture.repo, &["for-each-ref", &here]), "");
}

#[tokio::test]
async fn what_was_shared_and_never_decided_on_goes_with_the_branch_of_its_plan() {
    let shared = Shared::new();
    let other = "01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let share = async |id: &str, of: &str| {
        let message = format!("fix: it\n\nAgents-Plan: {of}\n");
        let repo = &shared.fixture.repo;
        let new = Oid::parse(&git(repo, &["commit-tree", "main^{tree}", "-p", "main", "-m", &message]));
        let (id, new) = (IntentId::parse(id).expect("valid"), new.expect("an id"));
        let (project, reference) = (shared.project.name.clone(), shared.project.target_ref());
        let intent = Intent { id, project, reference, old: shared.fixture.head(), new };
        shared.one.share(&shared.project, &intent).await.expect("shared");
        intent.shared()
    };
    let (gone, stays) =
        (share("01BX5ZZKBKACTAV9WEVGEMMVRY", PLAN).await, share("01BX5ZZKBKACTAV9WEVGEMMVRZ", other).await);
    // The commits are unknown on the machine that prunes.
    shared.executed(&shared.two, 1, "made").await;
    let projects = [shared.project.clone()];
    let left = branch(shared.two.of(plan(), &projects).await.expect("looked"));
    shared.two.remove(&left, &projects).await.expect("removed");
    assert_eq!((shared.at(&gone), shared.at(&stays).is_some()), (None, true));
}
