//! Whether two names of places, as moves record them, lead to one.

/// Parameters of a URL that are part of the place; the others (TLS, time limits) are of the way there.
const OF_THE_PLACE: [&str; 5] = ["host", "hostaddr", "port", "dbname", "options"];

/// Whether a move to the one may be finished by one to the other.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    one == other || without_way(one) == without_way(other)
}

fn without_way(place: &str) -> (&str, Vec<&str>) {
    let of_place = |pair: &&str| OF_THE_PLACE.iter().any(|key| pair.split('=').next() == Some(key));
    // A file's name may hold a `?`.
    match place.split_once('?').filter(|(before, _)| before.contains("://")) {
        Some((before, query)) => (before, query.split('&').filter(of_place).collect()),
        None => (place, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("postgres://u@h/d", "postgres://u@h/d?sslmode=require", true)]
    #[case("postgres:///d?host=a&connect_timeout=3", "postgres:///d?host=a", true)]
    #[case("postgres:///d?host=a", "postgres:///d?host=b", false)]
    #[case("postgres://h/d?options=-csearch_path%3Da", "postgres://h/d", false)]
    #[case("/a/b?sslmode=x", "/a/b", false)]
    fn what_is_of_the_way_makes_no_other_place(#[case] one: &str, #[case] other: &str, #[case] same: bool) {
        assert_eq!(is_same(one, other), same);
    }
}
