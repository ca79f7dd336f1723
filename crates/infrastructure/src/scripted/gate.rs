//! A point that a command comes to and does not pass until it is told.

use std::sync::Arc;

use tokio::sync::watch;

/// Holds a scripted command. Clones are the same gate.
///
/// ```
/// use agents_infrastructure::scripted::Gate;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let gate = Gate::default();
/// let told = gate.clone();
/// let (passed, ()) = tokio::join!(async { gate.pass().await; true }, async {
///     told.reached().await;
///     told.open();
/// });
/// assert!(passed);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<Position>>);

#[derive(Debug, Clone, Copy, Default)]
struct Position {
    reached: bool,
    open: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Position::default())))
    }
}

impl Gate {
    /// Resolves once somebody has come to the gate.
    pub async fn reached(&self) {
        self.when(|position| position.reached).await;
    }

    /// Lets through whoever is there or comes.
    pub fn open(&self) {
        self.0.send_modify(|position| position.open = true);
    }

    /// Comes to the gate; resolves once it is open.
    pub async fn pass(&self) {
        self.0.send_modify(|position| position.reached = true);
        self.when(|position| position.open).await;
    }

    async fn when(&self, wanted: impl Fn(Position) -> bool) {
        let mut positions = self.0.subscribe();
        positions.wait_for(|position| wanted(*position)).await.expect("the gate itself holds the sender");
    }
}
