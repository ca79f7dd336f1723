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
use agents_infrastructure::git::GitWorkspace;

use crate::fixture::{Fixture, commit, fifo, git, oid, plan, script, token, try_git, write, written};

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

    fn with_snapshots(mut self) -> Self {
        self.project.remote.as_mut().expect("it has one").push_snapshots = true;
        self
    }

    fn slot(&self, attempt: u32) -> Slot {
        Slot { plan: plan(), attempt, project: self.project.clone() }
    }

    pub(crate) fn at(&self, reference: &str) -> Option<Oid> {
        let said = try_git(&self.bare, &["rev-parse", "-q", "--verify", &format!("{reference}^{{commit}}")]);
        Oid::parse(String::from_utf8_lossy(&said.stdout).trim()).ok()
    }

    pub(crate) fn main(&self) -> Oid {
        self.at("refs/heads/main").expect("there")
    }

    fn branch(&self) -> Option<Oid> {
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
    async fn executed(&self, on: &GitWorkspace, attempt: u32, file: &str) -> Oid {
        let start = on.head(&self.project).await.expect("within reach").commit;
        let old = on.settle(&self.project, plan(), None).await.expect("settled");
        let dir = on.open(&self.slot(attempt), old.as_ref().unwrap_or(&start), &[]).await.expect("opened");
        write(&dir, file, "new\n");
        let made = on.snapshot(&self.slot(attempt), &start, token(7), &[]).await.expect("a snapshot").commit;
        on.close(&self.slot(attempt)).await.expect("closed");
        on.advance(&self.project, plan(), old, &made).await.expect("advanced");
        made
    }

    async fn prepared(&self, on: &GitWorkspace, tip: &Oid) -> Intent {
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
    let settled = shared.one.settle(&shared.project, plan(), Some(made.clone())).await;
    assert_eq!(settled, Ok(Some(made)));
    let more = shared.executed(&shared.one, 2, "by-one").await;
    assert_eq!(shared.branch(), Some(more.clone()));
    let settled = shared.two.settle(&shared.project, plan(), Some(more.clone())).await;
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
async fn a_landing_is_one_push_of_branch_and_marker_and_the_checkout_stays() {
    let shared = Shared::new();
    let before = shared.fixture.head();
    let intent = shared.ready(&shared.one).await;
    assert_eq!(shared.at(&intent.shared()), Some(intent.new.clone()));
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.new.clone(), Some(intent.new.clone())));
    assert_eq!(shared.at(&intent.shared()), None, "not needed any more");
    shared.one.follow(&shared.project, &intent).await.expect("nothing to do");
    assert_eq!(shared.fixture.head(), before);
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed), "it has happened");
}

#[tokio::test]
async fn a_branch_reset_after_the_landing_is_not_moved_again() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    shared.land(&shared.one, &intent).await.expect("landed");
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.old);
}

/// A script in place of git that does something once, right before the first push of a landing.
fn meddling(shared: &Shared, what: &str) -> GitWorkspace {
    let once = shared.fixture.base().join("once");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *push*refs/agents/landed*) if mkdir {once} 2>/dev/null; then {what}; fi;; esac\n\
         exec git \"$@\"\n",
        once = once.display()
    );
    let script = script(&shared.fixture.base().join("meddling-git"), &text);
    let state = shared.fixture.base().join("state");
    GitWorkspace::new(shared.fixture.git().with_program(script), &state).on(machine("one"), &state)
}

/// The history in which a push that finds the marker in place would skip it, and move the branch.
#[tokio::test]
async fn a_frozen_process_that_thaws_after_landing_and_reset_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let bare = shared.bare.display();
    // Another lands, and a person resets the branch, between the look of this one and its push.
    let marker = intent.marker();
    let what = format!(
        "unset GIT_DIR; git --git-dir={bare} update-ref {marker} {new}; \
         git --git-dir={bare} update-ref refs/heads/main {old}",
        new = intent.new,
        old = intent.old
    );
    let frozen = meddling(&shared, &what);
    let outcome = shared.land(&frozen, &intent).await;
    assert!(shared.fixture.base().join("once").exists(), "it was interfered with");
    assert_eq!(shared.main(), intent.old, "{outcome:?}");
}

