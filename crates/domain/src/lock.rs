//! Locks: what they are, the record that decides, the line of those who wait, and the ports to
//! whoever stores them.

mod fence;
mod holder;
mod key;
mod line;
mod noop;
mod port;
mod record;

pub use fence::{Fence, FencingToken, Lease};
pub use holder::{Holder, Liveness, Processes};
pub use key::{InvalidKey, LockKey};
pub use line::{Caller, Line, LineView, Mark, Passage, Standing, Ticket, TicketNumber, TicketRequest};
pub use noop::NoopLock;
pub use port::{
    AcquireRequest, Conflict, HeldLock, LockError, LockFilter, LockPort, Overdue, Release, Renewal, Term,
};
pub use record::{Grant, LockRecord, Occupied, Respect, Tenure};

#[cfg(feature = "mock")]
pub use holder::MockProcesses;
#[cfg(feature = "mock")]
pub use line::MockLine;
#[cfg(feature = "mock")]
pub use port::MockLockPort;
