//! The only place that prints.
//!
//! A command hands back a [`Report`] or a failure; [`Output::finish`] writes it once and gives
//! the exit code. So `--json` yields exactly one document by construction. stdout carries data
//! only; messages, errors and progress go to stderr. A reader who closes the pipe early is no
//! error.

mod ask;
mod attempt;
mod changing;
mod chart;
mod clean;
mod envelope;
mod error;
mod event;
mod explain;
mod exposition;
mod graph;
mod live;
mod lock;
mod metrics;
mod order;
mod output;
mod places;
mod plan;
mod progress;
pub mod samples;
mod stream;
mod style;
mod table;
mod time;
mod trace;
mod tree;
mod why;
mod worker;

pub use ask::ask;
pub use attempt::errors_report;
pub use changing::{Change, Changing, Screen, Seen};
pub use chart::{Charted, graph_report};
pub use clean::clean;
pub use event::{event_item, event_line, event_view, events_report, request_view};
pub use explain::{Explanation, explain_report, turn_details, waiting_line};
pub use exposition::{Family, families_text, families_view};
pub use graph::Form;
pub use live::{Heard, Live};
pub use lock::{holder_words, lock_details, lock_report, lock_view, locks_report};
pub use metrics::{of_process, of_store};
pub use order::{InHand, with_order};
pub use output::{Body, Capture, Output, Report, Shared};
pub use places::{occupant_lines, places_line, places_view};
pub use plan::{first_line, parked_view, plan_report, plan_view, plans_report};
pub use progress::Progress;
pub use stream::{Item, Streaming};
pub use style::Style;
pub use table::Grid;
pub use time::{relative, rfc3339};
pub use trace::trace;
pub use tree::{Tree, tree_report};
pub use why::why_report;
pub use worker::workers_report;

use agents_domain::lock::{Holder, Liveness};

/// Says of a holder whether it lives, as far as can be proved from here.
pub type LivenessOf<'a> = &'a dyn Fn(&Holder) -> Liveness;
