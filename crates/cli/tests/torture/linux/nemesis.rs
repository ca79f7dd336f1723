//! The nemesis: kills, freezes, interrupts, moves the clock, fills the disk and removes directories.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::linux::chance::Chance;
use crate::linux::clock::{self, pass};
use crate::linux::procs::{self, Process};
use crate::linux::room::Ballast;
use crate::linux::runs::Fault;
use crate::linux::users;
use crate::linux::weather::{self, Weather};
use crate::linux::world::{TTL_MS, World};

/// By how much, each time anew.
const LIES: [&str; 5] = ["+2h", "-2h", "+0", "-37m", "+1h"];

/// One hand of one run's nemesis. What takes long, freezing, is done by hands of its own.
pub(crate) struct Nemesis<'a> {
    world: &'a World,
    chance: Chance,
    faults: Vec<String>,
}

/// Prepares what can be prepared: the nemesis's hands, and what cannot be injected here and why.
pub(crate) fn prepare<'a>(world: &'a World, wanted: &BTreeSet<String>) -> (Vec<Nemesis<'a>>, Vec<String>) {
    let hand = |name: &str| Nemesis { world, chance: Chance::of(world.seed, name), faults: Vec::new() };
    let (mut quick, mut slow) = (hand("quick"), ["slow", "slower", "very slow", "slowest"].map(hand));
    let mut not_run = Vec::new();
    for fault in wanted.iter().filter(|fault| !weather::KINDS.contains(&fault.as_str())) {
        match quick.prepare(fault) {
            Ok(()) if fault.starts_with("stop") => {
                for hand in &mut slow {
                    hand.faults.push(fault.clone());
                }
            }
            // Most of what goes wrong in the world is a process that ends.
            Ok(()) => {
                let weight = if fault == "kill" { 6 } else { 1 };
                quick.faults.extend(std::iter::repeat_n(fault.clone(), weight));
            }
            Err(why) => not_run.push(format!("{fault}: {why}")),
        }
    }
    let hands = slow.into_iter().chain([quick]);
    (hands.filter(|hand| !hand.faults.is_empty()).collect(), not_run)
}

