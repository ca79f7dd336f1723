//! Who holds a lock: this process as a [`Holder`], and proof that another is dead.
//!
//! Dead means beyond doubt. Numbers of processes mean something only within one pid namespace of
//! one boot of one host, so those three must be known and equal; then: no such process (asked of
//! the kernel, as `/proc` may hide other users' processes), a zombie, or one that started at
//! another time. What cannot be read proves nothing. Two processes in different *time* namespaces
//! read different start times of the same process, so a namespace that is not the system's first
//! is part of what has to be equal.
//!
//! A holder from another boot of a host with our name is dead if it was this machine. A name does
//! not prove that (images are cloned, containers share names), the place of the store may:
//! [`SystemProcesses::on_one_machine`].

use std::fs;

use agents_domain::lock::{Holder, Liveness, Processes};
use rustix::process::{Pid, getuid, test_kill_process};

use super::stat;

/// The processes of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemProcesses {
    host: String,
    /// Empty: not known, nothing can be proved.
    boot_id: String,
    /// Empty: not known, nothing can be proved.
    pid_namespace: String,
    user: String,
    pid: u32,
    started: u64,
    one_machine: bool,
}

impl SystemProcesses {
    /// Reads who we are. On systems without `/proc` the boot and the namespace stay unknown, and
    /// nobody is ever proved dead or alive.
    pub fn new() -> Self {
        let pid = std::process::id();
        Self {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            boot_id: fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            pid_namespace: namespace(),
            user: user(),
            pid,
            started: stat::of(pid).map_or(0, |stat| stat.started),
            one_machine: false,
        }
    }

    /// Under another name than the system's: that by which this machine is known to those that share
    /// a store with it. Of a holder under another name nothing is ever proved.
    #[must_use]
    pub fn named(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// States that the holders asked about are all of this machine, because their store is (a
    /// database file that is refused on a network file system). Then one of an earlier boot is
    /// dead. Not for a database server, to which any number of machines of one name may connect.
    #[must_use]
    pub fn on_one_machine(self) -> Self {
        Self { one_machine: true, ..self }
    }
}

impl Default for SystemProcesses {
    fn default() -> Self {
        Self::new()
    }
}

impl Processes for SystemProcesses {
    fn myself(&self, operation: &str) -> Holder {
        Holder {
            host: self.host.clone(),
            boot_id: self.boot_id.clone(),
            pid_namespace: self.pid_namespace.clone(),
            pid: self.pid,
            started: self.started,
            user: self.user.clone(),
            operation: operation.to_owned(),
        }
    }

    fn liveness(&self, holder: &Holder) -> Liveness {
        let unknown = |ours: &str, theirs: &str| ours.is_empty() || theirs.is_empty();
        if holder.host != self.host || unknown(&self.boot_id, &holder.boot_id) {
            return Liveness::Unknown;
        }
        if holder.boot_id != self.boot_id {
            return if self.one_machine { Liveness::Dead } else { Liveness::Unknown };
        }
        if unknown(&self.pid_namespace, &holder.pid_namespace) || holder.pid_namespace != self.pid_namespace {
            return Liveness::Unknown;
        }
        process(holder.pid, holder.started)
    }
}

/// What is known of a process of this boot and namespace that had this number and start.
fn process(pid: u32, started: u64) -> Liveness {
    let Some(number) = pid.try_into().ok().and_then(Pid::from_raw) else { return Liveness::Unknown };
    if test_kill_process(number) == Err(rustix::io::Errno::SRCH) {
        return Liveness::Dead;
    }
    match stat::of(pid) {
        // It may be hidden, or have ended just now: ask again later.
        None => Liveness::Unknown,
        Some(stat) if stat.is_dead() || stat.started != started => Liveness::Dead,
        Some(_) => Liveness::Alive,
    }
}

/// `USER` or `LOGNAME`; without them (a service, a container) the name in the system's list; or
/// else the number. For people only.
#[expect(clippy::disallowed_methods, reason = "the adapter of who this process is")]
fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let number = getuid().as_raw().to_string();
    let listed = || name_of(&number, &fs::read_to_string("/etc/passwd").unwrap_or_default());
    named.filter(|user| !user.is_empty()).or_else(listed).unwrap_or(number)
}

/// The first name with that number in a list of the form `name:x:number:…`.
fn name_of(number: &str, list: &str) -> Option<String> {
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    })
}

