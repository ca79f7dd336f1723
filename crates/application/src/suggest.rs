//! "Did you mean": the known word that is nearest to one a person wrote.
//!
//! Pure. It never decides anything: a suggestion is only ever shown, never taken.

/// Below this the words merely share letters (the figure that clap uses for its own hints is 0.7;
/// ours is stricter, since keys of files are short and many).
const NEAR: f64 = 0.8;
/// Longer words are not looked at: nobody mistypes a key by so much.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if one is near enough to be what was meant.
///
/// ```
/// use agents_application::suggest::nearest;
///
/// assert_eq!(nearest("excute", ["execute", "env"]), Some("execute"));
/// assert_eq!(nearest("zebra", ["execute", "env"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro(word, candidate), candidate))
        .filter(|(nearness, _)| *nearness > NEAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `, did you mean …?` with the nearest candidate, or nothing.
pub fn hint<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_several_wins() {
        assert_eq!(
            nearest("descripton", ["default", "description", "definition_of_done"]),
            Some("description")
        );
        assert_eq!(hint("tagret", ["target"]), ", did you mean `target`?");
    }

    #[test]
    fn far_and_endless_words_get_no_suggestion() {
        assert_eq!(nearest("x", ["target"]), None);
        assert_eq!(nearest(&"target".repeat(20), ["target"]), None);
        assert_eq!(hint("x", []), "");
    }
}
