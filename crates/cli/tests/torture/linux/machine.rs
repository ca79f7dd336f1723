//! A machine: where the program keeps its files there, and its own way to the server.

use std::path::{Path, PathBuf};

use agents_testing::proxy::Proxy;

use crate::linux::place::Place;

/// The names of machines, in the order in which they are set up.
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

/// One machine of a run. Most runs have one, which has no name.
pub(crate) struct Machine {
    pub(crate) name: Option<&'static str>,
    pub(crate) home: PathBuf,
    /// Between it and the server, if there is one.
    pub(crate) network: Option<Proxy>,
}

impl Machine {
    /// The only one.
    pub(crate) fn alone(disk: &Path, place: &Place) -> Vec<Self> {
        vec![Self { name: None, home: disk.join("home"), network: network(place) }]
    }

    /// Several, with nothing in common but the database and the remotes.
    pub(crate) fn several(count: usize, disk: &Path, place: &Place) -> Vec<Self> {
        let one = |name: &&'static str| {
            let home = disk.join(name).join("home");
            Self { name: Some(*name), home, network: network(place) }
        };
        NAMES.iter().take(count).map(one).collect()
    }

    /// What its processes are told about where they are.
    pub(crate) fn variables(&self, place: &Place) -> Vec<(&'static str, String)> {
        let mut all = vec![("AGENTS_HOME", self.home.display().to_string())];
        all.extend(self.name.map(|name| ("AGENTS_MACHINE", name.to_owned())));
        if let (Some(database), Some(network)) = (place.server(), &self.network) {
            all.push(("AGENTS_DATABASE_URL", database.url_by_way_of(network.address())));
        }
        all
    }
}

fn network(place: &Place) -> Option<Proxy> {
    place.server().map(|database| Proxy::to(database.server()))
}
