//! One page over HTTP/1.1, for a monitoring system that fetches it now and then.
//!
//! A thread of its own answers `GET` and `HEAD` of one path, one connection after the other, and closes
//! each. That is all a scraper needs; there is no TLS and no password, so whoever lets other machines
//! reach it puts something in front. Nobody keeps it busy for long: a request must be short and come in
//! few pieces, each without a long pause.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The longest request, in bytes.
const LONGEST: usize = 8 << 10;
/// The most headers.
const HEADERS: usize = 64;
/// The most pieces that a request may come in.
const PIECES: usize = 16;
/// The longest pause before a piece, or until an answer is taken.
const PAUSE: Duration = Duration::from_millis(500);

/// Makes the page anew for each request; an error is for people.
pub type Page = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What is served.
#[derive(Clone)]
pub struct Served {
    /// Where, as in `/metrics`.
    pub path: &'static str,
    /// The type of the page.
    pub content_type: &'static str,
    /// The page.
    pub page: Page,
}

/// An open endpoint. Closed when it is dropped.
pub struct Endpoint {
    address: SocketAddr,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Opens it; port 0 is any that is free.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use agents_infrastructure::endpoint::{Endpoint, Served};
    ///
    /// let page = Arc::new(|| Ok("up 1\n".to_owned()));
    /// let served = Served { path: "/metrics", content_type: "text/plain", page };
    /// let endpoint = Endpoint::open("127.0.0.1:0".parse().expect("an address"), served)?;
    /// assert_ne!(endpoint.address().port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn open(address: SocketAddr, served: Served) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = channel();
        let work = move || answer_all(&listener, &served, &stopped);
        let thread = std::thread::Builder::new().name("endpoint".to_owned()).spawn(work)?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop = None;
        // It waits for a connection: here is one. An address for all is none to connect to.
        let mut own = self.address;
        if own.ip().is_unspecified() {
            own.set_ip(if own.is_ipv4() { [127, 0, 0, 1].into() } else { [0, 0, 0, 0, 0, 0, 0, 1].into() });
        }
        if TcpStream::connect_timeout(&own, PAUSE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.join().ok();
        }
    }
}

fn answer_all(listener: &TcpListener, served: &Served, stopped: &Receiver<()>) {
    loop {
        let accepted = listener.accept();
        // Where no connection can be taken, none can a moment later either.
        let pause = if accepted.is_ok() { Duration::ZERO } else { PAUSE };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let answered = accepted.and_then(|(stream, _)| answer(stream, served));
        if let Err(error) = answered {
            tracing::debug!(%error, "a request was not answered");
        }
    }
}

/// Answers one request.
fn answer(mut stream: TcpStream, served: &Served) -> io::Result<()> {
    stream.set_read_timeout(Some(PAUSE))?;
    stream.set_write_timeout(Some(PAUSE))?;
    let response = match request(&mut stream)? {
        Ok((method, path)) => response(&method, &path, served),
        Err(status) => head(status, "text/plain", 0),
    };
    stream.write_all(response.as_bytes())?;
    stream.flush()
}

/// Method and path of a request, or why it has none.
fn request(stream: &mut TcpStream) -> io::Result<Result<(String, String), &'static str>> {
    let (mut bytes, mut length) = ([0; LONGEST], 0);
    for _ in 0..PIECES {
        let read = stream.read(&mut bytes[length..])?;
        length += read;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes[..length]) {
            Ok(httparse::Status::Complete(_)) => {
                let (method, path) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
                return Ok(Ok((method.to_owned(), path.to_owned())));
            }
            Ok(httparse::Status::Partial) if read == 0 && length < LONGEST => {
                return Ok(Err("400 Bad Request"));
            }
            Ok(httparse::Status::Partial) if length < LONGEST => {}
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Ok(Err("431 Request Header Fields Too Large"));
            }
            Err(_) => return Ok(Err("400 Bad Request")),
        }
    }
    Ok(Err("408 Request Timeout"))
}

fn response(method: &str, path: &str, served: &Served) -> String {
    if path.split('?').next() != Some(served.path) {
        return text("404 Not Found", "text/plain", &format!("the page is {}\n", served.path));
    }
    match (method, (served.page)()) {
        ("GET", Ok(page)) => text("200 OK", served.content_type, &page),
        ("HEAD", Ok(page)) => head("200 OK", served.content_type, page.len()),
        ("GET" | "HEAD", Err(reason)) => {
            text("503 Service Unavailable", "text/plain", &format!("{reason}\n"))
        }
        _ => head("405 Method Not Allowed\r\nAllow: GET, HEAD", "text/plain", 0),
    }
}

