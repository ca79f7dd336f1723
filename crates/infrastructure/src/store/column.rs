//! Single columns: numbers, words and paths, there and back.

use std::ffi::OsString;
use std::fmt::Display;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
#[cfg(feature = "postgres")]
use std::time::Duration;

use agents_domain::plan::StoreError;

/// What a path that is no UTF-8 begins with in its column; a path that is starts with a slash.
const BYTES: &str = "bytes:";

/// Which row is being read, for [`StoreError::Corrupt`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowName<'a> {
    table: &'static str,
    key: &'a str,
}

impl<'a> RowName<'a> {
    /// The row of that table with that key.
    pub(crate) const fn new(table: &'static str, key: &'a str) -> Self {
        Self { table, key }
    }

    /// The error that names this row.
    pub(crate) fn corrupt(self, reason: impl Display) -> StoreError {
        let row = format!("{}/{}", self.table, self.key);
        StoreError::Corrupt { row, reason: reason.to_string() }
    }

    /// A column that must be there, given what else is.
    pub(crate) fn need<T>(self, column: &str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| self.corrupt(format_args!("{column} is missing")))
    }

    /// A number that must fit.
    pub(crate) fn number<T: TryFrom<i64>>(self, column: &str, value: i64) -> Result<T, StoreError> {
        T::try_from(value).map_err(|_| self.corrupt(format_args!("{column} is {value}")))
    }

    /// A text that must parse.
    pub(crate) fn parsed<T, E: Display>(self, column: &str, value: Result<T, E>) -> Result<T, StoreError> {
        value.map_err(|error| self.corrupt(format_args!("{column}: {error}")))
    }

    /// A word that must be known.
    pub(crate) fn word<T>(
        self,
        column: &str,
        word: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        parse(word).ok_or_else(|| self.corrupt(format_args!("{column} is `{word}`")))
    }
}

/// A count for its column. Counts beyond 2⁶³ do not occur; one would be kept at that bound.
pub(crate) fn to_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A length of time in milliseconds.
#[cfg(feature = "postgres")]
pub(crate) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

/// A place in a list for its column.
pub(crate) fn position(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

/// A path for its column: as it is, or in hexadecimal if it is no UTF-8.
pub(crate) fn path_to_text(path: &Path) -> String {
    let Some(text) = path.to_str() else {
        let hex = path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}"));
        return hex.fold(BYTES.to_owned(), |text, byte| text + &byte);
    };
    text.to_owned()
}

/// The path of a column.
pub(crate) fn path_from_text(text: &str) -> PathBuf {
    text.strip_prefix(BYTES).and_then(bytes).map_or_else(|| text.into(), |b| OsString::from_vec(b).into())
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs = (0..hex.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_survives_its_column() {
        let odd = PathBuf::from(OsString::from_vec(b"/tmp/\xff\xfe".to_vec()));
        for path in [PathBuf::from("/srv/über"), odd] {
            assert_eq!(path_from_text(&path_to_text(&path)), path);
        }
        assert_eq!(path_from_text("bytes:zz"), PathBuf::from("bytes:zz"));
    }

    #[test]
    fn what_is_wrong_names_row_and_column() {
        let row = RowName::new("plans", "X");
        let error = row.number::<u32>("attempt", -1).expect_err("negative");
        assert_eq!(error, StoreError::Corrupt { row: "plans/X".into(), reason: "attempt is -1".into() });
        assert!(row.need::<i64>("pid", None).is_err());
        assert!(row.word("state", "done", |_| None::<()>).is_err());
        assert!(row.parsed("id", Err::<(), _>("no ULID")).is_err());
        assert_eq!((to_i64(u64::MAX), position(3)), (i64::MAX, 3));
    }
}
