//! `agents plan diff` and `agents plan restore`: what came of a plan. Reads refs; takes no lock.

use std::io::{Cursor, Read};
use std::path::Path;

use agents_application::lifecycle::history;
use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Event, PlanRecord, Saved};
use agents_domain::workspace::{Project, WorkspaceError};
use agents_infrastructure::git::{self, FileChange, Kept};
use serde_json::{Value, json};

use crate::app::App;
use crate::args::value::PlanRef;
use crate::args::{ColorWish, Format};
use crate::commands::resolve;
use crate::failure::Failure;
use crate::render::{Body, Report};

/// A plan, and all that can be known of its work.
struct Results {
    record: PlanRecord,
    definition: Definition,
    events: Vec<Event>,
    /// By project, in the order of the definition; oldest first.
    snapshots: Vec<Vec<Kept>>,
}

/// What is compared in one project.
struct Compared<'a> {
    project: &'a Project,
    base: Oid,
    tip: Oid,
}

/// What is compared in all of them, and what of it is not known.
struct Comparison<'a> {
    all: Vec<Compared<'a>>,
    doubts: Vec<String>,
}

impl Results {
    fn of(app: &App, plan: &PlanRef) -> Result<Self, Failure> {
        let record = resolve::view(app, resolve::plan(app, plan)?)?.record;
        let none = || Failure::not_found("no_such_plan", format!("there is no plan {}", record.id));
        let mut definition = app.block_on(app.store.plans().definition(record.id))?.ok_or_else(none)?;
        for project in &mut definition.projects {
            *project = app.here(project)?;
        }
        let events = app.block_on(app.store.plans().events(record.id))?;
        let of = |project| git::snapshots(&app.git, project, record.id);
        let snapshots = definition.projects.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self { record, definition, events, snapshots })
    }

    fn id(&self) -> PlanId {
        self.record.id
    }

    /// The attempt asked for, or else the newest that left anything; exit 3 if it left nothing.
    fn attempt(&self, wanted: Option<u32>) -> Result<u32, Failure> {
        let mut left: Vec<u32> = self.snapshots.iter().flatten().map(|kept| kept.attempt).collect();
        left.sort_unstable();
        left.dedup();
        let (id, newest) = (self.id(), left.last().copied());
        let Some(newest) = newest else {
            return Err(Failure::not_found("no_work", format!("plan {id} has left no work yet"))
                .hint(format!("agents plan status {id}")));
        };
        match wanted {
            Some(wanted) if !left.contains(&wanted) => {
                let known: Vec<_> = left.iter().map(u32::to_string).collect();
                let message = format!("attempt {wanted} of plan {id} left no work");
                Err(Failure::not_found("no_such_attempt", message)
                    .cause(format!("these attempts left work: {}", known.join(", ")))
                    .hint(format!("agents plan diff {id} --attempt {newest}"))
                    .detail(json!({ "plan_id": id.as_str(), "attempts": left })))
            }
            wanted => Ok(wanted.unwrap_or(newest)),
        }
    }

    /// The newest snapshot of an attempt in each project that has one.
    fn newest(&self, attempt: u32) -> Vec<(&Project, &Kept)> {
        let of = |(project, all): (_, &'_ Vec<Kept>)| -> Option<(&Project, usize)> {
            all.iter().rposition(|kept| kept.attempt == attempt).map(|at| (project, at))
        };
        let places = self.definition.projects.iter().zip(&self.snapshots).enumerate();
        places
            .filter_map(|(n, pair)| of(pair).map(|(project, at)| (project, &self.snapshots[n][at])))
            .collect()
    }

    /// From the start to what an attempt left.
    fn to_attempt(&self, attempt: u32) -> Comparison<'_> {
        let bases = history::bases(&self.events, attempt);
        let of = |(project, kept): (_, &Kept)| {
            let project: &Project = project;
            let base = bases.get(&project.name)?.clone();
            Some(Compared { project, base, tip: kept.commit.clone() })
        };
        Comparison { all: self.newest(attempt).into_iter().filter_map(of).collect(), doubts: Vec::new() }
    }

    /// From the start to the result; `None`: no phase that changes anything is complete yet.
    fn to_result(&self, app: &App) -> Result<Option<Comparison<'_>>, Failure> {
        if self.record.projects.iter().all(|facts| facts.tip.is_none()) {
            return Ok(None);
        }
        let (mut all, mut doubts) = (Vec::new(), Vec::new());
        for (project, facts) in self.definition.projects.iter().zip(&self.record.projects) {
            let Some(base) = facts.base.clone() else { continue };
            let Some(recorded) = &facts.tip else {
                all.push(Compared { project, tip: base.clone(), base });
                continue;
            };
            // A person may have put commits on top.
            let found = git::plan_tip(&app.git, project, self.id(), recorded)?;
            doubts.extend(found.unasked.map(|error| {
                format!(
                    "this is the result as it is known here; what somebody pushed since is not in it: {error}"
                )
            }));
            all.push(Compared { project, base, tip: found.commit });
        }
        Ok(Some(Comparison { all, doubts }))
    }
}

