//! The driver of plans, on the in-memory store, a clock moved by hand, and scripted doubles.

mod applying;
mod attempts;
mod crash;
mod fuse;
mod going_on;
mod landing;
mod levels;
mod machines;
mod notes;
mod orders;
mod parking;
mod places;
mod pruning;
mod recovering;
mod requests;
mod stopping;
mod subplans;
mod validating;
mod working;
mod world;
