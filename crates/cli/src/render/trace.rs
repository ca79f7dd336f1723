//! Diagnostics of the program itself, on stderr, only when asked for: start-up stays cheap.

use tracing::Level;

/// Switches tracing on: `-v` says what happens, `-vv` says everything. Once for each process.
pub fn trace(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => Level::INFO,
        _ => Level::TRACE,
    };
    // A second call, as in tests, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(
        tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).finish(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracing_is_off_unless_asked_for_and_asking_twice_is_harmless() {
        trace(0);
        trace(1);
        trace(2);
        assert!(tracing::enabled!(Level::ERROR));
    }
}
