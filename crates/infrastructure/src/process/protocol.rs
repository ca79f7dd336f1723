//! What driver and guard say to each other: JSON, one message a line, over one socket.
//!
//! Order on the wire: driver → `run`, then any number of `term`, `kill`. Guard → `refused` and
//! nothing more, or `started`, `child_ended`, `gone`. The end of the driver's side of the socket
//! (it exited, was killed, dropped the run) is an order as well: kill.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the guard is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Job {
    /// Program and arguments; never empty.
    pub(super) argv: Vec<String>,
    /// Where it runs; any bytes.
    pub(super) directory: OsString,
    /// Its whole environment; any bytes.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Between TERM and KILL.
    pub(super) grace: Duration,
}

/// Driver to guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// The first message, once.
    Run(Job),
    /// TERM now, KILL after the grace.
    Term,
    /// KILL now.
    Kill,
}

/// Guard to driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// It could not be started; nothing runs.
    Refused(Refusal),
    /// It runs; its process group has this number.
    Started {
        /// The process, and its group.
        pid: i32,
    },
    /// The command itself has ended; others of its tree may be left.
    ChildEnded {
        /// How.
        status: Status,
        /// Before any order to end it had come.
        by_itself: bool,
    },
    /// No process of its tree is left.
    Gone,
}

/// Why the command could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    /// No such program.
    NotFound,
    /// It may not, or cannot, be executed.
    NotExecutable {
        /// The system's word.
        reason: String,
    },
    /// Not the program's fault.
    Failed {
        /// The system's word.
        reason: String,
    },
}

/// How the command itself ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// With this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

/// Writes one message, whole.
pub(super) fn send(line: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    line.write_all(&text)
}

/// Reads the next message; `None` at the end, also for a message broken off by it.
pub(super) fn receive<T: DeserializeOwned>(line: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut text = Vec::new();
    line.read_until(b'\n', &mut text)?;
    if text.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&text)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn bytes_that_are_no_text_and_line_ends_survive() {
        let odd = OsString::from_vec(b"\xff\n=x".to_vec());
        let job = Job {
            argv: vec!["a\nb".into()],
            directory: odd.clone(),
            env: vec![(odd.clone(), odd)],
            grace: Duration::from_millis(1500),
        };
        let mut wire = Vec::new();
        send(&mut wire, &Order::Run(job.clone())).expect("memory");
        send(&mut wire, &Order::Kill).expect("memory");
        let mut reader = wire.as_slice();
        assert_eq!(receive(&mut reader).expect("well-formed"), Some(Order::Run(job)));
        assert_eq!(receive(&mut reader).expect("well-formed"), Some(Order::Kill));
        assert_eq!(receive::<Order>(&mut reader).expect("the end"), None);
    }

    #[test]
    fn a_message_broken_off_is_the_end_and_nonsense_an_error() {
        assert_eq!(receive::<Order>(&mut b"\"ki".as_slice()).expect("the end"), None);
        assert!(receive::<Order>(&mut b"\"dance\"\n".as_slice()).is_err());
    }
}
