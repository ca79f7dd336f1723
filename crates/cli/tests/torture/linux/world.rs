//! What one run works with: repositories, a home, actions, and a journal.
//!
//! ```text
//! <run>/disk/home      what `agents` keeps        ┐ on a small file system of their own, which
//! <run>/disk/api, web  the repositories           ┘ the nemesis fills, where one can be mounted
//! <run>/disk/alpha, …  of several machines each: its home and its clone; <run>/disk/remote: what they share
//! <run>/journal        what the commands of plans did
//! <run>/outputs        what every process said
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use crate::linux::child::CHILD;
use crate::linux::git;
use crate::linux::machine::Machine;
use crate::linux::options::Options;
use crate::linux::oracle::Oracle;
use crate::linux::place::Place;
use crate::linux::procs::{self, Process};
use crate::linux::room;
use crate::linux::runs::{Run, Running};
use crate::linux::weather::Weather;

/// The program under test.
pub(crate) const AGENTS: &str = env!("CARGO_BIN_EXE_agents");
/// The shortest lease there is.
pub(crate) const TTL_MS: i64 = 5_000;
/// The repositories.
pub(crate) const PROJECTS: [&str; 2] = ["api", "web"];

/// One run.
pub(crate) struct World {
    pub(crate) directory: PathBuf,
    pub(crate) disk: PathBuf,
    /// Whether that is a file system of its own: only then may it be filled.
    pub(crate) is_small: bool,
    pub(crate) seed: u64,
    /// Set for every process.
    pub(crate) switches: Mutex<BTreeMap<String, String>>,
    pub(crate) oracle: Oracle,
    pub(crate) machines: Vec<Machine>,
    /// What befell the network and the server.
    pub(crate) weather: Mutex<Vec<Weather>>,
    pub(crate) running: Running,
    /// Every process that has ended, in the order of their ends.
    pub(crate) runs: Mutex<Vec<Run>>,
    pub(crate) started: AtomicUsize,
    /// Children whose work a person merged.
    pub(crate) by_hand: Mutex<BTreeSet<String>>,
    /// Attempts' directories that the nemesis removed.
    pub(crate) removed: Mutex<Vec<PathBuf>>,
    _scratch: tempfile::TempDir,
}

impl World {
    /// Makes everything; `sabotage` takes a safeguard out of every process.
    pub(crate) fn new(options: &Options, sabotage: Option<&str>, megabytes: Option<u64>) -> Self {
        let world = Self::empty(options, sabotage, megabytes);
        for name in PROJECTS {
            git::create(&world.repository(name));
        }
        world.set_up()
    }

    /// The same with several machines, which share remotes; each has a clone of one of them.
    pub(crate) fn of_machines(options: &Options) -> Self {
        let megabytes = 256 + 2 * options.duration().as_secs();
        let mut world = Self::empty(options, options.sabotage.as_deref(), Some(megabytes));
        world.machines = Machine::several(options.machines, &world.disk, &world.oracle.place);
        git::configure(&world.directory);
        for name in PROJECTS {
            git::share(&world.repository(name), &world.checkout(name));
        }
        world.set_up()
    }

    /// Nothing in it yet.
    fn empty(options: &Options, sabotage: Option<&str>, megabytes: Option<u64>) -> Self {
        let mut scratch = tempfile::Builder::new().prefix("torture-").tempdir().expect("a directory");
        // What went wrong must be there to be looked at, also after a panic; `end` removes it.
        scratch.disable_cleanup(true);
        let directory = scratch.path().canonicalize().expect("it is there");
        let disk = room::disk(&directory.join("disk"), megabytes);
        for name in ["journal", "outputs"] {
            std::fs::create_dir_all(directory.join(name)).expect("a directory");
        }
        let switches = sabotage.map(|name| ("AGENTS_SABOTAGE".to_owned(), name.to_owned()));
        let place = Place::new(options.on, &disk.join("home/state/agents.db"));
        Self {
            machines: Machine::alone(&disk, &place),
            weather: Mutex::default(),
            oracle: Oracle::of(place),
            switches: Mutex::new(switches.into_iter().collect()),
            running: Running::default(),
            runs: Mutex::default(),
            started: AtomicUsize::new(0),
            by_hand: Mutex::default(),
            removed: Mutex::default(),
            _scratch: scratch,
            directory,
            is_small: megabytes.is_some() && room::can_mount(),
            disk,
            seed: options.seed,
        }
    }

    fn set_up(self) -> Self {
        for machine in &self.machines {
            std::fs::create_dir_all(&machine.home).expect("a home");
        }
        self.must(0, &["init"]);
        for (at, name) in PROJECTS.into_iter().enumerate() {
            let path = self.checkout(name).display().to_string();
            let remote: &[&str] = if self.is_shared() { &["--remote", "origin"] } else { &[] };
            let words = [&["project", "add", &path, "--name", name], remote].concat();
            self.must(at % self.machines.len(), &words);
        }
        self.add(self.actions());
        self.oracle.install();
        self
    }

    /// Whether several machines share remotes.
    pub(crate) fn is_shared(&self) -> bool {
        self.machines.iter().any(|machine| machine.name.is_some())
    }

