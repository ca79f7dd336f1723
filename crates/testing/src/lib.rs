//! What tests are given: a PostgreSQL database of their own, and a bad network on the way to it.
//!
//! Only tests and benchmarks depend on this crate. It has nothing of the product in it, so that it can
//! be used by the tests of every other crate.

pub mod postgres;
pub mod proxy;
