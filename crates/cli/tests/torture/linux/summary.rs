//! What a person reads at the end.

use std::path::Path;

use crate::linux::checker::Verdict;

/// What one part came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) part: String,
    pub(crate) lines: Vec<String>,
    pub(crate) violations: Vec<String>,
    /// What could not be injected here. Never silent.
    pub(crate) not_run: Vec<String>,
    kept: Option<String>,
}

impl Report {
    pub(crate) fn of(part: &str, violations: &[String], kept: Option<&Path>) -> Self {
        Self {
            part: part.to_owned(),
            violations: violations.to_vec(),
            kept: kept.map(|path| path.display().to_string()),
            ..Self::default()
        }
    }

    /// For a part that has to go wrong in these ways: that it did is told, that it did not is a
    /// violation.
    pub(crate) fn invert(&mut self, expected: &[&str]) {
        let seen = std::mem::take(&mut self.violations);
        for what in expected {
            match seen.iter().find(|violation| violation.contains(what)) {
                Some(seen) => self.lines.push(format!("seen, as it must be: {seen}")),
                None => self.violations.push(format!("the checker did not see `{what}`")),
            }
        }
    }

    /// Prints it; whether it is well.
    #[expect(clippy::print_stdout, reason = "a test run says what it came to")]
    pub(crate) fn print(&self, seed: u64) -> bool {
        let Self { part, violations, .. } = self;
        println!("torture, {part}: {} violations", violations.len());
        self.lines.iter().for_each(|line| println!("  {line}"));
        self.not_run.iter().for_each(|what| println!("  NOT RUN: {what}"));
        violations.iter().take(20).for_each(|violation| println!("  VIOLATION {violation}"));
        if let Some(kept) = &self.kept {
            println!("  seed {seed}; kept in {kept}");
        }
        violations.is_empty()
    }
}

/// The figures of a random run.
pub(crate) fn figures(verdict: &Verdict) -> Vec<String> {
    let faults: Vec<_> = verdict.faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    let mut margins = verdict.margins.clone();
    margins.sort_unstable();
    let margin = match margins.as_slice() {
        [] => "none".to_owned(),
        all => format!("least {} ms, median {} ms, of {}", all[0], all[all.len() / 2], all.len()),
    };
    vec![
        format!(
            "{} processes, {} plans, {} attempts, {} landings, {} commits, {} answers compared",
            verdict.processes,
            verdict.plans,
            verdict.attempts,
            verdict.landings,
            verdict.commits,
            verdict.answers
        ),
        format!("faults met by processes: {}", faults.join(", ")),
        format!(
            "{} takeovers, {} lost leases, {} attempts of dead drivers recovered",
            verdict.takeovers, verdict.lost_leases, verdict.recovered
        ),
        format!(
            "{} plans with {} children: {} merged, {} given up, {} conflicts; {} schedulers adopted",
            verdict.trees.parents,
            verdict.trees.children,
            verdict.trees.merged,
            verdict.trees.given_up,
            verdict.trees.conflicts,
            verdict.trees.adopted
        ),
        format!("between the last sign of an attempt and the first of the next: {margin}"),
    ]
}
