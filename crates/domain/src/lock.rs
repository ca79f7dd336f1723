//! Locks: what they are, the record that decides, and the port to whoever stores them.

mod fence;
mod holder;
mod key;
mod noop;
mod port;
mod record;

pub use fence::{Fence, FencingToken, Lease};
pub use holder::{Holder, Liveness, Processes};
pub use key::{InvalidKey, LockKey};
pub use noop::NoopLock;
pub use port::{AcquireRequest, Conflict, HeldLock, LockError, LockFilter, LockPort, Release, Renewal, Term};
pub use record::{Grant, LockRecord, Occupied, Tenure};

#[cfg(feature = "mock")]
pub use holder::MockProcesses;
#[cfg(feature = "mock")]
pub use port::MockLockPort;