fn text(status: &str, content_type: &str, body: &str) -> String {
    head(status, content_type, body.len()) + body
}

fn head(status: &str, content_type: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}; charset=utf-8\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(page: Page) -> Endpoint {
        let served = Served { path: "/metrics", content_type: "text/plain; version=0.0.4", page };
        Endpoint::open("127.0.0.1:0".parse().expect("an address"), served).expect("opened")
    }

    fn up() -> Endpoint {
        open(Arc::new(|| Ok("up 1\n".to_owned())))
    }

    /// What comes back for these pieces, each sent at once.
    fn asked(endpoint: &Endpoint, pieces: &[&[u8]]) -> String {
        let mut stream = TcpStream::connect(endpoint.address()).expect("connected");
        stream.set_nodelay(true).expect("set");
        for piece in pieces {
            // It may have been refused before the last of them.
            if stream.write_all(piece).is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut piece) {
            answer.extend_from_slice(&piece[..read]);
        }
        String::from_utf8(answer).expect("UTF-8")
    }

    fn get(endpoint: &Endpoint, line: &str) -> String {
        asked(endpoint, &[format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()])
    }

    #[test]
    fn the_page_is_served_again_and_again() {
        let endpoint = up();
        for line in ["GET /metrics", "GET /metrics?a=b"] {
            let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                            Content-Length: 5\r\nConnection: close\r\n\r\nup 1\n";
            assert_eq!(get(&endpoint, line), expected);
        }
        let pieces: [&[u8]; 3] = [b"GET /met", b"rics HTTP/1.1\r", b"\nHost: x\r\n\r\n"];
        assert!(asked(&endpoint, &pieces).ends_with("up 1\n"));
        assert!(get(&endpoint, "HEAD /metrics").ends_with("Content-Length: 5\r\nConnection: close\r\n\r\n"));
    }

    #[test]
    fn what_is_no_request_for_the_page_says_so() {
        let endpoint = up();
        assert!(get(&endpoint, "GET /").starts_with("HTTP/1.1 404 "));
        let refused = get(&endpoint, "POST /metrics");
        assert!(
            refused.starts_with("HTTP/1.1 405 ") && refused.contains("\r\nAllow: GET, HEAD\r\n"),
            "{refused}"
        );
        assert!(asked(&endpoint, &[b"\x16\x03\x01\x02\x00\r\n\r\n"]).starts_with("HTTP/1.1 400 "));
        let many = "X: y\r\n".repeat(HEADERS + 1);
        let many = format!("GET /metrics HTTP/1.1\r\n{many}\r\n");
        assert!(asked(&endpoint, &[many.as_bytes()]).starts_with("HTTP/1.1 431 "));
        assert!(get(&endpoint, "GET /metrics").starts_with("HTTP/1.1 200 "), "and the next is served");
    }

    #[test]
    fn a_request_that_never_ends_keeps_nobody_away_for_long() {
        let endpoint = up();
        let long = [b'x'; LONGEST];
        let answer = asked(&endpoint, &[b"GET /metrics HTTP/1.1\r\nX: ", &long]);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        let _silent = TcpStream::connect(endpoint.address()).expect("connected");
        assert!(get(&endpoint, "GET /metrics").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_page_that_cannot_be_made_says_why() {
        let endpoint = open(Arc::new(|| Err("the store is away".to_owned())));
        let answer = get(&endpoint, "GET /metrics");
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the store is away\n"), "{answer}");
    }

    #[test]
    fn it_is_closed_when_it_is_dropped() {
        let served = Served { path: "/", content_type: "text/plain", page: Arc::new(|| Ok(String::new())) };
        let endpoint = Endpoint::open("0.0.0.0:0".parse().expect("an address"), served).expect("opened");
        let address = SocketAddr::from(([127, 0, 0, 1], endpoint.address().port()));
        assert!(TcpStream::connect(address).is_ok());
        drop(endpoint);
        assert!(TcpStream::connect(address).is_err());
    }
}