impl Nemesis<'_> {
    fn prepare(&self, fault: &str) -> Result<(), String> {
        match fault {
            "full" if !self.world.is_small => Err("no small file system can be mounted here".to_owned()),
            "clock" => self.prepare_clock(),
            _ => Ok(()),
        }
    }

    /// Every process, git and the commands included, is told the time of day by a file.
    fn prepare_clock(&self) -> Result<(), String> {
        let library = liar().ok_or("libfaketime is not installed")?;
        std::fs::write(self.wall(), "+0\n").expect("written");
        let mut switches = self.world.switches.lock().expect("whole");
        for (name, value) in [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.wall().display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            // Shared memory named after a process: one that is killed leaves it behind.
            ("FAKETIME_DISABLE_SHM", "1".to_owned()),
        ] {
            switches.insert(name.to_owned(), value);
        }
        drop(switches);
        self.clock_obeys()
    }

    /// By experiment: the time of day moves by four hours, the clock since boot by next to nothing.
    fn clock_obeys(&self) -> Result<(), String> {
        let told = |lie: &str| {
            std::fs::write(self.wall(), format!("{lie}\n")).expect("written");
            let switches = self.world.switches.lock().expect("whole").clone();
            let mut me = Command::new(std::env::current_exe().expect("this program"));
            let output = me.arg(clock::TELL).envs(switches).output().expect("this program starts");
            clock::told(&String::from_utf8_lossy(&output.stdout)).ok_or("a process cannot tell the time")
        };
        let (ahead, behind) = (told("+2h")?, told("-2h")?);
        std::fs::write(self.wall(), "+0\n").expect("written");
        let (day, boot) = (ahead.0 - behind.0, behind.1 - ahead.1);
        if (14_300..=14_400).contains(&day) && (0..60_000).contains(&boot) {
            Ok(())
        } else {
            Err(format!("the time of day moved by {day} s, the clock since boot by {boot} ms"))
        }
    }

    fn wall(&self) -> PathBuf {
        self.world.directory.join("wall-clock")
    }

    /// Injects faults until told to stop; leaves nothing frozen or full.
    pub(crate) fn rage(&mut self, over: &AtomicBool) {
        let mut rounds = 0;
        while !over.load(Ordering::SeqCst) {
            let pause = self.chance.millis(50, 500);
            pass(pause);
            rounds += 1;
            let quick = self.faults.iter().all(|fault| !fault.starts_with("stop"));
            if quick && !self.world.is_shared() && self.chance.percent(20) {
                users::commit(self.world, &mut self.chance, rounds);
            }
            let Some(fault) = self.chance.pick(&self.faults).cloned() else { continue };
            self.strike(&fault, over);
        }
    }

    fn strike(&mut self, fault: &str, over: &AtomicBool) {
        match fault {
            "kill" => self.kill(),
            "stop" => self.freeze(false, over),
            "stop-tree" => self.freeze(true, over),
            "term" => self.terminate(),
            "clock" => self.lie(),
            "full" => self.fill(),
            _ => self.remove(),
        }
    }

    fn victim(&mut self) -> Option<i32> {
        let pids = self.world.running.pids();
        self.chance.pick(&pids).copied()
    }

    /// A driver that runs a command of a plan, if there is one: it holds something to lose.
    fn driver_at_work(&mut self) -> Option<i32> {
        let guards = self.world.processes().into_iter().filter(|one| one.says("__exec"));
        let drivers: Vec<i32> = guards.map(|guard| guard.parent).collect();
        let running = self.world.running.pids();
        let at_work: Vec<i32> = drivers.into_iter().filter(|pid| running.contains(pid)).collect();
        self.chance.pick(&at_work).copied().or_else(|| self.victim())
    }

    fn note(&self, pid: i32, kind: &'static str, from: i64) {
        self.world.running.note(pid, Fault { kind, from, to: clock::now() });
    }

    /// A driver, a guard, or a command.
    fn kill(&mut self) {
        // As often as not one that has something to lose: whoever runs the children of a plan has most.
        let driver = if self.chance.percent(50) { self.driver_at_work() } else { self.victim() };
        let Some(driver) = driver else { return };
        let below: Vec<Process> = procs::tree(driver).into_iter().filter(|one| one.pid != driver).collect();
        let guards: Vec<&Process> = below.iter().filter(|one| one.says("__exec")).collect();
        let now = clock::now();
        match self.chance.below(10) {
            0..7 => {
                // Noted first: a process that has ended takes no note any more.
                self.note(driver, "kill", now);
                self.world.running.signal(driver, Signal::KILL);
            }
            7..9 => {
                if let Some(guard) = self.chance.pick(&guards) {
                    self.note(driver, "kill-guard", now);
                    guard.signal(Signal::KILL);
                }
            }
            _ => {
                let commands: Vec<&Process> =
                    below.iter().filter(|one| one.variable("AGENTS_RUN_MARKER").is_some()).collect();
                if let Some(command) = self.chance.pick(&commands) {
                    self.note(driver, "kill-command", now);
                    command.signal(Signal::KILL);
                }
            }
        }
    }

    /// A driver alone, or with everything below it, or a git that it waits for; most often beyond
    /// the end of its lease, and often beyond the patience that others have with a holder that lives.
    fn freeze(&mut self, whole: bool, over: &AtomicBool) {
        let driver = if self.chance.percent(80) { self.driver_at_work() } else { self.victim() };
        let Some(driver) = driver else { return };
        let lease = usize::try_from(TTL_MS).expect("small");
        let time = if self.chance.percent(70) {
            self.chance.millis(lease + 500, 4 * lease)
        } else {
            self.chance.millis(100, lease)
        };
        let from = clock::now();
        let git = if !whole && self.chance.percent(50) { self.git() } else { None };
        let kind = match (whole, &git) {
            (true, _) => "stop-tree",
            (false, None) => "stop",
            (false, Some(_)) => "stop-git",
        };
        let to = from + i64::try_from(time.as_millis()).expect("small");
        // Noted first, with its end: the process may meet another fault meanwhile.
        self.world.running.note(driver, Fault { kind, from, to });
        let frozen: Vec<Process> = if whole {
            procs::tree(driver)
        } else {
            git.or_else(|| Process::of(driver)).into_iter().collect()
        };
        for process in &frozen {
            process.signal(Signal::STOP);
        }
        while clock::now() < to && !over.load(Ordering::SeqCst) {
            pass(Duration::from_millis(100));
        }
        for process in &frozen {
            process.signal(Signal::CONT);
        }
    }

    /// A git of some driver's, which live for milliseconds: looked for more than once.
    fn git(&self) -> Option<Process> {
        let ours = |process: &Process| process.is_git() && process.variable("AGENTS_RUN_MARKER").is_none();
        (0..40).find_map(|_| {
            pass(Duration::from_millis(10));
            self.world.processes().into_iter().find(ours)
        })
    }

    fn terminate(&mut self) {
        let Some(driver) = self.victim() else { return };
        self.note(driver, "term", clock::now());
        let signal = if self.chance.percent(50) { Signal::TERM } else { Signal::INT };
        self.world.running.signal(driver, signal);
        if self.chance.percent(20) {
            pass(Duration::from_millis(100));
            self.world.running.signal(driver, signal);
        }
    }

    fn lie(&mut self) {
        let lie = self.chance.pick(&LIES).copied().unwrap_or("+0");
        // Replaced, not rewritten: nobody reads half of it.
        let new = self.world.directory.join("wall-clock.new");
        std::fs::write(&new, format!("{lie}\n")).expect("written");
        std::fs::rename(new, self.wall()).expect("renamed");
        let now = clock::now();
        self.world.running.pids().into_iter().for_each(|pid| self.note(pid, "clock", now));
    }

    fn fill(&mut self) {
        let from = clock::now();
        let ballast = Ballast::of(&self.world.disk);
        let time = self.chance.millis(200, 2_500);
        pass(time);
        drop(ballast);
        // Whoever ran at any time of it has met it, also who has ended by now.
        self.world.weather.lock().expect("whole").push(Weather::everywhere("full", from));
    }

    /// The directory of an attempt.
    fn remove(&mut self) {
        let below =
            |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let roots = self.world.states().into_iter().map(|state| state.join("worktrees"));
        let found: Vec<PathBuf> = roots.flat_map(below).flat_map(below).flat_map(below).collect();
        if let Some(directory) = self.chance.pick(&found) {
            // Noted first: what is lost with it is nobody's fault.
            self.world.removed.lock().expect("whole").push(directory.clone());
            std::fs::remove_dir_all(directory).ok();
            let now = clock::now();
            self.world.running.pids().into_iter().take(1).for_each(|pid| self.note(pid, "rmdir", now));
        }
    }
}

/// The library that lies about the time of day, where Debian and its like put it.
fn liar() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|library| library.exists())
}
