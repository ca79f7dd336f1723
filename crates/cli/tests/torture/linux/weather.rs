//! Bad weather: what befalls all processes of a machine, or of all. The network's and the server's is met
//! by plans on PostgreSQL alone; a disk that is full, by any ([`super::nemesis`]).
//!
//! | fault | what |
//! |---|---|
//! | `cut` | all connections of a machine end at once |
//! | `half-open` | nothing comes through, one way or both, and connections stay open |
//! | `refuse` | nobody gets in; as often as not those that are in are cut, too |
//! | `lost-reply` | the next commit, or grant, is done, or never arrives, and its connection ends |
//! | `backend` | the server ends some connections |
//! | `restart` | the server is killed and recovers |
//! | `crowd` | the server takes no further connections, and often ends some that it has |
//! | `bystander` | somebody else locks rows of locks for a while |
//! | `deadlock` | … and rows of plans first, the other way round than everybody does |
//! | `serializable` | new connections are told to be serializable, so that transactions fail for it |

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use agents_testing::postgres::{self, Database};
use agents_testing::proxy::{Direction, Fate, Proxy};
use diesel::connection::SimpleConnection as _;

use crate::linux::chance::Chance;
use crate::linux::clock::{self, pass};
use crate::linux::runs::{Fault, Run};
use crate::linux::world::World;

/// The kinds of it.
pub(crate) const KINDS: [&str; 10] = [
    "cut",
    "half-open",
    "refuse",
    "lost-reply",
    "backend",
    "restart",
    "crowd",
    "bystander",
    "deadlock",
    "serializable",
];
/// In such weather the store may be away for longer than a command waits for it.
pub(crate) const AWAY: [&str; 4] = ["half-open", "refuse", "restart", "crowd"];

/// All worlds of this program have the same server.
static RESTARTS: Mutex<Vec<Weather>> = Mutex::new(Vec::new());
/// Read by who cannot do with a restart.
pub(crate) static QUIET: RwLock<()> = RwLock::new(());

/// Something that befell one machine, or all.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    machine: Option<usize>,
    pub(crate) fault: Fault,
}

impl Weather {
    /// What befalls all machines, from then till now.
    pub(crate) fn everywhere(kind: &'static str, from: i64) -> Self {
        Self { machine: None, fault: Fault { kind, from, to: clock::now() } }
    }

    /// Whether a process ran then, or began less than so long after it.
    pub(crate) fn met(&self, run: &Run, after: i64) -> bool {
        let here = self.machine.is_none_or(|machine| machine == run.machine);
        here && self.fault.from <= run.to && run.from <= self.fault.to + after
    }
}

/// When the server was restarted.
pub(crate) fn restarts() -> Vec<Weather> {
    RESTARTS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whoever makes it.
pub(crate) struct Storm<'a> {
    world: &'a World,
    database: &'a Database,
    chance: Chance,
    kinds: Vec<&'static str>,
}

impl<'a> Storm<'a> {
    /// None: there is no server, or no such weather is wanted.
    pub(crate) fn over(world: &'a World, wanted: &BTreeSet<String>) -> Option<Self> {
        let database = world.oracle.place.server()?;
        let kinds: Vec<_> = KINDS.into_iter().filter(|kind| wanted.contains(*kind)).collect();
        let chance = Chance::of(world.seed, "weather");
        (!kinds.is_empty()).then_some(Self { world, database, chance, kinds })
    }

    /// Rages until told to stop; leaves everything well.
    pub(crate) fn rage(&mut self, over: &AtomicBool) {
        while !over.load(Ordering::SeqCst) {
            let pause = self.chance.millis(200, 2_500);
            pass(pause);
            let Some(kind) = self.chance.pick(&self.kinds).copied() else { continue };
            let at = self.chance.below(self.world.machines.len() + 1);
            let machine = (at < self.world.machines.len()).then_some(at);
            let from = clock::now();
            if self.strike(kind, machine) {
                let local = ["cut", "half-open", "refuse", "lost-reply"].contains(&kind);
                let machine = machine.filter(|_| local);
                let fault = Fault { kind, from, to: clock::now() };
                self.world.weather.lock().expect("whole").push(Weather { machine, fault });
            }
        }
    }

    /// Whether it was to be had, and is to be noted.
    fn strike(&mut self, kind: &'static str, machine: Option<usize>) -> bool {
        match kind {
            "cut" => self.each(machine, |network| {
                network.cut();
            }),
            "half-open" => self.hold_back(machine),
            "refuse" => self.refuse(machine),
            "lost-reply" => self.lose_a_reply(machine),
            "backend" => self.terminate(),
            "restart" => return restart(),
            "crowd" => self.crowd(),
            "serializable" => self.serialize(),
            kind => self.lock_rows(kind == "deadlock"),
        }
        true
    }

