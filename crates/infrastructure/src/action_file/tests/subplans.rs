//! What an action file says about subplans, and all that can be wrong with it.

use std::fmt::Write as _;

use agents_domain::subplan::{MAX_CHILDREN, Settings};
use rstest::rstest;

use super::super::*;

/// The whole error about `subplans` with that text, without its excerpt: line, column, message each.
fn mistakes(text: &str) -> Vec<String> {
    let error = parse(&format!("name: x\n{text}\n"), "x").map(drop).expect_err("wrong").to_string();
    let lines = error.lines().filter(|line| line.starts_with("x:") || line.starts_with('…'));
    lines.map(|line| line.trim_start_matches("x:").to_owned()).collect()
}

#[test]
fn without_keys_all_has_its_default() {
    let action = parse("name: x\nsubplans: {}\n", "x").expect("valid");
    assert_eq!((action.execute.as_ref(), action.subplan_items().len()), (None, 0));
    assert_eq!(action.subplan_settings(), Settings::default());
    assert!(action.subplans.is_some());
}

#[test]
fn words_of_every_enum_are_known() {
    for (key, word) in [
        ("mode", "sequential"),
        ("mode", "parallel"),
        ("mode", "dependency"),
        ("merge", "three-way"),
        ("merge", "fail-on-conflict"),
    ] {
        let action = parse(&format!("name: x\nsubplans: {{ {key}: {word} }}\n"), "x").expect("valid");
        let Settings { mode, merge, .. } = action.subplan_settings();
        assert!([mode.as_str(), merge.as_str()].contains(&word), "{word}");
    }
}

#[rstest]
#[case("moed: parallel", "2:13: unknown key `moed`, did you mean `mode`?")]
#[case("mode: serial", "2:19: unknown value `serial`; known here: sequential, parallel, dependency")]
#[case("merge: last-wins", "2:20: unknown value `last-wins`; known here: three-way, fail-on-conflict")]
#[case("max_parallel: 0", "2:27: max_parallel must be between 1 and 50")]
#[case("max_parallel: 51", "2:27: max_parallel must be between 1 and 50")]
#[case("max_parallel: 4294967297", "2:27: max_parallel must be between 1 and 50")]
#[case("max_retries: -1", "2:26: max_retries must be between 0 and 100")]
#[case("max_retries: 101", "2:26: max_retries must be between 0 and 100")]
#[case("max_retries: many", "2:26: expected an integer")]
#[case("timeout: 10", "2:22: `10` is not a duration: write for example 90s, 10m or 1h30m")]
#[case("timeout: 0s", "2:22: a timeout must be more than 0 and at most 8760h")]
#[case("fail_fast: yes", "2:24: invalid boolean (true or false expected)")]
#[case("items: a", "2:20: expected a list, such as [cargo, test]")]
#[case("items: [{ name: a }]", "2:23: the key `action` is missing here")]
#[case("items: [{ action: a }]", "2:23: the key `name` is missing here")]
#[case("items: [{ name: a, acton: b }]", "2:32: unknown key `acton`, did you mean `action`?")]
#[case(
    "items: [{ name: a, action: B }]",
    "2:40: `B` is not a name: use [namespace/]name, each part up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`"
)]
#[case("items: [{ name: a, action: root/b }]", "2:40: the namespace `root` is reserved")]
#[case(
    "items: [{ name: a/b, action: b }]",
    "2:29: `a/b` is not a name of a subplan: use up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`"
)]
#[case(
    "items: [{ name: a, action: b, projects: [P] }]",
    "2:54: `P` is not a name: use [namespace/]name, each part up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`"
)]
#[case("items: [{ name: a, action: b, args: { c: [[d]] } }]", "2:55: expected a text")]
#[case(
    "items: [{ name: a, action: b }, { name: b, action: b }, { name: a, action: b }]",
    "2:77: `a` is there twice"
)]
#[case("mode: dependency, items: [{ name: a, action: b, depends_on: [a] }]", "2:74: `a` depends on itself")]
#[case(
    "mode: dependency, items: [{ name: server, action: b }, { name: a, action: b, depends_on: [sevrer] }]",
    "2:103: `a` depends on `sevrer`, which is not there, did you mean `server`?"
)]
#[case(
    "mode: dependency, items: [{ name: z, action: b, depends_on: [a] }, { name: a, action: b, depends_on: [c] }, { name: c, action: b, depends_on: [a] }]",
    "2:88: nothing in this circle can begin: a → c → a"
)]
#[case(
    "mode: parallel, items: [{ name: a, action: b }, { name: c, action: b, depends_on: [a] }]",
    "2:96: `c` has dependencies, which count in the mode `dependency` only, not in `parallel`"
)]
fn what_is_wrong_is_told_with_its_place(#[case] keys: &str, #[case] expected: &str) {
    assert_eq!(mistakes(&format!("subplans: {{ {keys} }}")), [expected]);
}