/// The pid namespace, and the time namespace if it is not the system's first; empty if `/proc`
/// does not show this process, as when it belongs to another namespace.
fn namespace() -> String {
    /// The kernel's fixed number of the first time namespace (`PROC_TIME_INIT_INO`).
    const FIRST_TIME: &str = "time:[4026531834]";
    let link = |path: &str| {
        fs::read_link(path).map(|target| target.to_string_lossy().into_owned()).unwrap_or_default()
    };
    if link("/proc/self") != std::process::id().to_string() {
        return String::new();
    }
    let (pid, time) = (link("/proc/self/ns/pid"), link("/proc/self/ns/time"));
    if time.is_empty() || time == FIRST_TIME { pid } else { format!("{pid} {time}") }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Child, Command, Stdio};

    use rstest::rstest;

    use super::*;

    /// A child that waits for its standard input to end, known to have started.
    fn child() -> Child {
        let script = "echo ready; cat";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("a pipe").read_exact(&mut ready).expect("a word");
        child
    }

    fn holder(pid: u32) -> Holder {
        let started = stat::of(pid).expect("there").started;
        Holder { pid, started, ..SystemProcesses::new().myself("test") }
    }

    #[test]
    fn a_number_has_a_name_in_the_list() {
        let list = "root:x:0:0::/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!((name_of("1000", list), name_of("7", list)), (Some("ada".to_owned()), None));
    }

    #[test]
    fn this_process_is_alive() {
        let processes = SystemProcesses::default();
        let me = processes.myself("plan execute");
        assert_eq!((me.pid, me.operation.as_str()), (std::process::id(), "plan execute"));
        assert!(me.started > 0 && !me.boot_id.is_empty() && me.pid_namespace.starts_with("pid:["));
        assert!(!me.user.is_empty() && !me.host.is_empty());
        assert_eq!(processes.liveness(&me), Liveness::Alive);
    }

    #[test]
    fn a_zombie_is_dead_and_so_is_one_that_was_reaped() {
        let mut child = child();
        let processes = SystemProcesses::new();
        let holder = holder(child.id());
        assert_eq!(processes.liveness(&holder), Liveness::Alive);
        child.stdin.take().expect("a pipe").write_all(b"").expect("open");
        // The end of its output comes with its death; being a zombie follows at once.
        child.stdout.take().expect("a pipe").read_to_end(&mut Vec::new()).expect("the end");
        let pid = Pid::from_child(&child);
        let seen = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), seen).expect("our child");
        assert_eq!(processes.liveness(&holder), Liveness::Dead);
        child.wait().expect("our child");
        assert_eq!(processes.liveness(&holder), Liveness::Dead);
    }

    #[rstest]
    #[case::another_start(|h: &mut Holder| h.started += 1, Liveness::Dead)]
    #[case::another_host(|h: &mut Holder| h.host.push('x'), Liveness::Unknown)]
    #[case::another_namespace(|h: &mut Holder| h.pid_namespace.push('x'), Liveness::Unknown)]
    #[case::no_namespace(|h: &mut Holder| h.pid_namespace.clear(), Liveness::Unknown)]
    #[case::no_boot(|h: &mut Holder| h.boot_id.clear(), Liveness::Unknown)]
    #[case::no_process(|h: &mut Holder| h.pid = 0, Liveness::Unknown)]
    #[case::no_number(|h: &mut Holder| h.pid = u32::MAX, Liveness::Unknown)]
    #[case::another_boot(|h: &mut Holder| h.boot_id.push('x'), Liveness::Unknown)]
    fn nobody_is_dead_on_a_guess(#[case] change: fn(&mut Holder), #[case] expected: Liveness) {
        let processes = SystemProcesses::new();
        let mut holder = processes.myself("test");
        change(&mut holder);
        assert_eq!(processes.liveness(&holder), expected);
    }

    #[test]
    fn an_earlier_boot_of_the_only_machine_is_dead() {
        let processes = SystemProcesses::new().on_one_machine();
        let mut holder = processes.myself("test");
        assert_eq!(processes.liveness(&holder), Liveness::Alive);
        holder.boot_id.push('x');
        assert_eq!(processes.liveness(&holder), Liveness::Dead);
        holder.host.push('x');
        assert_eq!(processes.liveness(&holder), Liveness::Unknown);
    }
}
