//! Subplans: the graph and its scheduler, by tables and by properties.

mod graph;
mod properties;
mod scheduler;
mod support;
