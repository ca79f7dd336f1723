//! Projects with a remote: two machines, each with a state directory, and a bare repository between.

use std::fs;
use std::path::{Path, PathBuf};

use agents_domain::action::MergeStrategy;
use agents_domain::housekeeping::{Leftover, LeftoverKind, Leftovers as _};
use agents_domain::id::IntentId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{
    Intent, Landing, Landings as _, Machine, MergeRequest, Merged, Project, Remote, Slot, WorkspaceError,
    Worktrees as _,
};
use agents_infrastructure::git::{GitWorkspace, Tip, plan_tip};

use crate::fixture::{Fixture, commit, git, oid, plan, token, try_git, write};

/// The checkout of `fixture` is on the machine `one`; `two` has none.
pub(crate) struct Shared {
    pub(crate) fixture: Fixture,
    pub(crate) bare: PathBuf,
    pub(crate) project: Project,
    pub(crate) one: GitWorkspace,
    pub(crate) two: GitWorkspace,
}

pub(crate) fn machine(id: &str) -> Machine {
    Machine { id: id.to_owned(), host: format!("{id}-host") }
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self::over(|bare| format!("file://{}", bare.display()))
    }

    pub(crate) fn over(url: impl FnOnce(&Path) -> String) -> Self {
        let fixture = Fixture::new();
        let bare = fixture.base().join("far.git");
        git(&fixture.base(), &["init", "-q", "--bare", "--template=", "-b", "main", "far.git"]);
        git(&fixture.repo, &["push", "-q", bare.to_str().expect("UTF-8"), "main"]);
        let remote = Some(Remote { url: url(&bare), push_snapshots: false });
        let project = Project { machine: Some(machine("one")), remote, ..fixture.project.clone() };
        let at = |state: &str, id: &str| {
            let state = fixture.base().join(state);
            GitWorkspace::new(fixture.git(), &state).on(machine(id), &state)
        };
        let (one, two) = (at("state", "one"), at("state-two", "two"));
        Self { fixture, bare, project, one, two }
    }

    pub(crate) fn with_snapshots(mut self) -> Self {
        self.project.remote.as_mut().expect("it has one").push_snapshots = true;
        self
    }

    pub(crate) fn slot(&self, attempt: u32) -> Slot {
        Slot { plan: plan(), attempt, project: self.project.clone() }
    }

    pub(crate) fn at(&self, reference: &str) -> Option<Oid> {
        let said = try_git(&self.bare, &["rev-parse", "-q", "--verify", &format!("{reference}^{{commit}}")]);
        Oid::parse(String::from_utf8_lossy(&said.stdout).trim()).ok()
    }

    pub(crate) fn main(&self) -> Oid {
        self.at("refs/heads/main").expect("there")
    }

    pub(crate) fn branch(&self) -> Option<Oid> {
        self.at(&format!("refs/heads/agents/plan-{}", plan()))
    }

    /// Somebody pushes a commit to `main`.
    pub(crate) fn pushed(&self, file: &str) -> Oid {
        let clone = self.fixture.base().join(format!("clone-{file}"));
        let (from, to) = (self.bare.to_str().expect("UTF-8"), clone.to_str().expect("UTF-8"));
        git(&self.fixture.base(), &["clone", "-q", from, to]);
        write(&clone, file, "theirs\n");
        let made = commit(&clone, "theirs");
        git(&clone, &["push", "-q", "origin", "main"]);
        made
    }

    /// An attempt of that machine that writes a file, and moves the plan branch.
    pub(crate) async fn executed(&self, on: &GitWorkspace, attempt: u32, file: &str) -> Oid {
        let start = on.head(&self.project).await.expect("within reach").commit;
        let old = on.settle(&self.project, plan(), None, &[]).await.expect("settled");
        let dir = on.open(&self.slot(attempt), old.as_ref().unwrap_or(&start), &[]).await.expect("opened");
        write(&dir, file, "new\n");
        let made = on.snapshot(&self.slot(attempt), &start, token(7), &[]).await.expect("a snapshot").commit;
        on.close(&self.slot(attempt)).await.expect("closed");
        on.advance(&self.project, plan(), old, &made).await.expect("advanced");
        made
    }

    pub(crate) async fn prepared(&self, on: &GitWorkspace, tip: &Oid) -> Intent {
        let (project, tip, strategy) = (self.project.clone(), tip.clone(), MergeStrategy::Merge);
        let message = "fix: it".to_owned();
        let request = MergeRequest { plan: plan(), project, tip, strategy, message, exclusive: false };
        let Merged::Clean { old, new } = on.merge(&request).await.expect("merged") else {
            panic!("not clean")
        };
        let intent = Intent {
            id: IntentId::parse("01BX5ZZKBKACTAV9WEVGEMMVRZ").expect("valid"),
            project: self.project.name.clone(),
            reference: self.project.target_ref(),
            old,
            new,
        };
        on.share(&self.project, &intent).await.expect("shared");
        intent
    }

    pub(crate) async fn ready(&self, on: &GitWorkspace) -> Intent {
        let tip = self.executed(on, 1, "made").await;
        self.prepared(on, &tip).await
    }

    pub(crate) async fn land(&self, on: &GitWorkspace, intent: &Intent) -> Result<Landing, WorkspaceError> {
        on.land(&self.project, intent).await
    }
}

