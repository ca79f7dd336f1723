//! A place belongs to the driver alone.

use std::sync::Arc;

use agents_domain::lock::Processes as _;
use agents_domain::places::{Occupant, Places as _};
use agents_domain::time::Timestamp;
use agents_infrastructure::places::FilePlaces;
use agents_infrastructure::process::SystemProcesses;

use crate::room::{Room, run};

fn occupant(room: &Room) -> Occupant {
    let by = SystemProcesses::new().myself("execute");
    let (plan, since) = (room.mute("true").plan, Timestamp::default());
    Occupant { by, plan, attempt: 3, purpose: "execute".to_owned(), since }
}

#[tokio::test]
async fn neither_a_command_nor_its_guard_has_the_file_of_a_place() {
    let room = Room::new();
    let places = FilePlaces::new(&room.path("state"), 1, Arc::new(SystemProcesses::new()));
    let place = places.take(&occupant(&room)).await.expect("usable").expect("free");
    let script = "ls -l /proc/self/fd /proc/$$/fd /proc/$PPID/fd; echo listed";
    let report = run(room.mute(script)).await.expect("it runs");
    assert!(report.tail.contains("listed") && !report.tail.contains("places/"), "{}", report.tail);
    drop(place);
}

/// Between fork and exec a child has all that its parent has; a place given up then is free all the
/// same.
#[tokio::test]
async fn a_place_that_is_given_up_is_free_also_while_a_child_has_its_file() {
    let room = Room::new();
    let places = FilePlaces::new(&room.path("state"), 1, Arc::new(SystemProcesses::new()));
    let place = places.take(&occupant(&room)).await.expect("usable").expect("free");
    // The same open file in another hand, as a fork makes it.
    let me = std::process::id();
    let mut shared = None;
    for entry in std::fs::read_dir(format!("/proc/{me}/fd")).expect("listed").flatten() {
        let is_place = std::fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(room.path("state")));
        if is_place {
            let number: i32 = entry.file_name().to_string_lossy().parse().expect("a number");
            let pidfd =
                rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty())
                    .expect("ourselves");
            let flags = rustix::process::PidfdGetfdFlags::empty();
            shared = Some(rustix::process::pidfd_getfd(pidfd, number, flags).expect("the same file"));
        }
    }
    let shared = shared.expect("the file of the place");
    assert!(places.take(&occupant(&room)).await.expect("usable").is_none());
    drop(place);
    assert!(places.take(&occupant(&room)).await.expect("usable").is_some());
    drop(shared);
}
