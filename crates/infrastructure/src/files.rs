//! The files beside the worktrees: `<state>/attempts/<ULID>/<attempt>/…`.
//!
//! ```text
//! strategy.md  subplans.jsonl  guidance.md  artifacts/  events.jsonl  output.log
//! ```
//!
//! Whatever a command puts in their place, nobody waits for it, and nothing is written through it.
//! Nothing here is deleted by a transition: an attempt's log and artifacts outlive it.

mod said;
mod subplans;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use agents_domain::files::{AskedSubplans, AttemptFiles, AttemptPaths, FilesError, Said};
use agents_domain::id::PlanId;
use async_trait::async_trait;

use crate::plain;

/// What is read of a strategy at most (1 MiB).
const STRATEGY_LIMIT: u64 = 1 << 20;

/// Files of attempts below one state directory.
#[derive(Debug, Clone)]
pub struct StateFiles {
    root: PathBuf,
}

impl StateFiles {
    /// Files below `state`, which exists.
    pub fn new(state: &Path) -> Self {
        Self { root: state.join("attempts") }
    }

    /// Where the files of an attempt are, made or not.
    pub fn paths(&self, plan: PlanId, attempt: u32) -> AttemptPaths {
        let folder = self.root.join(plan.as_str()).join(attempt.to_string());
        AttemptPaths {
            strategy_file: folder.join("strategy.md"),
            subplans_file: folder.join("subplans.jsonl"),
            guidance_file: folder.join("guidance.md"),
            artifacts_dir: folder.join("artifacts"),
            events_file: folder.join("events.jsonl"),
            log: folder.join("output.log"),
        }
    }
}

#[async_trait]
impl AttemptFiles for StateFiles {
    async fn prepare(
        &self,
        plan: PlanId,
        attempt: u32,
        strategy: &str,
        guidance: &str,
    ) -> Result<AttemptPaths, FilesError> {
        let paths = self.paths(plan, attempt);
        at(&paths.artifacts_dir, fs::create_dir_all(&paths.artifacts_dir))?;
        at(&paths.strategy_file, plain::replace(&paths.strategy_file, strategy))?;
        at(&paths.subplans_file, plain::replace(&paths.subplans_file, ""))?;
        at(&paths.guidance_file, plain::replace(&paths.guidance_file, guidance))?;
        for file in [&paths.events_file, &paths.log] {
            at(file, plain::append(file))?;
        }
        Ok(paths)
    }

    async fn strategy(&self, paths: &AttemptPaths) -> Result<String, FilesError> {
        let path = &paths.strategy_file;
        let mut bytes = Vec::new();
        let file = at(path, plain::read(path))?;
        at(path, file.take(STRATEGY_LIMIT).read_to_end(&mut bytes))?;
        Ok(plain::text(&bytes))
    }

    async fn subplans(&self, paths: &AttemptPaths) -> Result<AskedSubplans, FilesError> {
        at(&paths.subplans_file, subplans::read(&paths.subplans_file))
    }

    async fn said(&self, paths: &AttemptPaths) -> Result<Said, FilesError> {
        at(&paths.events_file, said::read(&paths.events_file))
    }
}

fn at<T>(path: &Path, outcome: std::io::Result<T>) -> Result<T, FilesError> {
    outcome.map_err(|error| FilesError { path: path.display().to_string(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> PlanId {
        PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid")
    }

    #[tokio::test]
    async fn what_strategize_writes_is_read_back_and_bounded() {
        let state = tempfile::tempdir().expect("a directory");
        let files = StateFiles::new(state.path());
        let paths = files.prepare(plan(), 2, "first do this", "gently").await.expect("prepared");
        assert_eq!(files.strategy(&paths).await.expect("read"), "first do this");
        assert_eq!(fs::read_to_string(&paths.guidance_file).expect("read"), "gently");
        assert!(paths.artifacts_dir.is_dir() && paths.log.is_file() && paths.events_file.is_file());
        fs::write(&paths.strategy_file, b"odd\0\xff").expect("written");
        assert_eq!(files.strategy(&paths).await.expect("read"), "odd\u{fffd}\u{fffd}");
        fs::write(&paths.strategy_file, vec![b'x'; (1 << 20) + 5]).expect("written");
        assert_eq!(files.strategy(&paths).await.expect("read").len(), 1 << 20);
    }

    #[tokio::test]
    async fn a_path_that_cannot_be_made_is_named() {
        let state = tempfile::tempdir().expect("a directory");
        fs::write(state.path().join("attempts"), "in the way").expect("written");
        let files = StateFiles::new(state.path());
        let error = files.prepare(plan(), 1, "", "").await.expect_err("a file is in the way");
        assert!(error.path.contains("attempts"), "{error}");
        assert!(files.strategy(&files.paths(plan(), 1)).await.is_err());
    }
}
