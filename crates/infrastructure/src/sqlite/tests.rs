//! The store on one SQLite file, as several processes would use it: each *open* has connections
//! of its own, so two opens in one test race as two processes do.

mod catalogue;
mod commits;
mod crowd;
mod files;
mod histories;
mod lanes;
mod locks;
mod migration;
mod power;
mod reads;
mod rows;
mod subplans;
mod world;