/// Says which machine has a commit that is not to be had here, if the log knows.
fn whose(error: WorkspaceError, events: &[Event]) -> WorkspaceError {
    match error {
        WorkspaceError::NoCommit { project, commit, .. } => {
            let host = history::made_on(events, &commit);
            WorkspaceError::NoCommit { project, commit, host }
        }
        other => other,
    }
}

/// From where the plan started to its result, or to what an attempt left.
pub(super) fn diff(app: &App, plan: &PlanRef, attempt: Option<u32>, stat: bool) -> Result<Report, Failure> {
    let results = Results::of(app, plan)?;
    let whole = if attempt.is_none() { results.to_result(app)? } else { None };
    let (attempt, Comparison { all: compared, doubts }) = if let Some(whole) = whole {
        (None, whole)
    } else {
        let attempt = results.attempt(attempt)?;
        (Some(attempt), results.to_attempt(attempt))
    };
    for one in &compared {
        for commit in [&one.base, &one.tip] {
            let brought = git::bring(&app.git, one.project, results.id(), commit);
            brought.map_err(|error| whose(error, &results.events))?;
        }
    }
    let data = |projects: Vec<Value>| json!({ "plan_id": results.id().as_str(), "attempt": attempt, "projects": projects });
    if app.base.flags.format() == Format::Json {
        let listed = compared.iter().map(|one| listed(app, one)).collect::<Result<_, _>>()?;
        return Ok(Report { messages: doubts, ..Report::of(data(listed)) });
    }
    let mut all: Box<dyn Read + Send> = Box::new(std::io::empty());
    for one in &compared {
        if compared.len() > 1 {
            let header = format!("# {} {}..{}\n", one.project.name, one.base.short(), one.tip.short());
            all = Box::new(all.chain(Cursor::new(header.into_bytes())));
        }
        let shown = git::diff(&app.git, one.project, (&one.base, &one.tip), stat, colored(app))?;
        all = Box::new(all.chain(shown));
    }
    Ok(Report { body: Body::Raw(all), messages: doubts, ..Report::of(data(Vec::new())) })
}

/// Unlike labels, which go to stderr, the difference goes to stdout.
fn colored(app: &App) -> bool {
    let env = &app.base.env;
    match app.base.settings.color {
        ColorWish::Always => true,
        ColorWish::Never => false,
        ColorWish::Auto => env.streams.output_is_terminal && !env.no_color && !env.dumb,
    }
}

fn listed(app: &App, one: &Compared<'_>) -> Result<Value, Failure> {
    let files = git::changed_files(&app.git, one.project, &one.base, &one.tip)?;
    Ok(json!({
        "project": one.project.name.as_str(), "base": one.base.as_str(), "tip": one.tip.as_str(),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    }))
}

/// JSON holds Unicode only: other paths come in hexadecimal as well, so that nothing is lost.
fn file(change: &FileChange) -> Value {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = change.path.as_os_str().as_bytes();
    let hex = || bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    json!({
        "path": change.path.to_string_lossy(),
        "path_hex": std::str::from_utf8(bytes).is_err().then(hex),
        "status": change.status.to_string(),
        "added": change.lines.map(|(added, _)| added),
        "removed": change.lines.map(|(_, removed)| removed),
    })
}

/// Puts what an attempt left into a new directory.
pub(super) fn restore(
    app: &App,
    plan: &PlanRef,
    attempt: Option<u32>,
    dir: &Path,
) -> Result<Report, Failure> {
    let results = Results::of(app, plan)?;
    let attempt = results.attempt(attempt)?;
    let newest = results.newest(attempt);
    let commits: Vec<_> = newest.iter().map(|(project, kept)| (*project, kept.commit.clone())).collect();
    let made = git::export(&app.git, &commits, dir)?;
    let data = json!({
        "plan_id": results.id().as_str(), "attempt": attempt, "directory": made.to_string_lossy(),
        "projects": newest.iter().map(|(project, kept)| json!({
            "project": project.name.as_str(), "ref": kept.reference, "commit": kept.commit.as_str(),
        })).collect::<Vec<_>>(),
    });
    let what = format!("what attempt {attempt} of plan {} left is in {}", results.id(), made.display());
    let report = newest.iter().fold(Report::of(data).message(what), |report, (project, kept)| {
        report.message(format!("{}: {} from {}", project.name, kept.commit.short(), kept.reference))
    });
    Ok(left_out(&results, attempt).into_iter().fold(report, Report::message))
}

/// What the snapshots lack, as the log has it.
fn left_out(results: &Results, attempt: u32) -> Vec<String> {
    let works = history::works(&results.events).into_iter().filter(|((of, _), _)| *of == attempt);
    let said = works.filter_map(|((_, project), saved)| match saved {
        Saved::Snapshot { kept, .. } => kept.map(|reason| format!("{project}: {reason}")),
        Saved::Directory { reason } => Some(format!("{project}: no snapshot at the end: {reason}")),
        Saved::Pending { host } => Some(format!("{project}: its snapshot is pending on {host}")),
    });
    said.collect()
}
