//! Commands of a plan with children, run again: each child's one after the other, so many children at
//! once.
//!
//! Whose a command is, its arguments say: they name the plan by its id. A command that names no
//! child belongs to the child whose command comes next; what comes before the first child's, and after
//! the last one's, is the parent's and is run alone. What is done between two commands is timed here
//! as well, since others run meanwhile: it is what `agents` cannot do without either.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::{Recorded, Recording};
use crate::figures::nanoseconds;

/// The length of a plan's id.
const ID: usize = 26;

impl Recording {
    /// Runs them again, so many children at once; how long it takes, in nanoseconds.
    pub(crate) fn replay_at_once(&self, children: usize) -> u64 {
        let Chains { before, of_children, after } = self.chains();
        let turns = Mutex::new(());
        let run = |chain: &[&Recorded]| self.run(chain, &turns);
        nanoseconds(|| {
            run(&before);
            let waiting = Mutex::new(of_children.into_iter());
            let next = || waiting.lock().expect("nobody panics").next();
            let work = || std::iter::from_fn(next).for_each(|chain| run(&chain));
            std::thread::scope(|scope| (0..children).for_each(|_| drop(scope.spawn(work))));
            run(&after);
        })
    }

    /// Git names the records of worktrees in the order in which they are added, which is another one
    /// each time: commands that name one are told the name that it has now.
    fn run(&self, chain: &[&Recorded], turns: &Mutex<()>) {
        let mut record: Option<PathBuf> = None;
        for recorded in chain {
            let _turn = recorded.moves_worktrees().then(|| turns.lock().expect("nobody panics"));
            match &record {
                None => self.again(recorded),
                Some(record) => self.again(&recorded.with_record(record)),
            };
            if let Some(worktree) = recorded.added() {
                let link = fs::read_to_string(Path::new(worktree).join(".git")).expect("a worktree");
                record = link.trim().strip_prefix("gitdir: ").map(PathBuf::from);
            }
        }
    }

    /// How many children the commands are of.
    pub(crate) fn children(&self) -> usize {
        self.chains().of_children.len()
    }

    fn chains(&self) -> Chains<'_> {
        let ids: BTreeSet<String> = self.commands.iter().filter_map(Recorded::in_worktree).collect();
        let mut chains: BTreeMap<String, Vec<&Recorded>> = BTreeMap::new();
        let (mut before, mut unclaimed) = (Vec::new(), Vec::new());
        for recorded in &self.commands {
            let Some(id) = ids.iter().find(|id| recorded.says(id)) else {
                unclaimed.push(recorded);
                continue;
            };
            if chains.is_empty() {
                before = std::mem::take(&mut unclaimed);
            }
            let chain = chains.entry(id.clone()).or_default();
            chain.append(&mut unclaimed);
            chain.push(recorded);
        }
        Chains { before, of_children: chains.into_values().collect(), after: unclaimed }
    }
}

/// Commands in the order in which they must be run.
struct Chains<'a> {
    before: Vec<&'a Recorded>,
    of_children: Vec<Vec<&'a Recorded>>,
    after: Vec<&'a Recorded>,
}

impl Recorded {
    /// Git adds and removes worktrees one at a time only: two at once read what is half written.
    fn moves_worktrees(&self) -> bool {
        self.names(["worktree", "add"]) || self.names(["worktree", "remove"])
    }

    fn says(&self, word: &str) -> bool {
        self.arguments.iter().any(|argument| argument.to_string_lossy().contains(word))
    }

    /// The same, with the index in that record of a worktree.
    fn with_record(&self, record: &Path) -> Self {
        let mut same = self.clone();
        for (key, value) in &mut same.environment {
            if key == "GIT_INDEX_FILE" {
                let name = Path::new(value).file_name().expect("a file").to_owned();
                *value = record.join(name).into_os_string();
            }
        }
        same
    }

    /// The plan in whose worktree it works.
    fn in_worktree(&self) -> Option<String> {
        let of = |argument: &std::ffi::OsString| {
            let text = argument.to_string_lossy();
            let (_, rest) = text.split_once("/state/worktrees/")?;
            rest.get(..ID).map(str::to_owned)
        };
        self.arguments.iter().find_map(of)
    }
}
