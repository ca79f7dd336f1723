//! What a person would have been told.

use std::sync::Mutex;

use agents_application::Observer;
use agents_domain::lock::Standing;

/// Remembers what a person would be told.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn have(&self, text: &str) -> bool {
        self.0.lock().expect("unpoisoned").iter().any(|note| note.contains(text))
    }
}

impl Observer for Notes {
    fn waiting(&self, standing: &Standing) {
        self.warning(&format!("waiting for {}", standing.key));
    }

    fn warning(&self, text: &str) {
        self.0.lock().expect("unpoisoned").push(text.to_owned());
    }
}