    fn each(&self, machine: Option<usize>, act: impl Fn(&Proxy)) {
        let all = self.world.machines.iter().enumerate();
        let there = all.filter(|(at, _)| machine.is_none_or(|machine| machine == *at));
        there.filter_map(|(_, machine)| machine.network.as_ref()).for_each(act);
    }

    /// For less than a lease, or for more, or beyond the patience of those who wait for a lock.
    fn long(&mut self) -> Duration {
        match self.chance.below(10) {
            0..6 => self.chance.millis(100, 2_500),
            6..9 => self.chance.millis(2_500, 8_000),
            _ => self.chance.millis(8_000, 14_000),
        }
    }

    fn hold_back(&mut self, machine: Option<usize>) {
        let ways = [Direction::ToServer, Direction::ToClient, Direction::Both];
        let way = self.chance.pick(&ways).copied().expect("some");
        self.each(machine, |network| network.hold_back(way));
        pass(self.long());
        self.each(machine, Proxy::heal);
    }

    fn refuse(&mut self, machine: Option<usize>) {
        let cut = self.chance.percent(50);
        self.each(machine, |network| {
            network.refuse();
            if cut {
                network.cut();
            }
        });
        pass(self.long());
        self.each(machine, Proxy::heal);
    }

    fn lose_a_reply(&mut self, machine: Option<usize>) {
        let statements: [&[&str]; 5] = [
            &["INSERT INTO \"EVENTS\"", "COMMIT"],
            &["INSERT INTO \"PLANS\"", "COMMIT"],
            &["UPDATE LOCKS SET OWNER_ID"],
            &["UPDATE LOCKS"],
            &["COMMIT"],
        ];
        let words = self.chance.pick(&statements).copied().expect("some");
        let fate = if self.chance.percent(50) { Fate::Done } else { Fate::Lost };
        let machine = machine.unwrap_or_default();
        if let Some(network) = &self.world.machines[machine].network {
            let _ = network.cut_at(words, fate).recv_timeout(Duration::from_secs(2));
        }
    }

    fn terminate(&mut self) {
        let most = 1 + self.chance.below(4);
        self.tell(&format!(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = 'agents' ORDER BY random() LIMIT {most}) AS some"
        ));
    }

    fn crowd(&mut self) {
        let name = self.database.name();
        self.insist(&format!("ALTER DATABASE {name} CONNECTION LIMIT 0"));
        if self.chance.percent(60) {
            self.terminate();
        }
        pass(self.long());
        self.insist(&format!("ALTER DATABASE {name} CONNECTION LIMIT -1"));
    }

    fn serialize(&mut self) {
        let name = self.database.name();
        self.insist(&format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"));
        self.terminate();
        pass(self.chance.millis(1_000, 4_000));
        self.insist(&format!("ALTER DATABASE {name} RESET default_transaction_isolation"));
        // Those that were told so keep to it until they end.
    }

    fn lock_rows(&mut self, crosswise: bool) {
        let Ok(mut connection) = self.world.oracle.place.connect() else { return };
        let mut say = |words: &str| connection.batch_execute(words).is_ok();
        let locks = "SELECT FROM locks WHERE owner_id IS NOT NULL ORDER BY random() LIMIT 3 FOR UPDATE";
        let plans = "SELECT FROM plans WHERE state NOT IN ('applied', 'cancelled') ORDER BY random() LIMIT 3 FOR UPDATE";
        let (first, time) = if crosswise { (plans, 400) } else { (locks, 2_500) };
        let time = self.chance.millis(200, time);
        // It may be the victim itself; then its transaction is over already.
        let locked = say("SET lock_timeout = 3000; BEGIN") && say(first);
        pass(time);
        if locked && crosswise {
            say(locks);
        }
        say("ROLLBACK");
    }

    /// Tells the server something, if it is there.
    fn tell(&self, words: &str) {
        if let Ok(mut connection) = self.world.oracle.place.connect() {
            connection.batch_execute(words).ok();
        }
    }

    /// Tells it what must be so: it may be about to be restarted by the storm over another world.
    fn insist(&self, words: &str) {
        while let Err(problem) = self.database.administer(words) {
            let gone = problem.contains("does not exist");
            assert!(!gone, "{words}: {problem}");
            pass(Duration::from_millis(100));
        }
    }
}

/// Unless somebody needs the server to stay.
fn restart() -> bool {
    let Ok(_alone) = QUIET.try_write() else { return false };
    let from = clock::now();
    postgres::restart();
    let restarted = Weather::everywhere("restart", from);
    RESTARTS.lock().unwrap_or_else(PoisonError::into_inner).push(restarted);
    // Noted for all worlds above.
    false
}
