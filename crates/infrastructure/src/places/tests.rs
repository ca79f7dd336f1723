//! One suite for both kinds of places, and what only files can show.

use std::path::Path;
use std::sync::Arc;

use agents_domain::id::{Ids as _, PlanId};
use agents_domain::lock::{Holder, Liveness, Processes as _};
use agents_domain::places::{Boundless, Occupant, Places, PlacesCensus};
use agents_domain::time::Timestamp;
use rstest::rstest;
use tempfile::TempDir;

use super::{FilePlaces, MemoryPlaces};
use crate::ids::CountingIds;
use crate::process::SystemProcesses;
use crate::scripted::Census;

/// Who works, by number.
fn occupant(number: i64) -> Occupant {
    let ids = CountingIds::default();
    let plan: PlanId = (0..=number).map(|_| ids.ulid()).last().expect("at least one").into();
    let by = SystemProcesses::new().myself("execute");
    Occupant { by, plan, attempt: 3, purpose: "execute".into(), since: Timestamp::from_millis(number) }
}

fn of_files(state: &Path, total: u32) -> FilePlaces {
    FilePlaces::new(state, total, Arc::new(SystemProcesses::new()))
}

struct Room {
    state: TempDir,
    memory: MemoryPlaces,
}

impl Room {
    fn new() -> Self {
        Self { state: TempDir::new().expect("a directory"), memory: MemoryPlaces::new(2) }
    }

    /// Two places; each call stands for another process.
    fn places(&self, in_memory: bool) -> Box<dyn Places> {
        if in_memory { Box::new(self.memory.clone()) } else { Box::new(of_files(self.state.path(), 2)) }
    }
}

async fn names(places: &dyn Places) -> Vec<i64> {
    let census = places.census().await.expect("read");
    assert_eq!(census.total, 2);
    census.taken.iter().map(|who| who.since.as_millis()).collect()
}

#[rstest]
#[case::in_memory(true)]
#[case::on_files(false)]
#[tokio::test]
async fn there_are_so_many_places_and_each_is_known(#[case] in_memory: bool) {
    let room = Room::new();
    let (one, other) = (room.places(in_memory), room.places(in_memory));
    assert_eq!(names(&*one).await, [0_i64; 0], "nobody came yet");
    let first = one.take(&occupant(0)).await.expect("usable").expect("free");
    let second = other.take(&occupant(1)).await.expect("usable").expect("free");
    assert!(one.take(&occupant(2)).await.expect("usable").is_none(), "all are taken");
    let census = other.census().await.expect("read");
    assert_eq!(census, PlacesCensus { total: 2, taken: vec![occupant(0), occupant(1)] });
    drop(first);
    assert_eq!(names(&*other).await, [1]);
    let again = one.take(&occupant(3)).await.expect("usable").expect("free again");
    assert_eq!(names(&*other).await, [3, 1], "the lowest first");
    drop((second, again));
    assert_eq!(names(&*other).await, [0_i64; 0]);
}

#[tokio::test]
async fn places_without_end_are_never_taken() {
    for number in 0..100 {
        assert!(Boundless.take(&occupant(number)).await.expect("usable").is_some());
    }
    assert_eq!(Boundless.census().await.expect("read").taken, []);
}

#[tokio::test]
async fn whoever_is_told_of_fewer_places_waits_while_so_many_are_taken() {
    let state = TempDir::new().expect("a directory");
    let (many, few) = (of_files(state.path(), 4), of_files(state.path(), 1));
    let place = many.take(&occupant(0)).await.expect("usable").expect("free");
    assert!(few.take(&occupant(1)).await.expect("usable").is_none());
    drop(place);
    assert!(few.take(&occupant(1)).await.expect("usable").is_some());
}

#[tokio::test]
async fn what_the_dead_left_written_is_nobody() {
    let state = TempDir::new().expect("a directory");
    let census = Census::default();
    let places = FilePlaces::new(state.path(), 2, Arc::new(census.citizen(1)));
    let by = Holder { pid: 7, ..census.citizen(7).myself("execute") };
    let mut place = places.take(&Occupant { by, ..occupant(0) }).await.expect("usable");
    assert_eq!(names(&places).await, [0]);
    // As the kernel leaves it: the name stays, the lock goes.
    let file = state.path().join("places/000");
    let text = std::fs::read(&file).expect("signed");
    place.take();
    std::fs::write(&file, &text).expect("written");
    assert_eq!(names(&places).await, [0], "as long as nothing is known of its end");
    census.says(7, Liveness::Dead);
    assert_eq!(names(&places).await, [0_i64; 0]);
    for broken in [&b"{\"plan\":"[..], b"\xff", b"{}"] {
        std::fs::write(&file, broken).expect("written");
        assert_eq!(names(&places).await, [0_i64; 0]);
    }
    assert!(places.take(&occupant(1)).await.expect("usable").is_some());
}

#[tokio::test]
async fn places_that_cannot_be_used_are_named() {
    let state = TempDir::new().expect("a directory");
    std::fs::write(state.path().join("places"), "in the way").expect("written");
    let places = of_files(state.path(), 1);
    let error = places.take(&occupant(0)).await.err().expect("a file is in the way");
    assert!(error.to_string().contains("places"), "{error}");
    assert!(places.census().await.is_err());
}
