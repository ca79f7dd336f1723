//! The services on in-memory stores, a hand-driven clock, and mocks where something must fail.

mod asking;
mod cutting;
mod every_spawn;
mod every_transition;
mod fencing;
mod holding;
mod lining;
mod support;
mod vigil;
mod waiting;
mod watching;
