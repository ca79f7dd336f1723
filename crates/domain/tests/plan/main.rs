//! The lifecycle of plans: the table against its documentation, the guards, the facts, replay,
//! and properties over random histories.

mod facts;
mod guards;
mod properties;
mod replay;
mod resuming;
mod storage;
mod subplans;
mod support;
mod table;
