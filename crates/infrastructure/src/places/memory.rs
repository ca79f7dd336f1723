//! Places of one process, for embedders and tests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agents_domain::places::{Occupant, Place, Places, PlacesCensus, PlacesError};
use async_trait::async_trait;

/// Places in memory. Clones are the same places.
///
/// ```
/// use agents_infrastructure::places::MemoryPlaces;
///
/// let one_at_a_time = MemoryPlaces::new(1);
/// # let _ = one_at_a_time;
/// ```
#[derive(Debug, Clone)]
pub struct MemoryPlaces {
    total: u32,
    taken: Arc<Mutex<BTreeMap<u32, Occupant>>>,
}

/// One that is taken.
struct Taken {
    number: u32,
    places: MemoryPlaces,
}

impl Place for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.taken().remove(&self.number);
    }
}

impl MemoryPlaces {
    /// So many.
    pub fn new(total: u32) -> Self {
        Self { total, taken: Arc::default() }
    }

    fn taken(&self) -> MutexGuard<'_, BTreeMap<u32, Occupant>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Places for MemoryPlaces {
    async fn take(&self, occupant: &Occupant) -> Result<Option<Box<dyn Place>>, PlacesError> {
        let mut taken = self.taken();
        let Some(number) = (0..self.total).find(|number| !taken.contains_key(number)) else {
            return Ok(None);
        };
        taken.insert(number, occupant.clone());
        Ok(Some(Box::new(Taken { number, places: self.clone() })))
    }

    async fn census(&self) -> Result<PlacesCensus, PlacesError> {
        Ok(PlacesCensus { total: self.total, taken: self.taken().values().cloned().collect() })
    }
}
