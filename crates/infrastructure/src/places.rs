//! Places for commands: files that the kernel unlocks, and the same in memory.
//!
//! Both pass the suite below; see [`agents_domain::places`] for what is promised.

mod files;
mod memory;

pub use files::FilePlaces;
pub use memory::MemoryPlaces;

#[cfg(test)]
mod tests;
