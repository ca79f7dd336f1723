//! `agents worker …`: working off what was ordered, and the list of those who do.

mod told;

use std::io;
use std::pin::pin;
use std::sync::Arc;

use agents_application::LockService;
use agents_application::StopHub;
use agents_application::worker::{Terms, WorkerService};
use agents_domain::lock::Liveness;
use agents_domain::plan::StoreError;
use agents_domain::workers::{AtWork, Worker};
use agents_infrastructure::endpoint::Endpoint;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::app::App;
use crate::args::worker::WorkArgs;
use crate::commands::drive::{release_all, release_all_if_stopped};
use crate::commands::metrics;
use crate::commands::recover::put_all_right;
use crate::commands::resolve;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Change, Changing, Grid, Report, Screen, Seen, workers_report};
use crate::signals::Signals;

use told::Told;

/// `agents worker run`: works while it is shown.
pub fn run(app: App, args: &WorkArgs) -> Result<Report, Failure> {
    resolve::registered(&app, &args.projects)?;
    let terms = Terms {
        concurrency: args.concurrency.unwrap_or(app.base.settings.concurrency),
        once: args.once,
        projects: args.projects.clone(),
        tick: LockService::TICK,
    };
    let endpoint = args.metrics.map(|address| metrics::serve(&app, address)).transpose()?;
    let working = Working { app, terms, endpoint, exit: None };
    Ok(Report { body: Body::Changing(Box::new(working)), ..Report::of(serde_json::Value::Null) })
}

struct Working {
    app: App,
    terms: Terms,
    /// Where its numbers are, if they were asked for.
    endpoint: Option<Endpoint>,
    /// How it ended, other than as it should.
    exit: Option<Exit>,
}

type Shown<'a> = &'a mut dyn FnMut(&Seen) -> io::Result<()>;

impl Working {
    /// Works to the end; what is told meanwhile is shown as long as anybody looks.
    async fn work(&self, show: Shown<'_>) -> Result<Option<Exit>, Failure> {
        let (app, drain) = (&self.app, StopHub::default());
        let signals = Signals::listen_in_steps(drain.clone(), app.stop.clone())?;
        let (sender, receiver) = unbounded_channel();
        let told = Arc::new(Told::new(app.watch.clone(), app.base.progress.clone(), sender));
        let parts = app.worker_parts((told.clone(), told.clone()), drain.clone(), self.terms.clone());
        if let Some(endpoint) = &self.endpoint {
            told.say(&format!("metrics are at http://{}/metrics", endpoint.address()));
        }
        let work = Box::pin(self.and_put_right(WorkerService::new(parts).run(), &drain));
        let worked = shown(work, receiver, show).await;
        release_all_if_stopped(app).await;
        worked?;
        let stopped = app.stop.requested().is_some();
        if stopped {
            told.say("stopped by a signal; what was interrupted stays ordered; next: agents worker run");
        }
        Ok(stopped.then(|| signals.exit()))
    }

    /// Works, and meanwhile puts right what is pending on this machine; who works once does so afterwards,
    /// lest it hold plans that it was to take up. A remote may be silent for long, so whoever is asked to
    /// end does not wait for that; its git goes on, and ends by itself.
    async fn and_put_right(
        &self,
        work: impl Future<Output = Result<(), StoreError>>,
        drain: &StopHub,
    ) -> Result<(), StoreError> {
        let once = self.terms.once;
        let (mut work, mut right) = (pin!(work), pin!(put_all_right(&self.app, drain)));
        let mut is_right = false;
        let worked = loop {
            tokio::select! {
                biased;
                worked = &mut work => break worked,
                () = &mut right, if !once && !is_right => is_right = true,
            }
        };
        if once && worked.is_ok() {
            tokio::select! {
                biased;
                _ = drain.stopped() => {}
                () = &mut right => is_right = true,
            }
        }
        if !is_right && drain.requested().is_some() {
            release_all(&self.app).await;
        }
        worked
    }
}

/// Drives the work, and shows what is told.
async fn shown(
    work: impl Future<Output = Result<(), StoreError>>,
    mut told: UnboundedReceiver<Change>,
    show: Shown<'_>,
) -> Result<(), StoreError> {
    let mut work = pin!(work);
    let mut looks = true;
    // A reader who is gone is no reason to stop.
    let mut one = |change| {
        let seen = Seen { whole: Grid::new(&[]), changes: vec![change] };
        looks = looks && show(&seen).is_ok();
    };
    let outcome = loop {
        tokio::select! {
            biased;
            Some(change) = told.recv() => one(change),
            outcome = &mut work => break outcome,
        }
    };
    while let Ok(change) = told.try_recv() {
        one(change);
    }
    outcome
}

impl Changing for Working {
    fn run(&mut self, show: Shown<'_>) -> io::Result<()> {
        let json = self.app.base.flags.format() == crate::args::Format::Json;
        // stdout carries data only: for people everything goes to stderr.
        let mut show = |seen: &Seen| if json { show(seen) } else { Ok(()) };
        let worked = self.app.block_on(self.work(&mut show));
        self.app.base.progress.finish();
        match worked {
            Ok(exit) => self.exit = exit,
            Err(failure) => {
                self.app.base.progress.transition(&format!("error: {}", failure.message));
                self.exit = Some(failure.exit);
                return show(&told::failed(&failure));
            }
        }
        Ok(())
    }

    fn exit(&self, planned: Exit) -> Exit {
        self.exit.unwrap_or(planned)
    }

    fn screen(&self) -> Option<Screen> {
        None
    }
}

/// `agents worker list`.
pub fn list(app: &App) -> Result<Report, Failure> {
    let all = app.block_on(app.store.workers().list())?;
    let report = workers_report(&all, &|holder| app.liveness(holder), app.now());
    Ok(if all.is_empty() { report.message("nobody works; next: agents worker run") } else { report })
}

/// The workers that are not known to be gone.
pub(super) async fn alive(app: &App) -> Result<Vec<Worker>, Failure> {
    let all = app.store.workers().list().await?.into_iter();
    let lives = |one: &AtWork| one.liveness(app.liveness(&one.worker.process)) != Liveness::Dead;
    Ok(all.filter(lives).map(|one| one.worker).collect())
}