#[tokio::test]
async fn a_plan_starts_from_the_remote_and_what_is_not_pushed_is_told() {
    let shared = Shared::new();
    let theirs = shared.pushed("x");
    write(&shared.fixture.repo, "own", "not pushed\n");
    let own = commit(&shared.fixture.repo, "own");
    let head = shared.one.head(&shared.project).await.expect("within reach");
    assert_eq!((&head.commit, head.dirty, head.unpushed), (&theirs, false, true));
    assert_eq!(oid(&shared.fixture.repo, "main"), own, "the checkout is as it was");
    let head = shared.two.head(&shared.project).await.expect("within reach");
    assert_eq!((head.commit, head.dirty, head.unpushed), (theirs, false, false));
}

#[tokio::test]
async fn a_machine_without_a_checkout_works_in_a_mirror_and_another_goes_on() {
    let shared = Shared::new();
    let made = shared.executed(&shared.two, 1, "by-two").await;
    assert_eq!(shared.branch(), Some(made.clone()));
    let settled = shared.one.settle(&shared.project, plan(), Some(made.clone()), &[]).await;
    assert_eq!(settled, Ok(Some(made)));
    let more = shared.executed(&shared.one, 2, "by-one").await;
    assert_eq!(shared.branch(), Some(more.clone()));
    let settled = shared.two.settle(&shared.project, plan(), Some(more.clone()), &[]).await;
    assert_eq!(settled, Ok(Some(more.clone())));
    let listed = git(&shared.bare, &["ls-tree", "--name-only", more.as_str()]);
    assert!(listed.contains("by-one") && listed.contains("by-two"), "{listed}");
    let mirrors = fs::read_dir(shared.fixture.base().join("state-two/mirrors")).expect("made");
    assert_eq!(mirrors.count(), 2, "a mirror and its lock");
    assert!(!shared.fixture.base().join("state/mirrors").exists(), "with a checkout there is none");
}

#[tokio::test]
async fn a_project_without_a_remote_is_refused_on_another_machine() {
    let shared = Shared::new();
    let project = Project { remote: None, ..shared.project.clone() };
    assert!(shared.one.head(&project).await.is_ok());
    let error = shared.two.head(&project).await.expect_err("elsewhere");
    assert!(matches!(&error, WorkspaceError::NotHere(not_here) if not_here.machine == machine("one")));
}

