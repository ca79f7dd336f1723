//! How output looks: decided once, from flags, settings and environment.

use crate::args::{ColorWish, Format, Global};
use crate::config::Settings;
use crate::env::Env;

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// How results are written.
    pub format: Format,
    /// Ids only, no messages, no progress.
    pub quiet: bool,
    /// Whether labels on stderr are coloured. State is always a word as well.
    pub color: bool,
    /// Columns of the terminal; `None`: lines are as long as they are.
    pub width: Option<u16>,
}

impl Style {
    /// The look of a command.
    pub fn of(flags: &Global, settings: &Settings, env: &Env) -> Self {
        Self {
            quiet: flags.quiet,
            color: colored(settings.color, env),
            ..Self::before_settings(flags.format(), env)
        }
    }

    /// The look of what is said before the settings are known.
    pub fn before_settings(format: Format, env: &Env) -> Self {
        let width = env.streams.width.filter(|_| env.streams.output_is_terminal);
        Self { format, quiet: false, color: colored(ColorWish::Auto, env), width }
    }
}

/// An explicit wish goes before `NO_COLOR` and `TERM=dumb`, which go before the terminal.
fn colored(wish: ColorWish, env: &Env) -> bool {
    match wish {
        ColorWish::Always => true,
        ColorWish::Never => false,
        ColorWish::Auto => env.streams.error_is_terminal && !env.no_color && !env.dumb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Streams;

    fn terminal() -> Env {
        let streams = Streams {
            input_is_terminal: true,
            output_is_terminal: true,
            error_is_terminal: true,
            width: Some(80),
            height: Some(24),
        };
        Env { streams, xdg_config: Some("/n".into()), xdg_state: Some("/n".into()), ..Env::default() }
    }

    #[test]
    fn colour_is_for_terminals_that_do_not_refuse_it() {
        assert!(colored(ColorWish::Auto, &terminal()));
        assert!(!colored(ColorWish::Auto, &Env { no_color: true, ..terminal() }));
        assert!(!colored(ColorWish::Auto, &Env { dumb: true, ..terminal() }));
        assert!(!colored(ColorWish::Auto, &Env::default()));
        assert!(colored(ColorWish::Always, &Env { no_color: true, ..Env::default() }));
        assert!(!colored(ColorWish::Never, &terminal()));
    }

    #[test]
    fn flags_make_the_look_of_a_command() {
        let flags = Global { quiet: true, json: true, color: Some(ColorWish::Never), ..Global::default() };
        let settings = Settings::resolve(&flags, &terminal()).expect("defaults");
        let style = Style::of(&flags, &settings, &terminal());
        assert_eq!(style, Style { format: Format::Json, quiet: true, color: false, width: Some(80) });
    }
}
