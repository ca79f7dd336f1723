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
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::{self, Receiver, Sender, UnboundedReceiver, UnboundedSender};

use super::environment::Variables;
use super::guard::GUARD_COMMAND;
use super::leftovers;
use super::log::Stream;
use super::output::{self, Sink};
use super::protocol::{self, Job, Order, Report};
use super::redact::Redactor;

/// Names, in the environment of the guard alone, `<plan>/<attempt>`.
pub(super) const GUARD_MARKER: &str = "AGENTS_GUARD_MARKER";

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

/// The hold on a guard: its life-line, by which orders reach it from any thread.
struct Leash {
    line: UnixStream,
    /// The guard's process once it has started; 0 before, and once it is reaped.
    guard: AtomicI32,
}

impl Leash {
    /// Passes an order on, and wakes a guard that was stopped, or it would not hear it. If the
    /// guard cannot take it, its end is in the news.
    fn order(&self, order: &Order) {
        let _ = protocol::send(&mut &self.line, order);
        if let Some(guard) = Pid::from_raw(self.guard.load(Ordering::SeqCst)) {
            let _ = kill_process(guard, Signal::CONT);
        }
    }
}

/// One run. Dropped, it cuts the life-line, upon which the guard kills the tree.
pub(super) struct Session {
    leash: Arc<Leash>,
    /// Ends when the guard is reaped.
    pub(super) news: UnboundedReceiver<News>,
    /// Ends when both pipes are drained.
    pub(super) drained: Receiver<()>,
}

impl Session {
    /// Begins a run; `running` counts it until its tree is gone.
    pub(super) fn start(start: Start, running: &Running) -> io::Result<Self> {
        let (line, guards) = UnixStream::pair()?;
        let leash = Arc::new(Leash { line, guard: AtomicI32::new(0) });
        let ours = Arc::clone(&leash);
        let (sender, news) = mpsc::unbounded_channel();
        let (done, drained) = mpsc::channel(1);
        let ticket = running.enter(&start.marker, &leash);
        thread::Builder::new().name("agents-guard".to_owned()).spawn(move || {
            if let Err(reason) = attend(start, &ours, guards, done, &sender) {
                let _ = sender.send(News::Broken(reason));
            }
            // First gone, then said so: whoever waits for the news may ask who runs.
            drop(ticket);
            drop(sender);
        })?;
        Ok(Self { leash, news, drained })
    }

    /// Passes an order on.
    pub(super) fn order(&self, order: &Order) {
        self.leash.order(order);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing would not do: the thread holds it too.
        let _ = self.leash.line.shutdown(Shutdown::Both);
        self.leash.order(&Order::Kill);
    }
}

/// Sees a guard through its life.
fn attend(
    start: Start,
    leash: &Leash,
    guards: UnixStream,
    done: Sender<()>,
    news: &UnboundedSender<News>,
) -> Result<(), String> {
    let marker = start.marker.clone();
    let mut guard = spawn(&start, guards).map_err(|error| format!("its guard did not start: {error}"))?;
    leash.guard.store(guard.id().try_into().unwrap_or(0), Ordering::SeqCst);
    let job = Order::Run(start.job.clone());
    let told = drain(&mut guard, start, done).and_then(|()| protocol::send(&mut &leash.line, &job));
    if told.is_err() {
        let _ = leash.line.shutdown(Shutdown::Both);
    }
    let mut reports = BufReader::new(&leash.line);
    while let Ok(Some(report)) = protocol::receive(&mut reports) {
        let _ = news.send(News::Report(report));
    }
    let ended = guard.wait();
    leash.guard.store(0, Ordering::SeqCst);
    match ended {
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
        .env(GUARD_MARKER, &start.marker)
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

/// The runs whose trees may be alive.
#[derive(Clone, Default)]
pub(super) struct Running {
    shared: Arc<(Mutex<Vec<Entry>>, Condvar)>,
}

struct Entry {
    marker: String,
    leash: Arc<Leash>,
}

impl Running {
    fn enter(&self, marker: &str, leash: &Arc<Leash>) -> Ticket {
        self.lock().push(Entry { marker: marker.to_owned(), leash: Arc::clone(leash) });
        Ticket { running: self.clone(), leash: Arc::clone(leash) }
    }

    /// Blocks until no run is left whose marker is wanted, at most so long; whether none is left.
    pub(super) fn wait(&self, wanted: impl Fn(&str) -> bool, at_most: Duration) -> bool {
        let any = |entries: &mut Vec<Entry>| entries.iter().any(|entry| wanted(&entry.marker));
        let over = self.shared.1.wait_timeout_while(self.lock(), at_most, any);
        !any(&mut over.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Passes an order on to the runs whose marker is wanted; returns their markers.
    pub(super) fn order(&self, wanted: impl Fn(&str) -> bool, order: &Order) -> Vec<String> {
        let entries = self.lock();
        let wanted = entries.iter().filter(|entry| wanted(&entry.marker));
        wanted.inspect(|entry| entry.leash.order(order)).map(|entry| entry.marker.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One run on the list.
struct Ticket {
    running: Running,
    leash: Arc<Leash>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.running.lock().retain(|entry| !Arc::ptr_eq(&entry.leash, &self.leash));
        self.running.shared.1.notify_all();
    }
}
