//! etcd, if it is there: a server of our own on a disk of ours, and its lock by HTTP and JSON.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// `bench` in base64, as the gateway wants bytes.
const NAME: &str = "YmVuY2g=";

/// A server that ends with this value.
pub(crate) struct Etcd {
    server: Child,
    port: u16,
    _directory: TempDir,
}

impl Etcd {
    /// Starts one; `None`: there is no such program, or it does not come up.
    pub(crate) fn start() -> Option<Self> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
        let (port, peers) = (free_port(), format!("http://127.0.0.1:{}", free_port()));
        let clients = format!("http://127.0.0.1:{port}");
        let server = Command::new("etcd")
            .args(["--log-level", "error", "--data-dir"])
            .arg(directory.path())
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .args(["--initial-cluster", &format!("default={peers}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut etcd = Self { server, port, _directory: directory };
        etcd.comes_up().then_some(etcd)
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn comes_up(&mut self) -> bool {
        let (sender, wait) = std::sync::mpsc::channel::<()>();
        for _ in 0..100 {
            if TcpStream::connect(self.address()).is_ok() {
                drop(sender);
                return true;
            }
            if self.server.try_wait().is_ok_and(|ended| ended.is_some()) {
                return false;
            }
            wait.recv_timeout(Duration::from_millis(100)).ok();
        }
        false
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// One worker's connection and lease.
pub(crate) struct Session {
    address: String,
    stream: BufReader<TcpStream>,
    lease: Value,
}

impl Session {
    /// Connects, and takes a lease that outlives the benchmark.
    pub(crate) fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("etcd listens");
        stream.set_nodelay(true).expect("a socket");
        let mut session =
            Self { address: address.to_owned(), stream: BufReader::new(stream), lease: Value::Null };
        session.lease = session.ask("lease/grant", &json!({ "TTL": "3600" }))["ID"].clone();
        session
    }

    /// Waits for the lock; its key.
    pub(crate) fn lock(&mut self) -> Value {
        let asked = json!({ "name": NAME, "lease": self.lease });
        self.ask("lock/lock", &asked)["key"].clone()
    }

    /// Gives it back; `leaving` is called just before.
    pub(crate) fn unlock(&mut self, key: &Value, leaving: impl FnOnce()) {
        leaving();
        self.ask("lock/unlock", &json!({ "key": key }));
    }

    fn ask(&mut self, what: &str, body: &Value) -> Value {
        let body = body.to_string();
        let head = format!(
            "POST /v3/{what} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all((head + &body).as_bytes()).expect("sent");
        let (mut length, mut status) = (None, String::new());
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if status.is_empty() {
                status.clone_from(&line);
            }
            length =
                line.strip_prefix("content-length:").map(|n| n.trim().parse().expect("a length")).or(length);
        }
        assert!(status.contains(" 200 "), "{what}: {status}");
        let mut answer = vec![0; length.expect("an answer of a known length")];
        self.stream.read_exact(&mut answer).expect("the answer");
        serde_json::from_slice(&answer).expect("JSON")
    }
}
