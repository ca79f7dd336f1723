//! P12: resident memory of `agents run` while the plan's command prints 1 GiB.
//!
//! The command prints, and then waits at a pipe until the kernel's high-water marks (`VmHWM`) of the
//! driver and of the guard have been read: at that moment all but the last few KiB have been taken.
//! The output is of lines, of one endless line, and of secrets to be masked, as these take different
//! ways. `cargo bench -p agents --bench p12_memory`. Linux only.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// What is printed, by what it shows.
const OUTPUTS: [(&str, &str); 3] = [
    ("lines", "yes 0123456789012345678901234567890123456789 | head -c 1073741824"),
    ("one endless line", "head -c 1073741824 /dev/zero"),
    ("lines with a secret to mask", "yes \"the word is $BENCH_SECRET\" | head -c 1073741824"),
];

/// A home with a repository, and pipes by which the command says that it has printed.
struct Scene {
    directory: PathBuf,
}

impl Scene {
    fn set(directory: &Path) -> Self {
        let scene = Self { directory: directory.to_owned() };
        let repository = directory.join("repository");
        fs::create_dir_all(&repository).expect("a directory");
        for line in ["init -q -b main", "commit -q --allow-empty -m first"] {
            let identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
            let git =
                Command::new("git").args(identity).args(line.split(' ')).current_dir(&repository).status();
            assert!(git.expect("git").success(), "git {line}");
        }
        for pipe in ["printed", "read"] {
            assert!(Command::new("mkfifo").arg(directory.join(pipe)).status().expect("mkfifo").success());
        }
        scene.agents(&["init"]);
        scene.agents(&["project", "add", &repository.display().to_string(), "--name", "bench"]);
        scene
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agents"));
        command.args(words).env("AGENTS_HOME", self.directory.join("home"));
        command.env_remove("AGENTS_DATABASE_URL").env("BENCH_SECRET", "open-sesame");
        command
    }

    fn agents(&self, words: &[&str]) {
        let output = self.command(words).output().expect("agents");
        assert!(output.status.success(), "agents {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// An action that prints, says which process is its guard, and waits.
    fn action(&self, print: &str) {
        let here = self.directory.display();
        let script = format!("{print}\n    echo $PPID > {here}/printed\n    read -r word < {here}/read");
        let text = format!("name: bench\nexecute:\n  shell: |\n    {script}\nenv_from: [BENCH_SECRET]\n");
        let file = self.directory.join("bench.yaml");
        fs::write(&file, text).expect("written");
        self.agents(&["action", "add", &file.display().to_string()]);
    }

    /// Runs it; peaks of driver and guard in KiB.
    fn measure(&self) -> (u64, u64) {
        let mut run = self.command(&["run", "bench", "bench"]);
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut driver: Child = run.spawn().expect("agents");
        let guard = fs::read_to_string(self.directory.join("printed")).expect("it has printed");
        let peaks = (peak(driver.id()), peak(guard.trim().parse().expect("a number")));
        fs::write(self.directory.join("read"), "go\n").expect("it waits");
        assert!(driver.wait().expect("our child").success());
        peaks
    }
}

/// The most that this process has had resident so far.
fn peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("the kernel counts it");
    line.split_whitespace().nth(1).and_then(|figure| figure.parse().ok()).expect("KiB")
}

#[expect(clippy::cast_precision_loss, reason = "a few MiB")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Writes a line of the report.
fn say(line: &str) {
    // A closed stdout is nobody reading.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    // `cargo test --all-targets` only builds it.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let scene = Scene::set(directory.path());
    say("P12 peak resident memory while the command prints 1 GiB; aim ≤ 32 MiB");
    for (what, print) in OUTPUTS {
        scene.action(print);
        let (driver, guard) = scene.measure();
        say(&format!("    {what:28} driver {:6.1} MiB   guard {:6.1} MiB", mib(driver), mib(guard)));
    }
}
