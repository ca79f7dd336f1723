//! The files of attempts, without files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use agents_domain::files::{AskedSubplans, AttemptFiles, AttemptPaths, FilesError, Later, Said};
use agents_domain::id::PlanId;
use agents_domain::subplan::SubplanItem;
use async_trait::async_trait;

use super::locked;

/// Files beside worktrees that do not exist. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct ScriptedFiles(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    strategy: String,
    prepared: Vec<(String, String)>,
    broken: Option<&'static str>,
    said: Said,
    asked: BTreeMap<PathBuf, AskedSubplans>,
}

impl ScriptedFiles {
    /// What strategize will have written.
    pub fn strategize_writes(&self, strategy: &str) {
        strategy.clone_into(&mut locked(&self.0).strategy);
    }

    /// The children that every strategize phase of this plan will have asked for.
    pub fn says_subplans(&self, plan: PlanId, items: Vec<SubplanItem>) {
        self.asks(plan, AskedSubplans { items, ..AskedSubplans::default() });
    }

    /// What will be wrong with the file in which this plan asks for children.
    pub fn mumbles_subplans(&self, plan: PlanId, problems: &[&str]) {
        let problems = problems.iter().map(ToString::to_string).collect();
        self.asks(plan, AskedSubplans { problems, ..AskedSubplans::default() });
    }

    fn asks(&self, plan: PlanId, asked: AskedSubplans) {
        locked(&self.0).asked.insert(folder(plan), asked);
    }

    /// What every command will have said about being run again.
    pub fn commands_say(&self, later: Option<Later>) {
        locked(&self.0).said.later = later;
    }

    /// What will not be understood of what commands say.
    pub fn commands_mumble(&self, ignored: &str) {
        locked(&self.0).said.ignored = Some(ignored.to_owned());
    }

    /// From now on this method (`prepare`, `strategy`, `subplans` or `said`) fails; `None`: none does.
    pub fn breaks(&self, method: Option<&'static str>) {
        locked(&self.0).broken = method;
    }

    /// Strategy and guidance that each attempt was given, in order.
    pub fn prepared(&self) -> Vec<(String, String)> {
        locked(&self.0).prepared.clone()
    }

    fn check(&self, method: &str, path: &Path) -> Result<(), FilesError> {
        let broken = locked(&self.0).broken == Some(method);
        let error = || FilesError { path: path.display().to_string(), reason: "scripted".to_owned() };
        if broken { Err(error()) } else { Ok(()) }
    }
}

fn folder(plan: PlanId) -> PathBuf {
    Path::new("/attempts").join(plan.as_str())
}

#[async_trait]
impl AttemptFiles for ScriptedFiles {
    async fn prepare(
        &self,
        plan: PlanId,
        attempt: u32,
        strategy: &str,
        guidance: &str,
    ) -> Result<AttemptPaths, FilesError> {
        let folder = folder(plan).join(attempt.to_string());
        self.check("prepare", &folder)?;
        locked(&self.0).prepared.push((strategy.to_owned(), guidance.to_owned()));
        Ok(AttemptPaths {
            strategy_file: folder.join("strategy.md"),
            subplans_file: folder.join("subplans.jsonl"),
            guidance_file: folder.join("guidance.md"),
            artifacts_dir: folder.join("artifacts"),
            events_file: folder.join("events.jsonl"),
            log: folder.join("output.log"),
        })
    }

    async fn strategy(&self, paths: &AttemptPaths) -> Result<String, FilesError> {
        self.check("strategy", &paths.strategy_file)?;
        Ok(locked(&self.0).strategy.clone())
    }

    async fn subplans(&self, paths: &AttemptPaths) -> Result<AskedSubplans, FilesError> {
        self.check("subplans", &paths.subplans_file)?;
        let plan = paths.subplans_file.ancestors().nth(2);
        Ok(plan.and_then(|plan| locked(&self.0).asked.get(plan).cloned()).unwrap_or_default())
    }

    async fn said(&self, paths: &AttemptPaths) -> Result<Said, FilesError> {
        self.check("said", &paths.events_file)?;
        Ok(locked(&self.0).said.clone())
    }
}
