//! What the commands of plans did, written by themselves: one file for each plan, one line for each
//! sign of life, appended in one write.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::linux::clock;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Milliseconds since boot.
    pub(crate) at: i64,
    pub(crate) pid: i32,
    pub(crate) plan: String,
    pub(crate) attempt: u32,
    pub(crate) what: What,
}

/// What is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A command begins, for this purpose; these commands of other attempts were alive then.
    Begin(String, Vec<i32>),
    /// It lives.
    Beat,
    /// It made a commit in a project.
    Commit { project: String, commit: String },
    /// It ends by itself.
    End,
}

/// Where commands write.
#[derive(Debug, Clone)]
pub(crate) struct Writer<'a> {
    pub(crate) directory: &'a Path,
    pub(crate) plan: String,
    pub(crate) attempt: u32,
}

impl Writer<'_> {
    /// Appends one line.
    pub(crate) fn tell(&self, what: &What) {
        let words = match what {
            What::Begin(role, others) => {
                format!("begin {role} {}", others.iter().map(i32::to_string).collect::<Vec<_>>().join(","))
            }
            What::Beat => "beat".to_owned(),
            What::Commit { project, commit } => format!("commit {project} {commit}"),
            What::End => "end".to_owned(),
        };
        let line = format!("{} {} {} {words}\n", clock::now(), std::process::id(), self.attempt);
        let file = OpenOptions::new().append(true).create(true).open(self.directory.join(&self.plan));
        file.expect("the journal opens").write_all(line.as_bytes()).expect("the journal is written");
    }
}

/// Everything, by plan, in the order in which it was written.
pub(crate) fn read(directory: &Path) -> BTreeMap<String, Vec<Record>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let plan = entry.file_name().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(entry.path()).expect("the journal is text");
        all.insert(plan.clone(), text.lines().filter_map(|line| record(&plan, line)).collect());
    }
    all
}

fn record(plan: &str, line: &str) -> Option<Record> {
    let mut words = line.split(' ');
    let (at, pid, attempt) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let what = match words.next()? {
        "begin" => {
            let (role, pids) = (words.next()?.to_owned(), words.next()?.split(','));
            What::Begin(role, pids.filter_map(|pid| pid.parse().ok()).collect())
        }
        "beat" => What::Beat,
        "commit" => What::Commit { project: words.next()?.to_owned(), commit: words.next()?.to_owned() },
        _ => What::End,
    };
    Some(Record { at, pid, plan: plan.to_owned(), attempt, what })
}
