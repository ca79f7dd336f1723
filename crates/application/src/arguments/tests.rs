//! What a caller may give, and every way in which it can be wrong.

use super::*;
use rstest::rstest;

fn spec(name: &str, kind: ArgumentType) -> ArgumentSpec {
    ArgumentSpec {
        name: name.to_owned(),
        kind,
        required: false,
        default: None,
        description: None,
        pattern: None,
        min: None,
        max: None,
    }
}

fn list(items: &[&str]) -> ArgumentValue {
    ArgumentValue::List(items.iter().map(ToString::to_string).collect())
}

#[rstest]
#[case(ArgumentType::String, "a=b", ArgumentValue::String("a=b".into()))]
#[case(ArgumentType::String, "", ArgumentValue::String(String::new()))]
#[case(ArgumentType::Integer, "-9223372036854775808", ArgumentValue::Integer(i64::MIN))]
#[case(ArgumentType::Float, "2.5e3", ArgumentValue::Float(2500.0))]
#[case(ArgumentType::Float, "7", ArgumentValue::Float(7.0))]
#[case(ArgumentType::Boolean, "false", ArgumentValue::Boolean(false))]
#[case(ArgumentType::List, "a,b,,c", list(&["a", "b", "", "c"]))]
#[case(ArgumentType::List, "", list(&[]))]
fn texts_are_read_as_the_type_of_the_spec(
    #[case] kind: ArgumentType,
    #[case] text: &str,
    #[case] value: ArgumentValue,
) {
    let arguments = parse(&[spec("x", kind)], &[format!("x={text}")]).expect("fits");
    assert_eq!(arguments, Arguments::from([("x".to_owned(), value)]));
}

#[rstest]
#[case(ArgumentType::Integer, "1.5", "argument `x` must be an integer, not `1.5`")]
#[case(
    ArgumentType::Integer,
    "9223372036854775808",
    "argument `x` must be an integer, not `9223372036854775808`"
)]
#[case(ArgumentType::Float, "many", "argument `x` must be a float, not `many`")]
#[case(ArgumentType::Float, "inf", "argument `x` must be a float, not `inf`")]
#[case(ArgumentType::Float, "NaN", "argument `x` must be a float, not `NaN`")]
#[case(ArgumentType::Boolean, "yes", "argument `x` must be a boolean (true or false), not `yes`")]
fn ill_typed_texts_are_refused(#[case] kind: ArgumentType, #[case] text: &str, #[case] message: &str) {
    let error = parse(&[spec("x", kind)], &[format!("x={text}")]).expect_err("ill-typed");
    assert_eq!(error.to_string(), message);
}

#[rstest]
#[case(ArgumentType::String, ArgumentValue::Integer(1))]
#[case(ArgumentType::Integer, ArgumentValue::Float(1.0))]
#[case(ArgumentType::Boolean, ArgumentValue::String("true".into()))]
#[case(ArgumentType::List, ArgumentValue::String("a".into()))]
fn typed_values_of_another_type_are_refused(#[case] kind: ArgumentType, #[case] value: ArgumentValue) {
    let error =
        check(&[spec("x", kind)], &Arguments::from([("x".to_owned(), value)])).expect_err("ill-typed");
    assert!(matches!(error.problems[..], [ArgumentProblem::IllTyped { .. }]), "{error}");
}

#[test]
fn an_integer_is_taken_for_a_float() {
    let given = Arguments::from([("x".to_owned(), ArgumentValue::Integer(3))]);
    let arguments = check(&[spec("x", ArgumentType::Float)], &given).expect("fits");
    assert_eq!(arguments["x"], ArgumentValue::Float(3.0));
}

#[test]
fn a_typed_text_with_a_nul_byte_is_refused() {
    let given = Arguments::from([("x".to_owned(), ArgumentValue::String("a\0b".into()))]);
    let error = check(&[spec("x", ArgumentType::String)], &given).expect_err("no child could be given it");
    assert_eq!(error.to_string(), "argument `x` must not contain a NUL byte");
}

#[test]
fn defaults_fill_in_and_optional_ones_stay_away() {
    let mut depth = spec("depth", ArgumentType::Integer);
    depth.default = Some(ArgumentValue::Integer(2));
    depth.required = true;
    let specs = [depth, spec("note", ArgumentType::String)];
    let none: [&str; 0] = [];
    assert_eq!(
        parse(&specs, &none).expect("fits"),
        Arguments::from([("depth".into(), ArgumentValue::Integer(2))])
    );
    assert_eq!(parse(&specs, &["depth=5"]).expect("fits")["depth"], ArgumentValue::Integer(5));
}

