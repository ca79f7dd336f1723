//! The command of a plan: this program again, as its own child. It shows that it lives, commits,
//! leaves a process behind that has broken away and ignores TERM, and ends one way or another.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::linux::chance::Chance;
use crate::linux::clock;
use crate::linux::git;
use crate::linux::journal::{What, Writer};
use crate::linux::procs;
use crate::linux::trees;

/// The hidden argument under which this program is a command of a plan.
pub(crate) const CHILD: &str = "__child";
/// … and the process that breaks away from one.
pub(crate) const STRAY: &str = "__stray";
/// In the journal's directory's parent: commands do their work and end well, soon.
pub(crate) const CALM: &str = "calm";
/// There, too: how many milliseconds a command of execute works before anything else.
pub(crate) const LONG: &str = "long";

/// Between two signs of life.
const BEAT: Duration = Duration::from_millis(20);
/// A stray process ends by itself then, should nobody end it: nothing outlives a test for long.
const STRAY_LIFE: Duration = Duration::from_mins(5);
/// The exit code of a command that wants to be run again later.
const PARK: u8 = 75;

struct Job<'a> {
    writer: Writer<'a>,
    run: &'a Path,
    chance: Chance,
    calm: bool,
}

/// The whole life of a command: `__child ROLE RUN-DIRECTORY SEED`.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let [kind, role, run, seed] = arguments else { return ExitCode::from(2) };
    let run = Path::new(run);
    let journal = run.join("journal");
    let attempt = variable("AGENTS_ATTEMPT").parse().expect("a number");
    let writer = Writer { directory: &journal, plan: variable("AGENTS_PLAN_ID"), attempt };
    if kind == STRAY {
        return stray(&writer);
    }
    writer.tell(&What::Begin(role.clone(), procs::of_other_attempts(&writer.plan, attempt)));
    let chance = Chance::of(seed.parse().expect("a number"), &format!("{}/{attempt}/{role}", writer.plan));
    let mut job = Job { writer, run, chance, calm: run.join(CALM).exists() };
    let code = match role.as_str() {
        "strategize" => job.strategize(),
        "execute" => job.execute(seed),
        "leaf" => job.leaf(seed),
        plant if plant.starts_with("plant") => job.plant(plant),
        _ => job.validate(),
    };
    job.writer.tell(&What::End);
    ExitCode::from(code)
}

fn stray(writer: &Writer<'_>) -> ExitCode {
    let end = clock::now() + i64::try_from(STRAY_LIFE.as_millis()).expect("small");
    while clock::now() < end {
        writer.tell(&What::Beat);
        clock::pass(BEAT);
    }
    ExitCode::SUCCESS
}

impl Job<'_> {
    fn strategize(&mut self) -> u8 {
        self.work(0, 300);
        std::fs::write(variable("AGENTS_STRATEGY_FILE"), "carry on\n").map_or(4, |()| 0)
    }

    /// Asks for children.
    fn plant(&mut self, role: &str) -> u8 {
        self.work(0, 200);
        let projects: Vec<String> = projects().into_iter().map(|(name, _)| name).collect();
        let lines = trees::plant(role, &projects, &mut self.chance);
        std::fs::write(variable("AGENTS_SUBPLANS_FILE"), lines).map_or(4, |()| self.verdict(5))
    }

    /// A child without children. Those that clash write the same file in the same place.
    fn leaf(&mut self, seed: &str) -> u8 {
        if !self.calm && self.chance.percent(20) {
            self.leave_a_stray(seed);
        }
        self.work(0, 700);
        if variable("AGENTS_ARG_CLASH") == "yes" {
            let file = format!("clash-{}.txt", variable("AGENTS_PARENT_PLAN_ID"));
            let clash = |(_, path): (_, PathBuf)| std::fs::write(path.join(&file), &self.writer.plan);
            if projects().into_iter().map(clash).any(|written| written.is_err()) {
                return 4;
            }
        }
        if self.commit(0).is_none() {
            return 4;
        }
        if !self.calm && self.chance.percent(15) {
            self.work(1_000, 6_000);
        }
        if !self.calm && self.chance.percent(20) { 3 } else { 0 }
    }

    fn execute(&mut self, seed: &str) -> u8 {
        if let Ok(text) = std::fs::read_to_string(self.run.join(LONG)) {
            self.leave_a_stray(seed);
            self.live(Duration::from_millis(text.trim().parse().expect("a number")));
        } else if !self.calm && self.chance.percent(30) {
            self.leave_a_stray(seed);
        }
        for number in 0..=self.chance.below(2) {
            self.work(0, 400);
            if self.commit(number).is_none() {
                // A full disk, or a directory that is gone.
                return 4;
            }
        }
        if self.chance.percent(50) {
            let left = projects().first().map(|(_, path)| path.join(format!("{}.left", self.writer.plan)));
            if left.is_none_or(|path| std::fs::write(path, "not committed\n").is_err()) {
                return 4;
            }
        }
        if !self.calm && self.chance.percent(15) {
            self.work(2_000, 12_000);
        }
        self.verdict(20)
    }

    fn validate(&mut self) -> u8 {
        self.work(0, 300);
        self.verdict(10)
    }

    /// Zero, but for so many of a hundred.
    fn verdict(&mut self, share: usize) -> u8 {
        if self.calm || !self.chance.percent(share) {
            return 0;
        }
        if self.chance.percent(30) { PARK } else { 3 }
    }

    fn work(&mut self, least: usize, most: usize) {
        let time = if self.calm { Duration::ZERO } else { self.chance.millis(least, most) };
        self.live(time);
    }

    fn live(&self, time: Duration) {
        let end = clock::now() + i64::try_from(time.as_millis()).expect("small");
        loop {
            self.writer.tell(&What::Beat);
            if clock::now() >= end {
                break;
            }
            clock::pass(BEAT);
        }
    }

    /// One commit in each project.
    fn commit(&self, number: usize) -> Option<()> {
        for (project, directory) in projects() {
            let attempt = self.writer.attempt;
            let file = format!("{}-{attempt}-{number}.txt", self.writer.plan);
            std::fs::write(directory.join(&file), format!("{project} {attempt} {number}\n")).ok()?;
            git::run(&directory, &["add", "--", &file])?;
            git::run(&directory, &["commit", "-q", "-m", &format!("work {number} of attempt {attempt}")])?;
            let commit = git::run(&directory, &["rev-parse", "HEAD"])?;
            self.writer.tell(&What::Commit { project, commit });
        }
        Some(())
    }

    /// Two forks and a session away, and deaf to TERM.
    fn leave_a_stray(&self, seed: &str) {
        let me = std::env::current_exe().expect("this program");
        let (me, run) = (me.display(), self.run.display());
        let script = format!("trap '' TERM; setsid '{me}' {STRAY} - '{run}' {seed} &");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).stdin(Stdio::null());
        shell.status().expect("a shell");
    }
}

/// By name, in lower case.
#[expect(clippy::disallowed_methods, reason = "a command is told by its environment where to work")]
fn projects() -> Vec<(String, PathBuf)> {
    let of = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let name = name.to_str()?.strip_prefix("AGENTS_PROJECT_")?.strip_suffix("_DIR")?.to_lowercase();
        Some((name, PathBuf::from(value)))
    };
    std::env::vars_os().filter_map(of).collect()
}

#[expect(clippy::disallowed_methods, reason = "a command is told by its environment what it works for")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}
