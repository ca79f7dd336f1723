//! Moments as text: RFC 3339 in UTC for programs, distances for people.

use agents_domain::time::Timestamp;

/// RFC 3339, UTC, milliseconds: `2026-01-02T03:04:05.678Z`. Beyond the year 9999 it saturates.
pub fn rfc3339(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.as_millis())
        .unwrap_or_else(|_| if at.as_millis() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX });
    format!("{moment:.3}")
}

/// How far a moment is from `now`, in its largest unit: `2m ago`, `in 3h`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_millis().saturating_sub(now.as_millis()) / 1000;
    let (size, unit) = match seconds.unsigned_abs() {
        0 => return "now".to_owned(),
        s @ 1..60 => (s, 's'),
        s @ 60..3_600 => (s / 60, 'm'),
        s @ 3_600..86_400 => (s / 3_600, 'h'),
        s => (s / 86_400, 'd'),
    };
    if seconds < 0 { format!("{size}{unit} ago") } else { format!("in {size}{unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_767_323_045_678)), "2026-01-02T03:04:05.678Z");
        assert_eq!(rfc3339(Timestamp::from_millis(0)), "1970-01-01T00:00:00.000Z");
        assert!(rfc3339(Timestamp::from_millis(i64::MAX)).starts_with("9999-"));
        assert!(rfc3339(Timestamp::from_millis(i64::MIN)).starts_with("-009999-"));
    }

    #[test]
    fn distances_are_in_their_largest_unit() {
        let at = |seconds: i64| relative(Timestamp::from_millis(seconds * 1000), Timestamp::from_millis(0));
        assert_eq!(
            [at(0), at(-59), at(-60), at(3_600), at(-90_000), at(5)],
            ["now", "59s ago", "1m ago", "in 1h", "1d ago", "in 5s"]
        );
    }
}