#[tokio::test]
async fn a_branch_that_somebody_moved_stays_and_one_that_moved_at_the_last_moment_too() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let away = Ok(Landing::MovedAway { found: Some(theirs.clone()) });
    assert_eq!(shared.land(&shared.one, &intent).await, away);
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let (bare, theirs) = (shared.bare.display(), {
        let tree = git(&shared.bare, &["rev-parse", "main^{tree}"]);
        git(&shared.bare, &["commit-tree", &tree, "-p", "main", "-m", "theirs"])
    });
    let rival = meddling(&shared, &format!("git --git-dir={bare} update-ref refs/heads/main {theirs}"));
    let found = Some(Oid::parse(&theirs).expect("an id"));
    assert_eq!(shared.land(&rival, &intent).await, Ok(Landing::MovedAway { found }));
    assert_eq!(shared.at(&intent.marker()), Some(intent.old.clone()), "given up, for good");
    assert_eq!(shared.at(&intent.shared()), None, "not needed any more");
}

#[tokio::test]
async fn what_was_given_up_does_not_land_once_the_remotes_branch_is_back() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    shared.pushed("x");
    shared.land(&shared.one, &intent).await.expect("looked");
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    for workspace in [&shared.one, &shared.two] {
        assert_eq!(shared.land(workspace, &intent).await, Ok(back.clone()));
    }
    assert_eq!(shared.main(), intent.old);
}

/// The history in which a lander freezes, its plan is given up, and somebody resets the branch.
#[tokio::test]
async fn a_frozen_process_that_thaws_after_its_landing_was_given_up_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let bare = shared.bare.display();
    let base = shared.fixture.base();
    let (away, given_up) = (fifo(&base.join("away")), fifo(&base.join("given-up")));
    let what = format!(
        "unset GIT_DIR; git --git-dir={bare} update-ref refs/heads/main {theirs}; echo > {}; read x < {}; \
         git --git-dir={bare} update-ref refs/heads/main {}",
        away.display(),
        given_up.display(),
        intent.old
    );
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.old.as_str()]);
    let frozen = meddling(&shared, &what);
    let (project, decided) = (shared.project.clone(), intent.clone());
    let late = tokio::spawn(async move { frozen.land(&project, &decided).await });
    written(away).await;
    let gone = Landing::MovedAway { found: Some(theirs) };
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(gone));
    fs::write(&given_up, "\n").expect("it waits");
    let back = Landing::MovedAway { found: Some(intent.old.clone()) };
    assert_eq!(late.await.expect("ran"), Ok(back));
    assert_eq!(shared.main(), intent.old);
}

#[tokio::test]
async fn who_cannot_mark_that_a_landing_is_given_up_does_not_give_it_up() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let theirs = shared.pushed("x");
    let hook = shared.bare.join("hooks/update");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    script(&hook, "#!/bin/sh\ncase $1 in refs/agents/landed/*) echo 'no marks'; exit 1;; esac\n");
    let refused = shared.land(&shared.one, &intent).await;
    assert!(matches!(&refused, Err(WorkspaceError::Remote { reason, .. }) if reason.contains("no marks")));
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.new.as_str()]);
    let refused = shared.land(&shared.one, &intent).await;
    assert!(matches!(&refused, Err(WorkspaceError::Remote { .. })), "nor does it say landed: {refused:?}");
    git(&shared.bare, &["update-ref", "refs/heads/main", theirs.as_str()]);
    fs::remove_file(&hook).expect("gone");
    // The remote goes away between the look and the mark, which it may have got or not.
    let aside = shared.fixture.base().join("aside.git");
    let cut = meddling(&shared, &format!("mv {} {}", shared.bare.display(), aside.display()));
    let unknown = shared.land(&cut, &intent).await;
    assert!(matches!(unknown, Err(WorkspaceError::LandingUnknown { .. })), "{unknown:?}");
    fs::rename(&aside, &shared.bare).expect("back");
    let away = Landing::MovedAway { found: Some(theirs) };
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(away));
}

