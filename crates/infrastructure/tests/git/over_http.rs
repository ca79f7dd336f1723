//! A remote over HTTP on loopback: the same promises, with passwords and lost replies.

use std::fs;

use agents_domain::workspace::{Landing, WorkspaceError, Worktrees as _};
use agents_infrastructure::git::check_remote;

use crate::http::{Server, Trouble};
use crate::remote::Shared;

/// `ann:secret`, as a browser would send it.
const LOGIN: &str = "Basic YW5uOnNlY3JldA==";

fn over_http(login: Option<&'static str>) -> (Shared, Server) {
    let mut server = None;
    let shared = Shared::over(|bare| {
        let root = bare.parent().expect("a parent");
        let started = server.insert(Server::start(root, login));
        format!("http://127.0.0.1:{}/far.git", started.port)
    });
    (shared, server.expect("started"))
}

#[tokio::test]
async fn a_plan_goes_from_machine_to_machine_and_lands_over_http() {
    let (shared, _server) = over_http(None);
    assert_eq!(check_remote(&shared.fixture.git(), &shared.project), Ok(()));
    let intent = shared.ready(&shared.two).await;
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
    assert_eq!((shared.main(), shared.at(&intent.marker())), (intent.new.clone(), Some(intent.new.clone())));
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn a_reply_that_is_lost_after_the_landing_is_found_out() {
    let (shared, server) = over_http(None);
    let intent = shared.ready(&shared.one).await;
    server.lose(Trouble::After);
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
}

#[tokio::test]
async fn a_push_that_broke_before_it_was_done_is_unknown_and_lands_once_when_repeated() {
    let (shared, server) = over_http(None);
    let intent = shared.ready(&shared.one).await;
    server.lose(Trouble::Before);
    let landed = shared.land(&shared.one, &intent).await;
    assert!(matches!(landed, Err(WorkspaceError::LandingUnknown { .. })), "{landed:?}");
    assert_eq!(shared.main(), intent.old);
    assert_eq!(shared.land(&shared.two, &intent).await, Ok(Landing::Landed));
    assert_eq!(shared.main(), intent.new);
}

#[tokio::test]
async fn nobody_is_asked_for_a_password_and_a_credential_helper_is() {
    let (shared, _server) = over_http(Some(LOGIN));
    let refused = shared.one.head(&shared.project).await;
    let Err(WorkspaceError::RemoteRefused { remedy, .. }) = &refused else { panic!("{refused:?}") };
    assert!(remedy.contains("credential helper"), "{remedy}");
    let settings = shared.fixture.base().join("home/.gitconfig");
    let before = fs::read_to_string(&settings).expect("there");
    let helper = "[credential]\nhelper = \"!f() { echo username=ann; echo password=secret; }; f\"\n";
    fs::write(&settings, before.clone() + helper).expect("written");
    let intent = shared.ready(&shared.two).await;
    // The password is not known any more: nothing was asked, so nothing is unknown.
    fs::write(&settings, &before).expect("written");
    let refused = shared.land(&shared.one, &intent).await;
    assert!(matches!(&refused, Err(WorkspaceError::RemoteRefused { .. })), "{refused:?}");
    fs::write(&settings, before + helper).expect("written");
    assert_eq!(shared.land(&shared.one, &intent).await, Ok(Landing::Landed));
}

#[tokio::test]
async fn who_may_read_and_not_write_is_refused_for_good() {
    let (shared, server) = over_http(None);
    let intent = shared.ready(&shared.one).await;
    server.forbid_writing();
    let refused = shared.land(&shared.one, &intent).await;
    let Err(WorkspaceError::RemoteRefused { reason, .. }) = &refused else { panic!("{refused:?}") };
    assert!(reason.contains("403"), "{reason}");
    assert_eq!(shared.main(), intent.old);
}

#[tokio::test]
async fn a_repository_that_is_not_where_its_url_says_is_refused_for_good() {
    let (mut shared, _server) = over_http(None);
    let remote = shared.project.remote.as_mut().expect("it has one");
    remote.url = remote.url.replace("far.git", "gone.git");
    let refused = shared.one.head(&shared.project).await;
    let Err(WorkspaceError::RemoteRefused { remedy, .. }) = &refused else { panic!("{refused:?}") };
    assert!(remedy.contains("where its URL says"), "{remedy}");
}
