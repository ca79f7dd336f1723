//! One connection through the proxy, and its thread.

use std::io::{ErrorKind, Read, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_linger;

use super::statements::Statements;
use super::{Control, Fate, State, Trap};

/// Who does not read for so long is cut off: until then a cut would not be heard.
const PATIENCE: Duration = Duration::from_secs(10);

/// Both sockets, and what was said so far.
pub(super) struct Connection {
    client: TcpStream,
    server: TcpStream,
    woken: UnixStream,
    statements: Statements,
    /// How many words of which trap it has said.
    said: (u64, usize),
    /// How often all connections had been cut when this one began.
    cuts: u64,
}

/// What happens next.
enum Next {
    GoOn,
    /// One side has ended it, and so does the other.
    End,
    Cut,
    /// Cut as soon as the server has answered, which tells that it has done what it was asked.
    CutWhenAnswered(Sender<()>),
    /// Cut before the server hears what it was asked.
    CutBefore(Sender<()>),
}

impl Connection {
    pub(super) fn new(client: TcpStream, server: TcpStream, woken: UnixStream, cuts: u64) -> Self {
        for socket in [&client, &server] {
            socket.set_nodelay(true).expect("an open socket");
            socket.set_write_timeout(Some(PATIENCE)).expect("an open socket");
        }
        server.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        woken.set_nonblocking(true).expect("an open socket");
        Self { client, server, woken, statements: Statements::default(), said: (0, 0), cuts }
    }

    /// Passes on what comes, until one side or a cut ends it.
    pub(super) fn carry(mut self, control: &Control) {
        let caught = loop {
            match self.step(control) {
                Next::GoOn => {}
                Next::End => return,
                Next::Cut => break None,
                Next::CutBefore(caught) => break Some(caught),
                Next::CutWhenAnswered(caught) => {
                    self.server.read_exact(&mut [0]).ok();
                    break Some(caught);
                }
            }
        };
        reset(&self.client);
        reset(&self.server);
        drop(self);
        if let Some(caught) = caught {
            caught.send(()).ok();
        }
    }

    /// Waits for something, and passes it on.
    fn step(&mut self, control: &Control) -> Next {
        let [from_client, from_server] = self.wait(control);
        let mut state = control.lock();
        if state.cuts != self.cuts {
            return Next::Cut;
        }
        if from_client && !state.held[0] {
            match self.pass_to_server(&mut state) {
                Next::GoOn => {}
                other => return other,
            }
        }
        if from_server && !state.held[1] { self.pass_to_client() } else { Next::GoOn }
    }

    /// Waits until a side that is not held back has something to say, or the state has changed. A side
    /// that is held back is not even looked at: that it is gone is what must not come through.
    fn wait(&mut self, control: &Control) -> [bool; 2] {
        let looked_at = control.lock().held.map(|held| !held);
        let mut sources = vec![PollFd::new(&self.woken, PollFlags::IN)];
        for (socket, looked_at) in [&self.client, &self.server].into_iter().zip(looked_at) {
            sources.extend(looked_at.then(|| PollFd::new(socket, PollFlags::IN)));
        }
        // An interrupted look is none: the loop looks again.
        let ready = poll(&mut sources, None).is_ok();
        let mut found = sources.iter().skip(1).map(|source| ready && !source.revents().is_empty());
        let found = looked_at.map(|looked_at| looked_at && found.next().unwrap_or(false));
        while self.woken.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        found
    }

    fn pass_to_server(&mut self, state: &mut State) -> Next {
        let mut bytes = [0; 16 * 1024];
        let count = match self.client.read(&mut bytes) {
            Ok(0) => return Next::End,
            Ok(count) => count,
            Err(error) => return after(&error),
        };
        let statements = self.statements.take_in(&bytes[..count]);
        let trap = state.trap.take_if(|trap| self.walks_into(trap, &statements));
        state.refusing |= trap.as_ref().is_some_and(|trap| trap.refuses);
        if let Some(Trap { fate: Fate::Lost, caught, .. }) = trap {
            return Next::CutBefore(caught);
        }
        match (self.server.write_all(&bytes[..count]), trap) {
            (Err(_), _) => Next::Cut,
            (Ok(()), Some(trap)) => Next::CutWhenAnswered(trap.caught),
            (Ok(()), None) => Next::GoOn,
        }
    }

    /// Whether these statements are the last that the trap waits for.
    fn walks_into(&mut self, trap: &Trap, statements: &[String]) -> bool {
        if self.said.0 != trap.number {
            self.said = (trap.number, 0);
        }
        for statement in statements {
            let next = trap.words.get(self.said.1);
            self.said.1 += usize::from(next.is_some_and(|words| statement.to_uppercase().contains(words)));
        }
        self.said.1 == trap.words.len()
    }

    fn pass_to_client(&mut self) -> Next {
        let mut bytes = [0; 16 * 1024];
        match self.server.read(&mut bytes) {
            Ok(0) => Next::End,
            Ok(count) => match self.client.write_all(&bytes[..count]) {
                Ok(()) => Next::GoOn,
                Err(_) => Next::Cut,
            },
            Err(error) => after(&error),
        }
    }
}

fn after(error: &std::io::Error) -> Next {
    if error.kind() == ErrorKind::Interrupted { Next::GoOn } else { Next::Cut }
}

/// Has the socket end by RST when it is closed, not by a farewell.
pub(super) fn reset(socket: &TcpStream) {
    set_socket_linger(socket, Some(Duration::ZERO)).ok();
}
