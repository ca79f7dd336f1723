//! Steps about power cuts: the database as it is found when only a part of its log has reached the
//! disk. (That the order of fences survives is tested where the store is; here, that people get on.)

use std::fs;
use std::path::{Path, PathBuf};

use cucumber::{then, when};

use crate::world::World;

/// A page with its header in the log, and the header of the log (`sqlite.org/fileformat2.html`).
const FRAME: usize = 24 + 4096;
const LOG_HEADER: usize = 32;

#[when("the machine comes up again with any part of what was written last")]
fn cut(world: &mut World) {
    let log = fs::read(log_of(&world.database())).expect("who was killed leaves a log");
    let frames = (log.len() - LOG_HEADER) / FRAME;
    assert!(frames > 10, "{frames} frames");
    world.cuts = (0..=frames).map(|kept| cut_at(world, &log[..LOG_HEADER + kept * FRAME], kept)).collect();
}

/// A home whose database has that much of the log.
fn cut_at(world: &World, log: &[u8], kept: usize) -> PathBuf {
    let home = world.root().join(format!("cut-{kept}"));
    let state = home.join("state");
    fs::create_dir_all(&state).expect("a directory");
    fs::copy(world.database(), state.join("agents.db")).expect("copied");
    fs::write(log_of(&state.join("agents.db")), log).expect("written");
    home
}

fn log_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

#[then("each time the database is sound")]
async fn sound(world: &mut World) {
    for home in world.cuts.clone() {
        world.home = Some(home);
        world.must("db check").await;
    }
}

#[then("each time a recovery works, and no lock is in the way of any plan")]
async fn recovers(world: &mut World) {
    let mut plans = 0;
    for home in world.cuts.clone() {
        world.home = Some(home);
        world.must("recover").await;
        for plan in world.must("-q plan list").await.out.lines() {
            world.must(&format!("plan cancel {plan} --no-wait")).await;
            plans += 1;
        }
    }
    assert!(plans > world.cuts.len(), "{plans} plans in all");
}

#[then(expr = "with all of it the history of the plan is {string}")]
async fn history(world: &mut World, expected: String) {
    world.home = world.cuts.last().cloned();
    super::plans::history(world, expected).await;
}