#[tokio::test]
async fn another_machine_finishes_a_landing_that_was_decided() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
    let preview = shared.two.preview(&shared.slot(1), &intent.new).await.expect("made");
    assert!(preview.join("made").exists());
}

#[tokio::test]
async fn a_reply_that_was_lost_is_asked_of_the_remote() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    // The push happens, and whoever asked for it is told that it failed.
    let text = "#!/bin/sh\ncase \"$*\" in *push*refs/agents/landed*) git \"$@\" >/dev/null 2>&1; \
                echo 'fatal: the remote end hung up' >&2; exit 128;; esac\nexec git \"$@\"\n";
    let script = script(&shared.fixture.base().join("deaf-git"), text);
    let state = shared.fixture.base().join("state");
    let deaf =
        GitWorkspace::new(shared.fixture.git().with_program(script), &state).on(machine("one"), &state);
    assert_eq!(shared.land(&deaf, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
}

#[tokio::test]
async fn a_remote_out_of_reach_makes_a_landing_unknown_and_everything_else_an_error() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let aside = shared.fixture.base().join("aside.git");
    fs::rename(&shared.bare, &aside).expect("moved");
    let landed = shared.land(&shared.one, &intent).await;
    assert!(matches!(&landed, Err(WorkspaceError::LandingUnknown { .. })), "{landed:?}");
    let head = shared.one.head(&shared.project).await;
    assert!(matches!(&head, Err(WorkspaceError::Remote { url, .. }) if url.contains("far.git")), "{head:?}");
    fs::rename(&aside, &shared.bare).expect("back");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_push_that_a_hook_refuses_says_so_and_moves_nothing() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    let hook = shared.bare.join("hooks/update");
    fs::create_dir_all(hook.parent().expect("a parent")).expect("made");
    let text = "#!/bin/sh\n[ \"$1\" = refs/heads/main ] && { echo 'main is protected'; exit 1; }\nexit 0\n";
    fs::write(&hook, text).expect("written");
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let landed = shared.land(&shared.one, &intent).await;
    let Err(WorkspaceError::Remote { reason, .. }) = &landed else { panic!("{landed:?}") };
    assert!(reason.contains("main is protected"), "{reason}");
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.old.clone(), None), "none of the two");
    fs::remove_file(&hook).expect("gone");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_marker_that_the_remote_lost_in_a_crash_is_made_up_for() {
    let shared = Shared::new();
    let intent = shared.ready(&shared.one).await;
    git(&shared.bare, &["update-ref", "refs/heads/main", intent.new.as_str()]);
    shared.pushed("x");
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.at(&intent.marker()), Some(intent.new));
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
    let elsewhere = shared.two.settle(&shared.project, plan(), Some(made.clone())).await;
    assert!(matches!(&elsewhere, Err(WorkspaceError::NoCommit { commit, .. }) if *commit == made));
    assert_eq!(shared.one.settle(&shared.project, plan(), Some(made.clone())).await, Ok(Some(made.clone())));
    assert_eq!(shared.branch(), Some(made.clone()));
    assert_eq!(shared.two.settle(&shared.project, plan(), Some(made.clone())).await, Ok(Some(made)));
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
        let settled = workspace.settle(&shared.project, plan(), Some(made.clone())).await;
        assert_eq!(settled, Ok(Some(theirs.clone())));
    }
}

#[tokio::test]
async fn a_plan_branch_that_is_pruned_goes_on_the_remote_too_unless_somebody_moved_it_there() {
    let shared = Shared::new();
    let made = shared.executed(&shared.two, 1, "made").await;
    let projects = [shared.project.clone()];
    let branch = |left: Vec<Leftover>| {
        left.into_iter().find(|left| matches!(left.kind, LeftoverKind::Branch { .. })).expect("it is here")
    };
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
