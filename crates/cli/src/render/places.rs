//! Places for commands as JSON, and for people.

use agents_domain::places::{Occupant, PlacesCensus};
use serde_json::{Value, json};

use crate::render::rfc3339;

/// More occupants than this are counted, not named.
const SHOWN: usize = 8;

/// How many places there are and who has them.
pub fn places_view(census: &PlacesCensus) -> Value {
    json!({ "total": census.total, "taken": census.taken.iter().map(occupant_view).collect::<Vec<_>>() })
}

fn occupant_view(who: &Occupant) -> Value {
    json!({
        "plan_id": who.plan.as_str(),
        "attempt": who.attempt,
        "purpose": who.purpose,
        "since": rfc3339(who.since),
        "host": who.by.host,
        "pid": who.by.pid,
        "user": who.by.user,
    })
}

/// How full it is, in words.
pub fn places_line(census: &PlacesCensus) -> String {
    format!("{} of {} places are taken", census.taken.len(), census.total)
}

/// Who has the places, one line each.
pub fn occupant_lines(census: &PlacesCensus) -> Vec<String> {
    let line = |who: &Occupant| {
        let (by, since) = (&who.by, rfc3339(who.since));
        let work = format!("{} of plan {}", who.purpose, who.plan);
        format!("{} (pid {} on {}) runs {work}, since {since}", by.user, by.pid, by.host)
    };
    let more = census.taken.len().saturating_sub(SHOWN);
    let rest = (more > 0).then(|| format!("and {more} more"));
    census.taken.iter().take(SHOWN).map(line).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn census(taken: usize) -> PlacesCensus {
        let who = samples::places().taken.remove(0);
        PlacesCensus { total: 9, taken: vec![who; taken] }
    }

    #[test]
    fn a_few_are_named_and_the_rest_counted() {
        let lines = occupant_lines(&census(1));
        let plan = samples::plan_id();
        let expected =
            format!("ada (pid 4711 on box) runs execute of plan {plan}, since 1970-01-01T00:00:00.000Z");
        assert_eq!(lines, [expected]);
        let lines = occupant_lines(&census(9));
        assert_eq!((lines.len(), lines[8].as_str()), (9, "and 1 more"));
        assert_eq!(places_line(&census(9)), "9 of 9 places are taken");
    }

    #[test]
    fn programs_get_all_of_them() {
        let view = places_view(&census(9));
        assert_eq!((view["total"].as_u64(), view["taken"].as_array().map(Vec::len)), (Some(9), Some(9)));
        let keys: Vec<_> = view["taken"][0].as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys.join(" "), "attempt host pid plan_id purpose since user");
    }
}