#[tokio::test]
async fn snapshots_stay_on_their_machine_unless_told() {
    let shared = Shared::new();
    shared.executed(&shared.two, 1, "made").await;
    let refs = |shared: &Shared| git(&shared.bare, &["for-each-ref", "--format=%(refname)"]);
    assert!(!refs(&shared).contains("refs/agents"), "{}", refs(&shared));
    let shared = Shared::new().with_snapshots();
    let made = shared.executed(&shared.two, 1, "made").await;
    assert_eq!(shared.at(&format!("refs/agents/{}/1/7/local/api", plan())), Some(made));
}

#[tokio::test]
async fn what_is_on_another_machine_only_is_told_and_what_was_pushed_is_had() {
    for pushed in [false, true] {
        let shared = if pushed { Shared::new().with_snapshots() } else { Shared::new() };
        let start = shared.two.head(&shared.project).await.expect("within reach").commit;
        let dir = shared.two.open(&shared.slot(1), &start, &[]).await.expect("opened");
        write(&dir, "half", "done\n");
        let half = shared.two.snapshot(&shared.slot(1), &start, token(7), &[]).await.expect("taken").commit;
        let holds = shared.one.holds(&shared.project, plan(), &half).await;
        assert_eq!(holds, Ok(pushed));
        let opened = shared.one.open(&shared.slot(2), &half, &[]).await;
        assert_eq!(opened.is_ok(), pushed);
        if let Err(error) = opened {
            assert!(matches!(error, WorkspaceError::NoCommit { commit, .. } if commit == half));
        }
    }
}

#[tokio::test]
async fn files_to_copy_are_only_where_the_checkout_is() {
    let shared = Shared::new();
    write(&shared.fixture.repo, ".env", "secret\n");
    let start = shared.two.head(&shared.project).await.expect("within reach").commit;
    let copy = [".env".to_owned()];
    assert!(shared.one.open(&shared.slot(1), &start, &copy).await.is_ok());
    let error = shared.two.open(&shared.slot(2), &start, &copy).await.expect_err("nothing to copy from");
    assert!(error.to_string().contains("one-host"), "{error}");
}

#[tokio::test]
async fn results_that_could_not_be_pushed_are_pushed_when_the_plan_goes_on_here() {
    let shared = Shared::new();
    let start = shared.one.head(&shared.project).await.expect("within reach").commit;
    let dir = shared.one.open(&shared.slot(1), &start, &[]).await.expect("opened");
    write(&dir, "made", "new\n");
    let made = shared.one.snapshot(&shared.slot(1), &start, token(7), &[]).await.expect("taken").commit;
    let aside = shared.fixture.base().join("aside.git");
    fs::rename(&shared.bare, &aside).expect("moved");
    let advanced = shared.one.advance(&shared.project, plan(), None, &made).await;
    assert!(matches!(advanced, Err(WorkspaceError::Remote { .. })), "{advanced:?}");
    fs::rename(&aside, &shared.bare).expect("back");
    let unpushed = async |on: &GitWorkspace| on.unpushed(&shared.project, plan(), &made).await;
    assert_eq!((unpushed(&shared.one).await, unpushed(&shared.two).await), (Ok(true), Ok(false)));
    let elsewhere = shared.two.settle(&shared.project, plan(), Some(made.clone()), &[]).await;
    assert!(matches!(&elsewhere, Err(WorkspaceError::NoCommit { commit, .. }) if *commit == made));
    assert_eq!(
        shared.one.settle(&shared.project, plan(), Some(made.clone()), &[]).await,
        Ok(Some(made.clone()))
    );
    assert_eq!(shared.branch(), Some(made.clone()));
    assert_eq!(unpushed(&shared.one).await, Ok(false));
    assert_eq!(
        shared.two.settle(&shared.project, plan(), Some(made.clone()), &[]).await,
        Ok(Some(made.clone()))
    );
    assert_eq!(unpushed(&shared.two).await, Ok(false), "it has it from there");
}

