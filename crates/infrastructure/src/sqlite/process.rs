//! What the kernel shows of another process, for messages.

use std::fs;

/// That process in words: its number, and whether it is stopped or gone.
pub(crate) fn describe(pid: u32) -> String {
    match state(pid) {
        Some('T' | 't') => format!("process {pid}, which is stopped (`kill -CONT {pid}` wakes it),"),
        Some(_) => format!("process {pid}"),
        None => format!("process {pid}, which cannot be seen from here,"),
    }
}

/// The state letter of `/proc/<pid>/stat`: after the name, which may itself hold parentheses.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_stopped_process_is_said_to_be_stopped() {
        let child = Command::new("sh")
            .args(["-c", "echo; kill -STOP $$; read x"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let sleeper = Sleeper(child);
        let pid = sleeper.0.id();
        while state(pid) != Some('T') {
            std::thread::yield_now();
        }
        assert!(describe(pid).contains(&format!("process {pid}, which is stopped")));
    }

    #[test]
    fn the_living_and_the_gone_are_told_apart() {
        let me = std::process::id();
        assert_eq!(describe(me), format!("process {me}"));
        assert!(describe(u32::MAX).contains("cannot be seen"));
    }
}