#[rstest]
#[case(ArgumentType::String, "ab", Some("must be at least 3 characters, not 2 characters"))]
#[case(ArgumentType::String, "äöü", None)]
#[case(ArgumentType::String, "abcdef", Some("must be at most 5 characters, not 6 characters"))]
#[case(ArgumentType::Integer, "2", Some("must be at least 3, not 2"))]
#[case(ArgumentType::Integer, "3", None)]
#[case(ArgumentType::Integer, "6", Some("must be at most 5, not 6"))]
#[case(ArgumentType::Float, "5.01", Some("must be at most 5, not 5.01"))]
#[case(ArgumentType::List, "a,b", Some("must be at least 3 items, not 2 items"))]
#[case(ArgumentType::List, "a,b,c", None)]
#[case(ArgumentType::Boolean, "true", None)]
fn least_and_greatest_bound_numbers_and_lengths(
    #[case] kind: ArgumentType,
    #[case] text: &str,
    #[case] rule: Option<&str>,
) {
    let bounded = ArgumentSpec { min: Some(3.0), max: Some(5.0), ..spec("x", kind) };
    let outcome = parse(&[bounded], &[format!("x={text}")]).map(drop).map_err(|error| error.to_string());
    assert_eq!(outcome.err(), rule.map(|rule| format!("argument `x` {rule}")));
}

#[rstest]
#[case(ArgumentType::String, "src/lib", true)]
#[case(ArgumentType::String, "src lib", false)]
#[case(ArgumentType::List, "src,tests/a", true)]
#[case(ArgumentType::List, "src,../a", false)]
fn patterns_hold_for_strings_and_every_item(
    #[case] kind: ArgumentType,
    #[case] text: &str,
    #[case] fits: bool,
) {
    let patterned = ArgumentSpec { pattern: Some("^[a-z/]+$".into()), ..spec("x", kind) };
    let outcome = parse(&[patterned], &[format!("x={text}")]);
    assert_eq!(outcome.is_ok(), fits, "{outcome:?}");
}

#[test]
fn a_pattern_bounds_the_value_and_must_compile() {
    let long = ArgumentSpec { pattern: Some("a".into()), ..spec("x", ArgumentType::String) };
    let error = parse(&[long], &[format!("x={}", "a".repeat(MAX_MATCHED + 1))]).expect_err("too long");
    assert_eq!(error.to_string(), "argument `x` has a pattern, so it may have at most 4096 bytes");
    let broken = ArgumentSpec { pattern: Some("(".into()), ..spec("x", ArgumentType::String) };
    let error = parse(&[broken], &["x=a"]).expect_err("broken");
    assert!(error.to_string().starts_with("argument `x` has a pattern that does not compile"), "{error}");
}

#[test]
fn ordinary_patterns_compile_and_exploding_ones_do_not() {
    assert!(compile_pattern(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z]{2,24})+$").is_ok());
    assert!(compile_pattern("((a{100}){100}){100}").is_err());
}

#[test]
fn every_problem_is_reported_at_once() {
    let mut target = spec("target", ArgumentType::String);
    target.required = true;
    let specs = [target, spec("depth", ArgumentType::Integer), spec("dry", ArgumentType::Boolean)];
    let error =
        parse(&specs, &["tagret=src", "depth=deep", "dry=true", "dry=false", "bare", "=x", "zebra=1"])
            .expect_err("six problems");
    assert_eq!(
        error.to_string(),
        "7 arguments are wrong:\
         \n  - argument `dry` is given more than once\
         \n  - `bare` is not an argument: write name=value\
         \n  - `=x` is not an argument: write name=value\
         \n  - argument `target` (string) is required\
         \n  - argument `depth` must be an integer, not `deep`\
         \n  - unknown argument `tagret`, did you mean `target`?\
         \n  - unknown argument `zebra`"
    );
}

#[test]
fn what_a_message_shows_is_cut_and_escaped() {
    let none: [ArgumentSpec; 0] = [];
    let error = parse(&none, &[format!("\u{1b}[2J{}", "ä".repeat(200))]).expect_err("no pair");
    let text = error.to_string();
    assert!(text.contains("\\u{1b}[2J") && text.contains('…') && text.chars().count() < 140, "{text}");
}
