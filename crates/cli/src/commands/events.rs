//! `agents events`: what happens to all plans, in the order in which it was committed.
//!
//! It locks nothing and writes nothing. A follower goes on until it is told to end, or nobody reads.

use std::io;
use std::ops::ControlFlow;

use agents_application::follower::Reach;
use agents_application::survey::before;
use agents_domain::feed::FeedPosition;
use agents_domain::plan::Event;
use agents_domain::time::Timestamp;

use crate::app::App;
use crate::args::events::EventsArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Item, Report, Streaming, event_item};
use crate::signals::Signals;

/// Shows them.
pub fn events(app: App, args: &EventsArgs) -> Result<Report, Failure> {
    let since = args.since.map(|length| before(app.now(), length));
    let from = match since {
        None => FeedPosition::START,
        Some(since) => app.block_on(app.store.feed().since(since))?,
    };
    let stop = app.stop.clone();
    let signals = args.follow.then(|| app.block_on(async { Signals::listen(stop) })).transpose()?;
    let body = Body::Stream(Box::new(Events { app, from, since, signals }));
    Ok(Report { body, ..Report::of(serde_json::Value::Null) })
}

struct Events {
    app: App,
    from: FeedPosition,
    /// The first to be shown is of this time or later. What is held back by a transaction that still
    /// runs comes after `from`, however old it is.
    since: Option<Timestamp>,
    /// What ends it; `None`: the end of what there is.
    signals: Option<Signals>,
}

impl Streaming for Events {
    fn run(&mut self, show: &mut dyn FnMut(&Item) -> io::Result<()>) -> Result<Exit, Failure> {
        let (app, reach) = (&self.app, self.signals.as_ref().map_or(Reach::ToTheEnd, |_| Reach::OnAndOn));
        let mut since = self.since;
        let each = |events: &[Event]| {
            let old = events.iter().take_while(|event| since.is_some_and(|since| event.at < since)).count();
            let events = &events[old..];
            if !events.is_empty() {
                since = None;
            }
            // Whoever writes it knows why it could not be written.
            let shown = events.iter().try_for_each(|event| show(&event_item(event)));
            if shown.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        let follower = app.follower();
        app.block_on(async {
            tokio::select! {
                biased;
                _ = app.stop.stopped() => Ok(self.signals.as_ref().map_or(Exit::Done, Signals::exit)),
                end = follower.follow(self.from, reach, each) => Ok(end.map(|_| Exit::Done)?),
            }
        })
    }
}
