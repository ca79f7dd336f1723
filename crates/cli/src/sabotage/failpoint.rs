//! A point between two steps at which this process ends, or freezes, without warning.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::{Signal, getpid, kill_process};

/// Counts steps, and strikes at one of them. A step is one call to a port, before its effect
/// (`plans.commit`) or after it (`plans.commit.done`): "never asked" and "done, but nobody was told"
/// are different crashes.
#[derive(Debug)]
pub(super) struct Failpoint {
    /// `None`: only to be counted.
    signal: Option<Signal>,
    at: u64,
    /// Only steps of this name count; `None`: all do.
    name: Option<String>,
    seen: AtomicU64,
}

impl Failpoint {
    /// `kill:N`, `stop:N`, `count:N`, each with `:NAME` at will. `None`: it is not of that form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let signal = match parts.next()? {
            "kill" => Some(Signal::KILL),
            "stop" => Some(Signal::STOP),
            "count" => None,
            _ => return None,
        };
        let at = parts.next()?.parse().ok()?;
        Some(Self { signal, at, name: parts.next().map(str::to_owned), seen: AtomicU64::new(0) })
    }

    /// A call to a port, with a step before it and one after.
    pub(super) async fn around<T>(&self, name: &str, call: impl Future<Output = T>) -> T {
        self.step(name);
        let outcome = call.await;
        self.step(&format!("{name}.done"));
        outcome
    }

    fn step(&self, name: &str) {
        if self.name.as_ref().is_some_and(|wanted| wanted != name) {
            return;
        }
        let step = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::debug!(step, name, "failpoint");
        if step == self.at
            && let Some(signal) = self.signal
        {
            // To itself: nothing is unwound, nothing flushed, no other thread gets another turn.
            let _ = kill_process(getpid(), signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read() {
        let point = Failpoint::parse("stop:2:plans.commit").expect("of that form");
        assert_eq!(
            (point.signal, point.at, point.name.as_deref()),
            (Some(Signal::STOP), 2, Some("plans.commit"))
        );
        assert!(Failpoint::parse("kill:7").is_some_and(|point| point.name.is_none()));
        assert!(["", "kill", "kill:x", "term:1"].iter().all(|text| Failpoint::parse(text).is_none()));
    }
}