    /// Adds the actions whose plans have children.
    pub(crate) fn with_trees(self) -> Self {
        self.add(crate::linux::trees::actions(&self));
        self
    }

    fn add(&self, actions: impl IntoIterator<Item = (String, String)>) {
        for (name, text) in actions {
            let file = self.directory.join(name);
            std::fs::write(&file, text).expect("written");
            self.must(0, &["action", "add", &file.display().to_string()]);
        }
    }

    /// This program as the command of a plan.
    pub(crate) fn runs(&self, role: &str) -> String {
        let me = std::env::current_exe().expect("this program");
        let words = [&me.display().to_string(), CHILD, role, &self.directory.display().to_string()];
        let words = words.map(|word| format!("'{word}'")).join(", ");
        format!("run: [{words}, '{}']", self.seed)
    }

    /// With all phases and one merge commit; and the least there can be, squashed.
    fn actions(&self) -> [(String, String); 2] {
        let work = format!(
            "name: local/work\ndescription: all of it\nstrategize: {{ {} }}\n\
             execute: {{ {}, retry: {{ max_attempts: 2, on_exit: [3] }} }}\n\
             validations:\n  - {{ name: check, {}, required: true }}\n",
            self.runs("strategize"),
            self.runs("execute"),
            self.runs("validate")
        );
        let quick = format!(
            "name: local/quick\nexecute: {{ {} }}\napply: {{ strategy: squash }}\n",
            self.runs("execute")
        );
        [("work.yaml".to_owned(), work), ("quick.yaml".to_owned(), quick)]
    }

    /// Of the first machine.
    pub(crate) fn home(&self) -> PathBuf {
        self.machines[0].home.clone()
    }

    /// Everything below that is on a machine's own disk: its state directory.
    pub(crate) fn states(&self) -> Vec<PathBuf> {
        self.machines.iter().map(|machine| machine.home.join("state")).collect()
    }

    /// All processes of the run.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.machines.iter().flat_map(|machine| procs::of_run(&machine.home)).collect()
    }

    /// Where plans land.
    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        if self.is_shared() { self.disk.join("remote").join(name) } else { self.disk.join(name) }
    }

    /// Where people work: the same, or a clone of it, on one machine each.
    pub(crate) fn checkout(&self, name: &str) -> PathBuf {
        let at = PROJECTS.iter().position(|known| *known == name).unwrap_or_default();
        match self.machines[at % self.machines.len()].name {
            Some(machine) => self.disk.join(machine).join(name),
            None => self.repository(name),
        }
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// A process of the program, not started yet.
    pub(crate) fn command(&self, machine: usize, words: &[&str]) -> Command {
        let mut command = Command::new(AGENTS);
        command.args(words).current_dir(&self.directory).env_clear().envs(self.environment(machine));
        command
    }

    /// The caller's environment, less what would make a difference.
    #[expect(clippy::disallowed_methods, reason = "commands get the environment of the tests' caller")]
    fn environment(&self, machine: usize) -> BTreeMap<OsString, OsString> {
        let foreign = |key: &OsString| {
            let key = key.as_encoded_bytes();
            ["GIT_", "AGENTS_", "XDG_"].iter().any(|prefix| key.starts_with(prefix.as_bytes()))
        };
        let mut all: BTreeMap<_, _> = std::env::vars_os().filter(|(key, _)| !foreign(key)).collect();
        all.insert("HOME".into(), self.directory.clone().into());
        let own = self.machines[machine].variables(&self.oracle.place);
        all.extend(own.into_iter().map(|(name, value)| (name.into(), value.into())));
        all.insert("AGENTS_GRACE".into(), "1s".into());
        all.insert("AGENTS_LEASE_TTL".into(), "5s".into());
        let switches = self.switches.lock().expect("whole");
        all.extend(switches.iter().map(|(name, value)| (name.into(), value.into())));
        all
    }

    /// Coverage counters of the thousands that run from here on go nowhere: one file for each would
    /// fill the disk, and what they reach the other tests reach as well.
    pub(crate) fn without_counters(self) -> Self {
        let switch = ("LLVM_PROFILE_FILE".to_owned(), "/dev/null".to_owned());
        self.switches.lock().expect("whole").extend([switch]);
        self
    }

    /// Runs a command that has to succeed, before anything goes wrong.
    fn must(&self, machine: usize, words: &[&str]) {
        let output = self.command(machine, words).output().expect("the binary starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "agents {words:?}: {error}");
    }

    /// Writes a word to the commands of plans.
    pub(crate) fn tell(&self, name: &str, text: &str) {
        std::fs::write(self.directory.join(name), text).expect("written");
    }

    /// Ends what is left, and the directory unless it is to be kept.
    pub(crate) fn end(&self, keep: bool) -> Option<&Path> {
        for process in self.processes() {
            process.signal(rustix::process::Signal::KILL);
        }
        if keep {
            room::save(&self.disk, &self.directory.join("disk-as-it-was"));
            return Some(&self.directory);
        }
        room::give_back(&self.disk);
        std::fs::remove_dir_all(&self.directory).ok();
        None
    }
}
