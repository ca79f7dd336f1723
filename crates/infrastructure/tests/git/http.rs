//! A server on loopback that hands requests to git's own `http-backend`, and can lose replies.

#![expect(clippy::disallowed_methods, reason = "the server hands a path to git, as any would")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What goes wrong with the next landing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection ends before anything is done.
    Before,
    /// It is done, and the connection ends before the reply.
    After,
}

/// The server; its threads end with the process.
pub(crate) struct Server {
    pub(crate) port: u16,
    trouble: Arc<Mutex<Option<Trouble>>>,
    read_only: Arc<AtomicBool>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Server {
    /// Serves the repositories below `root`; `login`: what `Authorization` must be.
    pub(crate) fn start(root: &Path, login: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let trouble: Arc<Mutex<Option<Trouble>>> = Arc::default();
        let read_only: Arc<AtomicBool> = Arc::default();
        let (root, shared, closed) = (root.to_owned(), trouble.clone(), read_only.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (root, shared, closed) = (root.clone(), shared.clone(), closed.clone());
                std::thread::spawn(move || serve(stream, &root, login, (&shared, &closed)));
            }
        });
        Self { port, trouble, read_only }
    }

    /// From now on nobody may push.
    pub(crate) fn forbid_writing(&self) {
        self.read_only.store(true, Ordering::SeqCst);
    }

    /// The next landing meets with that.
    pub(crate) fn lose(&self, trouble: Trouble) {
        *self.trouble.lock().expect("unpoisoned") = Some(trouble);
    }
}

fn serve(
    mut stream: TcpStream,
    root: &PathBuf,
    login: Option<&str>,
    (trouble, read_only): (&Mutex<Option<Trouble>>, &AtomicBool),
) {
    let Some(request) = read(&stream) else { return };
    if read_only.load(Ordering::SeqCst)
        && (request.path.ends_with("git-receive-pack") || request.query.contains("git-receive-pack"))
    {
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        drop(stream.write_all(head.as_bytes()));
        return;
    }
    if login.is_some() && request.headers.get("authorization").map(String::as_str) != login {
        let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"far\"\r\n";
        drop(stream.write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()));
        return;
    }
    let words: &[u8] = b"refs/agents/landed/";
    let lands = request.path.ends_with("git-receive-pack")
        && request.body.windows(words.len()).any(|window| window == words);
    let trouble = if lands { trouble.lock().expect("unpoisoned").take() } else { None };
    if trouble == Some(Trouble::Before) {
        return;
    }
    let answer = backend(&request, root);
    if trouble.is_none() {
        drop(stream.write_all(&answer));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        let read = reader.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line()?.split_once(':') {
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length").and_then(|length| length.parse().ok()) {
        reader.take(length).read_to_end(&mut body).ok()?;
    } else if headers.contains_key("transfer-encoding") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = u64::from_str_radix(size.trim(), 16).ok()?;
            (&mut reader).take(size).read_to_end(&mut body).ok()?;
            reader.read_line(&mut String::new()).ok()?;
            if size == 0 {
                break;
            }
        }
    }
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

/// Runs git's CGI program; its answer, as HTTP.
fn backend(request: &Request, root: &PathBuf) -> Vec<u8> {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("GIT_")) {
        command.env_remove(key);
    }
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    command.arg("http-backend").env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("REMOTE_USER", "ann").env("REMOTE_ADDR", "127.0.0.1");
    command.env("REQUEST_METHOD", &request.method).env("PATH_INFO", &request.path);
    command.env("QUERY_STRING", &request.query).env("CONTENT_TYPE", header("content-type"));
    command.env("CONTENT_LENGTH", request.body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", header("content-encoding"));
    command.env("GIT_PROTOCOL", header("git-protocol"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("git runs");
    let mut input = child.stdin.take().expect("piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(&request.body));
        child.wait_with_output().expect("it ends")
    });
    let end = output.stdout.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_default();
    let (head, body) = output.stdout.split_at(end);
    let head = String::from_utf8_lossy(head);
    let status = head.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK");
    let headers: String = head
        .lines()
        .filter(|line| !line.starts_with("Status: "))
        .fold(format!("HTTP/1.1 {status}\r\nConnection: close\r\n"), |text, line| text + line + "\r\n");
    [headers.as_bytes(), b"\r\n", body.get(4..).unwrap_or_default()].concat()
}
