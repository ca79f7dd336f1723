//! Steps about the services alone, on a clock that stands still unless told to move.

use std::time::Duration;

use agents_application::LifecycleError;
use agents_domain::plan::{CommitOutcome, StoreError};
use cucumber::{given, then, when};

use crate::services::{Drivers, Unfenced, refused_by};
use crate::world::World;

fn drivers(world: &mut World) -> &mut Drivers {
    world.drivers.as_mut().expect("the drivers share a store")
}

#[given("several drivers on one database")]
async fn on_one_database(world: &mut World) {
    let mut made = Drivers::on_database(world.root(), world.server.as_ref(), Unfenced::Refused);
    made.make_plan(None).await;
    made.last.clone().expect("a plan is made");
    world.drivers = Some(made);
}

#[given(expr = "an embedder with {string} that {word} unfenced writes")]
fn embedder(world: &mut World, store: String, unfenced: String) {
    let unfenced = if unfenced == "allows" { Unfenced::Allowed } else { Unfenced::Refused };
    world.drivers = Some(match store.as_str() {
        "a database" => Drivers::on_database(world.root(), world.server.as_ref(), unfenced),
        "a store in memory" => Drivers::in_memory(unfenced),
        other => panic!("no store like {other}"),
    });
}

#[given("a plan that was made under a lock")]
async fn locked_plan(world: &mut World) {
    let drivers = drivers(world);
    drivers.make_plan(None).await;
    drivers.last.clone().expect("a plan is made");
}

#[when("a service without locks makes a plan")]
async fn make_without_locks(world: &mut World) {
    let drivers = drivers(world);
    let service = drivers.without_locks();
    drivers.make_plan(Some(service)).await;
}

#[when("a service without locks moves the plan")]
async fn move_without_locks(world: &mut World) {
    let drivers = drivers(world);
    let service = drivers.without_locks();
    drivers.prompt(service).await;
}

#[given(expr = "{word} holds the plan")]
#[when(expr = "{word} takes the plan")]
async fn take(world: &mut World, who: String) {
    drivers(world).take(&who).await;
}

#[when(expr = "{word} gives one hold back")]
async fn give_back(world: &mut World, who: String) {
    drivers(world).give_back(&who).await;
}

#[when(expr = "{int} seconds pass")]
fn pass(world: &mut World, seconds: u64) {
    drivers(world).clock.advance(Duration::from_secs(seconds));
}

#[when(expr = "{int} seconds pass while the heart of {word} beats")]
async fn pass_beating(world: &mut World, seconds: u64, who: String) {
    for _ in 0..seconds / 50 {
        drivers(world).clock.advance(Duration::from_secs(50));
        drivers(world).beat(&who).await;
    }
}

#[when(expr = "the heart of {word} beats")]
async fn beat(world: &mut World, who: String) {
    drivers(world).beat(&who).await;
}

#[when(expr = "{word} moves the plan")]
async fn moves(world: &mut World, who: String) {
    drivers(world).prompt_as(&who).await;
}

#[when(expr = "{word} falls asleep in the middle of a transition and {word} takes over")]
async fn overtaken(world: &mut World, sleeper: String, rival: String) {
    drivers(world).overtaken_in_the_middle(&sleeper, &rival).await;
}

#[then("that works")]
fn works(world: &mut World) {
    assert_eq!(drivers(world).last, Ok(()));
}

#[then(expr = "that is refused because {word} holds it")]
fn refused(world: &mut World, by: String) {
    let last = &drivers(world).last;
    assert_eq!(refused_by(last), Some(by), "{last:?}");
}

#[then("that is refused because the lease was lost")]
fn lease_lost(world: &mut World) {
    let last = &drivers(world).last;
    assert!(matches!(last, Err(LifecycleError::LeaseLost { .. })), "{last:?}");
}

#[then("that is refused because nothing fences it")]
fn unfenced(world: &mut World) {
    assert_eq!(drivers(world).last, Err(LifecycleError::Store(StoreError::UnfencedRefused)));
}

#[then(expr = "a late write of {word} is stale and changes nothing")]
async fn stale(world: &mut World, who: String) {
    assert_eq!(drivers(world).late_write(&who).await, CommitOutcome::Stale);
}

#[then(expr = "{word} knows of the loss")]
fn knows(world: &mut World, who: String) {
    assert!(drivers(world).knows_of_the_loss(&who));
}

#[then(expr = "{word} does not know of a loss")]
fn knows_not(world: &mut World, who: String) {
    assert!(!drivers(world).knows_of_the_loss(&who));
}

#[then(expr = "{word} has the plan twice at one token")]
fn twice(world: &mut World, who: String) {
    let tokens = drivers(world).tokens(&who);
    assert!(tokens.len() == 2 && tokens[0] == tokens[1], "{tokens:?}");
}

#[then(expr = "{word} holds the plan still")]
async fn holds(world: &mut World, who: String) {
    let held = drivers(world).holder().await.expect("somebody holds it");
    assert_eq!((held.holder.user, held.stale), (who, false));
}

#[then("nobody holds the plan")]
async fn nobody(world: &mut World) {
    assert_eq!(drivers(world).holder().await, None);
}
