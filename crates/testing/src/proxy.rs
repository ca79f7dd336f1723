//! A network that fails when it is told to: a proxy on loopback, on the way to a server.
//!
//! | what is asked | what clients and server see |
//! |---|---|
//! | [`Proxy::cut`] | all connections end at once, by RST, as if the other side had lost power |
//! | [`Proxy::hold_back`] | connections stay open and nothing comes through, one way or both |
//! | [`Proxy::refuse`] | new connections end before a byte has come through |
//! | [`Proxy::cut_at`] | the connection that sends certain statements is cut before the last answer |
//! | [`Proxy::cut_off_at`] | the same, and new connections end from then on |
//! | [`Proxy::heal`] | all is well; what was held back arrives late |
//!
//! What is asked holds when the method returns. A connection is carried by one thread that owns both of
//! its sockets, since RST is sent only by who closes the last handle of a socket. The state is locked
//! while bytes are passed on, so that none passes after it was changed.

mod connection;
mod statements;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use connection::Connection;

/// A direction, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What clients send.
    ToServer,
    /// What the server answers.
    ToClient,
    /// Either.
    Both,
}

/// What becomes of a statement whose connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server has done it, and its answer is lost.
    Done,
    /// It never came to the server.
    Lost,
}

/// The proxy. Its connections end with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    accepting: Option<JoinHandle<()>>,
}

/// What all threads of a proxy look at.
#[derive(Debug, Default)]
struct Control(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whose words are held back: the client's, the server's.
    held: [bool; 2],
    refusing: bool,
    closing: bool,
    /// How often all connections were cut; one that began before the last time ends.
    cuts: u64,
    /// How often a trap was laid.
    traps: u64,
    trap: Option<Trap>,
    carried: Vec<Carried>,
}

/// The statements at the last of which a connection is cut.
#[derive(Debug)]
struct Trap {
    /// Which one it is, of all that were laid.
    number: u64,
    words: Vec<String>,
    fate: Fate,
    /// Nobody gets in afterwards.
    refuses: bool,
    caught: Sender<()>,
}

/// A connection, as seen from outside of its thread.
#[derive(Debug)]
struct Carried {
    wake: UnixStream,
    thread: JoinHandle<()>,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread of a proxy panics")
    }
}

impl Proxy {
    /// Opens a way to a server, at a port that nobody uses.
    pub fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("it is bound");
        let control = Arc::new(Control::default());
        let accepting = {
            let control = Arc::clone(&control);
            std::thread::spawn(move || accept(&listener, server, &control))
        };
        Self { address, control, accepting: Some(accepting) }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections; returns how many there were. New ones may come.
    pub fn cut(&self) -> usize {
        let carried = {
            let mut state = self.control.lock();
            state.cuts += 1;
            std::mem::take(&mut state.carried)
        };
        let alive = carried.iter().filter(|one| !one.thread.is_finished()).count();
        for one in carried {
            wake(&one);
            one.thread.join().expect("a connection ends without a panic");
        }
        alive
    }

    /// From now on nothing comes through that way, on old connections and new ones.
    pub fn hold_back(&self, direction: Direction) {
        let mut state = self.control.lock();
        state.held[0] |= direction != Direction::ToClient;
        state.held[1] |= direction != Direction::ToServer;
        state.carried.iter().for_each(wake);
    }

    /// From now on new connections end at once. Old ones stay.
    pub fn refuse(&self) {
        self.control.lock().refusing = true;
    }

    /// Everything comes through again, what was held back first.
    pub fn heal(&self) {
        let mut state = self.control.lock();
        (state.held, state.refusing) = ([false; 2], false);
        state.carried.iter().for_each(wake);
    }

    /// Cuts the first connection that sends a statement with each of these words in it, in that order
    /// (`["INSERT", "COMMIT"]`; capitals or not, with others in between or not), before the answer to
    /// the last comes back. Something is received once that has happened.
    ///
    /// Statements are seen where connections are not encrypted.
    pub fn cut_at(&self, words: &[&str], fate: Fate) -> Receiver<()> {
        self.lay_trap(words, fate, false)
    }

    /// The same, and from that very moment new connections end at once: whoever was cut cannot go on.
    pub fn cut_off_at(&self, words: &[&str], fate: Fate) -> Receiver<()> {
        self.lay_trap(words, fate, true)
    }

    fn lay_trap(&self, words: &[&str], fate: Fate, refuses: bool) -> Receiver<()> {
        let (caught, receiver) = channel();
        let words = words.iter().map(|words| words.to_uppercase()).collect();
        let mut state = self.control.lock();
        state.traps += 1;
        state.trap = Some(Trap { number: state.traps, words, fate, refuses, caught });
        receiver
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.lock().closing = true;
        // The thread that accepts hears of it by a connection; nothing else wakes it.
        TcpStream::connect(self.address).ok();
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
        self.cut();
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, control: &Arc<Control>) {
    for client in listener.incoming() {
        if control.lock().closing {
            return;
        }
        let Ok(client) = client else { continue };
        if control.lock().refusing {
            connection::reset(&client);
            continue;
        }
        match TcpStream::connect(server) {
            Ok(server) => carry(client, server, control),
            // A server that is down is no server behind a proxy either.
            Err(_) => connection::reset(&client),
        }
    }
}

/// Starts the thread of a connection.
fn carry(client: TcpStream, server: TcpStream, control: &Arc<Control>) {
    let (wake, woken) = UnixStream::pair().expect("a pair of sockets");
    let mut state = control.lock();
    let connection = Connection::new(client, server, woken, state.cuts);
    let thread = {
        let control = Arc::clone(control);
        std::thread::spawn(move || connection.carry(&control))
    };
    state.carried.retain(|one| !one.thread.is_finished());
    state.carried.push(Carried { wake, thread });
}

/// Has a connection look at the state. One that has ended hears nothing.
fn wake(one: &Carried) {
    use std::io::Write as _;
    (&one.wake).write_all(b"!").ok();
}
