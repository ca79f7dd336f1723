//! Where a plan is: phase and state, and the pairs of them that exist.

use std::fmt;

/// The part of its road a plan is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Find out what to do; reads only.
    Strategize,
    /// Do it, in a worktree.
    Execute,
    /// Land it on the target branch.
    Apply,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 3] = [Self::Strategize, Self::Execute, Self::Apply];

    /// The word used in rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strategize => "strategize",
            Self::Execute => "execute",
            Self::Apply => "apply",
        }
    }

    /// The phase of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the phase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// To be started.
    Queued,
    /// Under way, by whoever holds the plan's lock.
    Processing,
    /// Done; the next phase awaits its order.
    Complete,
    /// Failed or interrupted; `retry` queues it again.
    Errored,
    /// Given up for good.
    Cancelled,
    /// Landed; the end of the road.
    Applied,
    /// Could not land as things are; `retry` tries again.
    Constrained,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Queued,
        Self::Processing,
        Self::Complete,
        Self::Errored,
        Self::Cancelled,
        Self::Applied,
        Self::Constrained,
    ];

    /// The word used in rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Complete => "complete",
            Self::Errored => "errored",
            Self::Cancelled => "cancelled",
            Self::Applied => "applied",
            Self::Constrained => "constrained",
        }
    }

    /// The state of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing can follow.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Applied | Self::Cancelled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A phase and a state that exist together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stage {
    phase: Phase,
    state: State,
}

impl Stage {
    /// Where every plan begins.
    pub const FIRST: Self = Self { phase: Phase::Strategize, state: State::Queued };

    /// The stage, if these two exist together: only apply ends `applied` or `constrained`, and
    /// apply is never merely `complete`.
    pub const fn new(phase: Phase, state: State) -> Option<Self> {
        let exists = match state {
            State::Queued | State::Processing | State::Errored | State::Cancelled => true,
            State::Complete => !matches!(phase, Phase::Apply),
            State::Applied | State::Constrained => matches!(phase, Phase::Apply),
        };
        if exists { Some(Self { phase, state }) } else { None }
    }

    /// Every stage there is, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        Phase::ALL
            .into_iter()
            .flat_map(|phase| State::ALL.into_iter().filter_map(move |state| Self::new(phase, state)))
    }

    /// The phase.
    pub const fn phase(self) -> Phase {
        self.phase
    }

    /// The state.
    pub const fn state(self) -> State {
        self.state
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.phase, self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_sixteen_stages() {
        assert_eq!(Stage::all().count(), 16);
        assert_eq!(Stage::new(Phase::Apply, State::Complete), None);
        assert_eq!(Stage::new(Phase::Execute, State::Applied), None);
        assert_eq!(Stage::FIRST.to_string(), "strategize/queued");
    }

    #[test]
    fn words_are_read_back() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!((Phase::parse("action"), State::parse("done")), (None, None));
        assert!(State::Applied.is_terminal() && !State::Constrained.is_terminal());
    }
}