#[test]
fn all_that_is_wrong_with_items_is_told_in_the_order_of_the_file() {
    let text = "subplans:\n  mode: dependency\n  items:\n  - { name: a, action: x, depends_on: [b, zz] }\n  - { name: b, action: root/x, depends_on: [a, b] }\n  - { name: a, action: x }\n  - { name: a, action: x }\n  - { name: C, action: x }\n";
    let expected = [
        // Of two with one name the first is meant.
        "5:13: nothing in this circle can begin: a → b → a",
        "5:43: `a` depends on `zz`, which is not there",
        "6:24: the namespace `root` is reserved",
        "6:48: `b` depends on itself",
        "7:13: `a` is there twice",
        "8:13: `a` is there twice",
        "9:13: `C` is not a name of a subplan: use up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn the_first_mistake_has_its_line_and_the_others_follow() {
    let text = "name: x\nsubplans:\n  items:\n  - { name: A, action: x }\n  - { name: B, action: x }\n";
    let error = parse(text, "x.yaml").expect_err("two names").to_string();
    let lines: Vec<_> = error.lines().collect();
    assert!(lines[0].starts_with("x.yaml:4:13: `A` is not"), "{error}");
    assert_eq!(lines[1..4], ["  |", "4 |   - { name: A, action: x }", "  |             ^"]);
    assert!(lines[4].starts_with("x.yaml:5:13: `B` is not") && lines.len() == 5, "{error}");
}

#[test]
fn of_very_many_mistakes_most_are_counted() {
    let mut text = "subplans:\n  mode: dependency\n  items:\n".to_owned();
    for n in 0..100 {
        writeln!(text, "  - {{ name: n{n}, action: x, depends_on: [zz{n}] }}").expect("a string takes it");
    }
    let told = mistakes(&text);
    assert_eq!((told.len(), told[21].as_str()), (22, "… and 79 more"));
}

#[test]
fn there_is_a_greatest_number_of_them() {
    let items = |count: usize| {
        let item = |n: usize| {
            format!("  - {{ name: n{n}, action: x, args: {{ a: 1, b: 2, c: 3 }}, depends_on: [n0] }}\n")
        };
        let others: String = (1..count).map(item).collect();
        format!("name: x\nsubplans:\n  mode: dependency\n  items:\n  - {{ name: n0, action: x }}\n{others}")
    };
    assert_eq!(parse(&items(MAX_CHILDREN), "x").expect("valid").subplan_items().len(), MAX_CHILDREN);
    let error = parse(&items(MAX_CHILDREN + 5), "x").expect_err("too many").to_string();
    assert!(error.starts_with("x:1005:5: 1005 subplans are more than the 1000 that may be\n"), "{error}");
    let empty = "{},".repeat(100_000);
    let error =
        parse(&format!("name: x\nsubplans: {{ items: [{empty}] }}\n"), "x").expect_err("far too many");
    assert_eq!(error.to_string().lines().count(), 4, "one error: {error}");
}

#[test]
fn a_strategist_knows_the_file_for_subplans() {
    let text =
        "name: x\nstrategize: { run: [plan, '{{ strategy_file }}', '{{ subplans_file }}'] }\nsubplans: {}\n";
    assert!(parse(text, "x").is_ok());
}
