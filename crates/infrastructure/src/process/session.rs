//! The driver's side of one run: a guard, its life-line, and what it says.
//!
//! One thread of its own starts the guard, hands it the job, passes its reports on and reaps it;
//! nothing blocks the caller's runtime. It outlives a run that is dropped, until the tree is gone.

use std::io::{self, BufReader};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

use super::environment::Variables;
use super::guard::GUARD_COMMAND;
use super::leftovers;
use super::log::Stream;
use super::output::{self, Sink};
use super::protocol::{self, Job, Order, Report};
use super::redact::Redactor;

/// What the thread tells the run.
pub(super) enum News {
    /// The guard's word.
    Report(Report),
    /// There is no guard, or it ended without doing its work. No process is left all the same.
    Broken(String),
}

/// All that a run needs to begin.
pub(super) struct Start {
    /// The binary that has the guard's command.
    pub(super) binary: PathBuf,
    /// The guard's own environment.
    pub(super) guard_env: Variables,
    /// The command.
    pub(super) job: Job,
    /// The value of the command's marker.
    pub(super) marker: String,
    /// Where output goes.
    pub(super) sink: Sink,
    /// Masks secrets.
    pub(super) redactor: Redactor,
}

/// One run. Dropped, it cuts the life-line, upon which the guard kills the tree.
pub(super) struct Session {
    line: UnixStream,
    /// Ends when the guard is reaped.
    pub(super) news: UnboundedReceiver<News>,
    /// Ends when both pipes are drained.
    pub(super) drained: Receiver<()>,
}

impl Session {
    /// Begins a run; `running` counts it until its tree is gone.
    pub(super) fn start(start: Start, running: &Running) -> io::Result<Self> {
        let (line, guards) = UnixStream::pair()?;
        let ours = line.try_clone()?;
        let (sender, news) = mpsc::unbounded_channel();
        let (done, drained) = mpsc::channel(1);
        let ticket = running.enter(&start.marker);
        thread::Builder::new().name("agents-guard".to_owned()).spawn(move || {
            if let Err(reason) = attend(start, ours, guards, done, &sender) {
                let _ = sender.send(News::Broken(reason));
            }
            // First gone, then said so: whoever waits for the news may ask who runs.
            drop(ticket);
            drop(sender);
        })?;
        Ok(Self { line, news, drained })
    }

    /// Passes an order on. If the guard cannot take it, its end is in the news.
    pub(super) fn order(&mut self, order: &Order) {
        let _ = protocol::send(&mut self.line, order);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing would not do: the thread holds a duplicate.
        let _ = self.line.shutdown(Shutdown::Both);
    }
}

/// Sees a guard through its life.
fn attend(
    start: Start,
    mut line: UnixStream,
    guards: UnixStream,
    done: Sender<()>,
    news: &UnboundedSender<News>,
) -> Result<(), String> {
    let marker = start.marker.clone();
    let mut guard = spawn(&start, guards).map_err(|error| format!("its guard did not start: {error}"))?;
    let job = Order::Run(start.job.clone());
    let told = drain(&mut guard, start, done).and_then(|()| protocol::send(&mut line, &job));
    if told.is_err() {
        let _ = line.shutdown(Shutdown::Both);
    }
    let mut reports = BufReader::new(line);
    while let Ok(Some(report)) = protocol::receive(&mut reports) {
        let _ = news.send(News::Report(report));
    }
    match guard.wait() {
        Ok(status) if status.success() => told.map_err(|error| error.to_string()),
        ended => {
            let left = leftovers::kill(&marker);
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(format!("its guard ended early ({how}); {} processes were killed", left.len()))
        }
    }
}

fn spawn(start: &Start, guards: UnixStream) -> io::Result<Child> {
    Command::new(&start.binary)
        .arg(GUARD_COMMAND)
        .env_clear()
        .envs(&start.guard_env)
        .stdin(OwnedFd::from(guards))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn drain(guard: &mut Child, start: Start, done: Sender<()>) -> io::Result<()> {
    let (Some(out), Some(err)) = (guard.stdout.take(), guard.stderr.take()) else { return Ok(()) };
    output::drain(Stream::Out, out, start.redactor.clone(), start.sink.clone(), done.clone())?;
    output::drain(Stream::Err, err, start.redactor, start.sink, done)
}

/// The markers of the runs whose trees may be alive, one for each run.
#[derive(Debug, Clone, Default)]
pub(super) struct Running {
    shared: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Running {
    fn enter(&self, marker: &str) -> Ticket {
        self.lock().push(marker.to_owned());
        Ticket { running: self.clone(), marker: marker.to_owned() }
    }

    /// Blocks until no run is left whose marker is wanted, at most so long; whether none is left.
    pub(super) fn wait(&self, wanted: impl Fn(&str) -> bool, at_most: Duration) -> bool {
        let any = |markers: &mut Vec<String>| markers.iter().any(|marker| wanted(marker));
        let over = self.shared.1.wait_timeout_while(self.lock(), at_most, any);
        !any(&mut over.unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run on the list.
struct Ticket {
    running: Running,
    marker: String,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut markers = self.running.lock();
        if let Some(index) = markers.iter().position(|marker| *marker == self.marker) {
            markers.swap_remove(index);
        }
        self.running.shared.1.notify_all();
    }
}
