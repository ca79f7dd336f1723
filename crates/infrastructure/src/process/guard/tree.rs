//! The tree of processes that a guard keeps: planted, reaped, signalled.
//!
//! Everything here is done on one thread: a child that is not yet reaped keeps its number, so
//! between two calls of [`Tree::reap`] the numbers of our direct children, and of the group of a
//! command not yet reaped, belong to them and to nobody else.

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, kill_process_group, test_kill_process_group, wait,
};

use super::super::protocol::{Job, Refusal, Status};
use super::super::stat;

/// The command, and whatever it started.
pub(super) struct Tree {
    /// The command itself; also the number of its group.
    leader: Pid,
    leader_reaped: bool,
    /// Who has been sent TERM; nobody gets it twice while the command lives.
    warned: HashSet<i32>,
}

impl Tree {
    /// Starts the command of this job.
    pub(super) fn plant(job: &Job) -> Result<Self, Refusal> {
        let [program, arguments @ ..] = job.argv.as_slice() else { return Err(Refusal::NotFound) };
        let directory = Path::new(&job.directory);
        if !directory.is_dir() {
            return Err(Refusal::Failed { reason: format!("there is no directory {}", directory.display()) });
        }
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).stdin(Stdio::null()).process_group(0);
        command.env_clear().envs(job.env.iter().map(|(name, value)| (name, value)));
        let child = command.spawn().map_err(|error| refusal(program, directory, &error))?;
        // From here on it is reaped through `wait`, never through `child`.
        let leader = Pid::from_child(&child);
        Ok(Self { leader, leader_reaped: false, warned: HashSet::new() })
    }

    /// The number of the command.
    pub(super) fn leader(&self) -> i32 {
        self.leader.as_raw_nonzero().get()
    }

    /// Reaps all who have ended. The command's status, if it was among them, and whether
    /// children are left.
    pub(super) fn reap(&mut self) -> (Option<Status>, bool) {
        let mut status = None;
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, ended))) => {
                    self.warned.remove(&pid.as_raw_nonzero().get());
                    if pid == self.leader {
                        self.leader_reaped = true;
                        // Leftovers hear it anew: what a shell was about to run when the group
                        // got it has lost it between fork and exec.
                        self.warned.clear();
                        let signal = ended.terminating_signal().map(Status::Signalled);
                        status = signal.or(ended.exit_status().map(Status::Exited)).or(status);
                    }
                }
                Ok(None) => return (status, true),
                Err(Errno::INTR) => {}
                Err(_) => return (status, !self.is_gone()),
            }
        }
    }

    /// TERM to those who have not had it: the command's group, and all who fell back to us. CONT
    /// after it, or a stopped process would not hear it.
    pub(super) fn term(&mut self) {
        if !self.leader_reaped && self.warned.insert(self.leader()) {
            let group = self.leader();
            self.warned.extend(stat::all().filter(|stat| stat.group == group).map(|stat| stat.pid));
            let _ = kill_process_group(self.leader, Signal::TERM);
            let _ = kill_process_group(self.leader, Signal::CONT);
        }
        for child in children() {
            if self.warned.insert(child.as_raw_nonzero().get()) {
                let _ = kill_process(child, Signal::TERM);
                let _ = kill_process(child, Signal::CONT);
            }
        }
    }

    /// KILL to the command's group and to all who fell back to us.
    pub(super) fn kill(&mut self) {
        if !self.leader_reaped || WITHOUT_SUBREAPER {
            let _ = kill_process_group(self.leader, Signal::KILL);
        }
        for child in children() {
            let _ = kill_process(child, Signal::KILL);
        }
    }

    /// Once there is no child: whether that means that there is nobody. Where orphans do not fall
    /// back to us, the group is asked.
    pub(super) fn is_gone(&self) -> bool {
        !WITHOUT_SUBREAPER || test_kill_process_group(self.leader).is_err()
    }
}

/// Orphans go elsewhere; then, and only then, a group is signalled after its leader was reaped.
const WITHOUT_SUBREAPER: bool = !cfg!(target_os = "linux");

/// Our direct children, those not yet reaped included.
fn children() -> impl Iterator<Item = Pid> {
    let me = getpid().as_raw_nonzero().get();
    stat::all().filter(move |stat| stat.parent == me).filter_map(|stat| Pid::from_raw(stat.pid))
}

/// What an error of starting means. The directory is known to be there.
fn refusal(program: &str, directory: &Path, error: &io::Error) -> Refusal {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') && directory.join(program).exists() => {
            Refusal::NotExecutable { reason: "the interpreter that it names was not found".to_owned() }
        }
        io::ErrorKind::NotFound => Refusal::NotFound,
        // No process, no memory: nothing is wrong with the program.
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => Refusal::Failed { reason },
        _ => Refusal::NotExecutable { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_room_is_not_the_programs_fault() {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let refused = refusal("true", Path::new("/"), &error);
        assert_eq!(refused, Refusal::Failed { reason: error.to_string() });
    }

    #[test]
    fn nothing_to_run_is_not_found() {
        let job = Job { argv: vec![], directory: "/".into(), env: vec![], grace: std::time::Duration::ZERO };
        assert_eq!(Tree::plant(&job).err(), Some(Refusal::NotFound));
    }
}