#[tokio::test]
async fn what_a_person_pushed_on_top_of_the_plan_branch_is_gone_on_from() {
    let shared = Shared::new();
    let made = shared.executed(&shared.one, 1, "made").await;
    let clone = shared.fixture.base().join("person");
    let branch = format!("agents/plan-{}", plan());
    let (from, to) = (shared.bare.to_str().expect("UTF-8"), clone.to_str().expect("UTF-8"));
    git(&shared.fixture.base(), &["clone", "-q", "-b", &branch, from, to]);
    write(&clone, "theirs", "x\n");
    let theirs = commit(&clone, "resolved");
    git(&clone, &["push", "-q", "origin", &branch]);
    for workspace in [&shared.one, &shared.two] {
        let settled = workspace.settle(&shared.project, plan(), Some(made.clone()), &[]).await;
        assert_eq!(settled, Ok(Some(theirs.clone())));
    }
}

#[tokio::test]
async fn who_looks_at_a_result_sees_the_newest_and_hears_if_the_remote_is_away() {
    let shared = Shared::new();
    let (git_program, branch) = (shared.fixture.git(), format!("refs/heads/agents/plan-{}", plan()));
    let tip = |recorded: &Oid| plan_tip(&git_program, &shared.project, plan(), recorded).expect("looked");
    let first = shared.executed(&shared.one, 1, "made").await;
    assert_eq!(tip(&first), Tip { commit: first.clone(), unasked: None });
    // Another machine goes on; the branch here stays where it was.
    let second = shared.executed(&shared.two, 2, "more").await;
    assert_eq!(tip(&second), Tip { commit: second.clone(), unasked: None });
    assert_eq!(oid(&shared.fixture.repo, &branch), first);
    // What was not pushed is newer than what is there.
    git(&shared.fixture.repo, &["update-ref", &branch, second.as_str()]);
    git(&shared.bare, &["update-ref", &branch, first.as_str()]);
    assert_eq!(tip(&second).commit, second);
    assert_eq!(tip(&first).commit, second);
    // So is what a person pushed on top.
    let theirs =
        git(&shared.bare, &["commit-tree", &format!("{second}^{{tree}}"), "-p", second.as_str(), "-m", "x"]);
    git(&shared.bare, &["update-ref", &branch, &theirs]);
    assert_eq!(tip(&second).commit.as_str(), theirs);
    git(&shared.bare, &["update-ref", &branch, first.as_str()]);
    // One from a past life counts neither there nor here.
    let aside = commit(&shared.fixture.repo, "aside");
    git(&shared.fixture.repo, &["update-ref", &branch, aside.as_str()]);
    assert_eq!(tip(&second).commit, second);
    fs::rename(&shared.bare, shared.fixture.base().join("aside.git")).expect("moved");
    let away = tip(&second);
    assert_eq!(away.commit, second);
    assert!(matches!(away.unasked, Some(WorkspaceError::Remote { .. })), "{away:?}");
}

#[tokio::test]
async fn a_plan_branch_that_is_pruned_goes_on_the_remote_too_unless_somebody_moved_it_there() {
    let shared = Shared::new();
    let made = shared.executed(&shared.two, 1, "made").await;
    let projects = [shared.project.clone()];
    let left = branch(shared.two.of(plan(), &projects).await.expect("looked"));
    let name = format!("refs/heads/agents/plan-{}", plan());
    git(&shared.bare, &["update-ref", &name, "main"]);
    let moved = shared.two.remove(&left, &projects).await;
    assert!(matches!(moved, Err(WorkspaceError::Remote { .. })), "{moved:?}");
    git(&shared.bare, &["update-ref", &name, made.as_str()]);
    shared.two.remove(&left, &projects).await.expect("removed");
    assert_eq!(shared.branch(), None);
    assert_eq!(shared.one.of(plan(), &projects).await.expect("looked"), [], "nothing of it is elsewhere");
}

/// The plan branch among what was left.
pub(crate) fn branch(left: Vec<Leftover>) -> Leftover {
    left.into_iter().find(|left| matches!(left.kind, LeftoverKind::Branch { .. })).expect("it is here")
}
