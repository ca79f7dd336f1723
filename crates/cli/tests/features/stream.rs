//! What a command writes, to be read while it runs.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// A stream that remembers, and wakes whoever waits for a text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream(Arc<(Mutex<Vec<u8>>, Condvar)>);

impl Stream {
    /// What was written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().expect("unpoisoned")).into_owned()
    }

    /// Waits until a text is there; whether it came in time.
    pub(crate) fn wait_for(&self, text: &str, at_most: Duration) -> bool {
        let (bytes, written) = &*self.0;
        let missing = |bytes: &mut Vec<u8>| !String::from_utf8_lossy(bytes).contains(text);
        let bytes = bytes.lock().expect("unpoisoned");
        !written.wait_timeout_while(bytes, at_most, missing).expect("unpoisoned").1.timed_out()
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
