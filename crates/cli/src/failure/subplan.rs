//! Failures of subplans that cannot be made.

use agents_application::subplan_service::InvalidSubplans;

use crate::exit::Exit;
use crate::failure::Failure;

impl Failure {
    /// All that is wrong with subplans, `message` saying whose.
    pub(super) fn of_subplans(message: impl Into<String>, invalid: &InvalidSubplans) -> Self {
        let failure = Self::new(Exit::Usage, "invalid_subplans", message);
        invalid.lines().into_iter().fold(failure, Self::cause)
    }
}

#[cfg(test)]
mod tests {
    use agents_application::OrderError;
    use agents_application::subplan_service::SubplanProblem;

    use super::*;
    use crate::render::samples;

    #[test]
    fn all_that_is_wrong_with_the_subplans_of_an_action_is_told() {
        let problem =
            |item: &str| SubplanProblem::NoSuchAction { item: item.to_owned(), action: samples::name("fix") };
        let problems = InvalidSubplans { problems: vec![problem("api"), problem("web")] };
        let failure = Failure::from(OrderError::Subplans { action: samples::name("split"), problems });
        assert_eq!((failure.exit, failure.code), (Exit::Usage, "invalid_subplans"));
        assert_eq!(failure.message, "local/split has subplans that cannot be made");
        let lines = ["`api`: there is no action local/fix", "`web`: there is no action local/fix"];
        assert_eq!(failure.causes, lines);
        assert_eq!(failure.hints, ["agents action show local/split"]);
        failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
    }

    #[test]
    fn of_very_many_problems_most_are_counted() {
        let problems = (0..500).map(|n| SubplanProblem::Unreadable(format!("line {n}"))).collect();
        let failure = Failure::of_subplans("no", &InvalidSubplans { problems });
        assert_eq!(failure.causes.len(), 21);
        assert_eq!(failure.causes[20], "… and 480 more");
    }
}
