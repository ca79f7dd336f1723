//! Keeps secret values out of logs.
//!
//! Values are sought in the stream of bytes, not in lines or chunks: what might be the beginning
//! of a value is held back until the next chunk decides. At one position the longest value wins.
//! Values shorter than [`SHORTEST`] bytes are not sought: a `1` or `yes` would blot the whole log
//! and hide nothing. A value that a program prints in another form (encoded, line by line) is not
//! recognised either.

use std::sync::Arc;

/// Values of fewer bytes are not redacted.
pub(super) const SHORTEST: usize = 4;

/// One value and what stands in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    value: Vec<u8>,
    mask: Vec<u8>,
}

impl Secret {
    /// The value of the variable `name`; `None` if it is too short to be sought.
    pub(super) fn new(name: &str, value: &[u8]) -> Option<Self> {
        let mask = format!("[redacted {name}]").into_bytes();
        (value.len() >= SHORTEST).then(|| Self { value: value.to_vec(), mask })
    }
}

/// The filter of one stream.
#[derive(Debug, Clone)]
pub(super) struct Redactor {
    /// Longest first.
    secrets: Arc<[Secret]>,
    held: Vec<u8>,
}

impl Redactor {
    /// A filter for these values.
    pub(super) fn new(mut secrets: Vec<Secret>) -> Self {
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
        Self { secrets: secrets.into(), held: Vec::new() }
    }

    /// Takes a chunk; appends to `out` what is decided.
    pub(super) fn pass(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.secrets.is_empty() {
            out.extend_from_slice(chunk);
            return;
        }
        self.held.extend_from_slice(chunk);
        let data = std::mem::take(&mut self.held);
        let decided = self.filter(&data, false, out);
        self.held.extend_from_slice(&data[decided..]);
    }

    /// The stream has ended: appends what was held back.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let data = std::mem::take(&mut self.held);
        self.filter(&data, true, out);
    }

    /// Filters `data` as far as it can be decided; returns how far that is.
    fn filter(&self, data: &[u8], last: bool, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            if !last && self.secrets.iter().any(|s| s.value.len() > rest.len() && s.value.starts_with(rest)) {
                return at;
            }
            if let Some(secret) = self.secrets.iter().find(|s| rest.starts_with(&s.value)) {
                out.extend_from_slice(&secret.mask);
                at += secret.value.len();
            } else {
                out.push(data[at]);
                at += 1;
            }
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn redactor(values: &[&str]) -> Redactor {
        Redactor::new(values.iter().filter_map(|v| Secret::new(&v[..1], v.as_bytes())).collect())
    }

    fn filtered(mut redactor: Redactor, chunks: &[&[u8]]) -> String {
        let mut out = Vec::new();
        for chunk in chunks {
            redactor.pass(chunk, &mut out);
        }
        redactor.finish(&mut out);
        String::from_utf8(out).expect("these are texts")
    }

    #[rstest]
    #[case::inside(&["a hunter2 b"], "a [redacted h] b")]
    #[case::across_chunks(&["a hun", "te", "r2 b"], "a [redacted h] b")]
    #[case::nearly(&["hunter", "1 hunt"], "hunter1 hunt")]
    #[case::twice(&["hunter2hunter2"], "[redacted h][redacted h]")]
    #[case::after_a_false_start(&["hunhunter2"], "hun[redacted h]")]
    #[case::the_longer_wins(&["long", "erthanlong"], "[redacted l]")]
    #[case::the_shorter_alone(&["longe", " long"], "[redacted l]e [redacted l]")]
    fn values_are_masked(#[case] chunks: &[&str], #[case] expected: &str) {
        let chunks: Vec<&[u8]> = chunks.iter().map(|c| c.as_bytes()).collect();
        assert_eq!(filtered(redactor(&["long", "hunter2", "longerthanlong"]), &chunks), expected);
    }

    #[test]
    fn short_values_are_left_alone() {
        assert_eq!(filtered(redactor(&["yes"]), &[b"yes"]), "yes");
    }

    proptest! {
        /// However the stream is cut, the result is the same and the value is not in it.
        #[test]
        fn cuts_make_no_difference(text in "[ab]{0,60}", cuts in prop::collection::vec(0_usize..60, 0..6)) {
            let whole = filtered(redactor(&["abab", "aabba"]), &[text.as_bytes()]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text.as_bytes()[w[0]..w[1]]).collect();
            prop_assert_eq!(&filtered(redactor(&["abab", "aabba"]), &chunks), &whole);
            prop_assert!(!whole.contains("abab"));
        }
    }
}
