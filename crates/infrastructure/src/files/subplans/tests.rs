//! Tests of the subplans file: what lines mean, what is wrong with them, what hostile ones cost.

use std::fs::{File, create_dir};
use std::os::unix::fs::symlink;
use std::process::Command;

use agents_domain::action::ArgumentValue;
use agents_domain::name::Name;
use agents_domain::subplan::SubplanItem;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn asked(bytes: &[u8]) -> AskedSubplans {
    from(bytes).expect("bytes are read")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

fn bare(item: &str, action: &str) -> SubplanItem {
    SubplanItem {
        name: item.to_owned(),
        action: name(action),
        args: [].into(),
        depends_on: vec![],
        projects: vec![],
    }
}

/// The problems of a file in which nothing is right.
fn wrong(bytes: &[u8]) -> Vec<String> {
    let AskedSubplans { items, problems, .. } = asked(bytes);
    assert_eq!(items, []);
    problems
}

#[test]
fn lines_are_children_in_their_order_with_every_key() {
    let text = concat!(
        r#"{"name":"web","action":"fix"}"#,
        "\n\n  \r\n",
        r#" {"depends_on":["web"],"projects":["api","team/web"],"action":"team/fix","name":"api","#,
        r#""args":{"s":"a\nb","i":-3,"f":1.5,"b":true,"l":["x","y"]}} "#,
    );
    let args = [
        ("s", ArgumentValue::String("a\nb".into())),
        ("i", ArgumentValue::Integer(-3)),
        ("f", ArgumentValue::Float(1.5)),
        ("b", ArgumentValue::Boolean(true)),
        ("l", ArgumentValue::List(vec!["x".into(), "y".into()])),
    ];
    let api = SubplanItem {
        args: args.map(|(name, value)| (name.to_owned(), value)).into(),
        depends_on: vec!["web".into()],
        projects: vec![name("api"), name("team/web")],
        ..bare("api", "team/fix")
    };
    let expected = AskedSubplans { items: vec![bare("web", "fix"), api], ..AskedSubplans::default() };
    assert_eq!(asked(text.as_bytes()), expected);
    assert_eq!(asked(b""), AskedSubplans::default());
}

/// The lines that the reference shows are ones.
#[test]
fn every_block_of_json_lines_in_the_reference_is_read() {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/actions.md");
    let text = std::fs::read_to_string(reference).expect("the reference");
    let blocks: Vec<_> =
        text.split("```jsonl\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let AskedSubplans { items, problems, .. } = asked(block.as_bytes());
        assert_eq!((items.len(), problems), (block.lines().count(), vec![]), "{block}");
    }
}

#[rstest]
#[case(b"hello", "a JSON object is expected, such as {\"name\": \"api\", \"action\": \"fix\"}")]
#[case(br#"["api","fix"]"#, "a JSON object is expected, such as {\"name\": \"api\", \"action\": \"fix\"}")]
#[case(br#"{"name":"api","act"#, "the line ends before its object does")]
#[case(b"{", "the line ends before its object does")]
#[case(br#"{"name":"a","acton":"b"}"#, "unknown field `acton`, did you mean `action`?")]
#[case(
    br#"{"name":"a","action":"b","zzz":1}"#,
    "unknown field `zzz`; known here: name, action, args, depends_on, projects"
)]
#[case(br#"{"name":"a"}"#, "column 12: missing field `action`")]
#[case(br#"{"name":"a","name":"b","action":"c"}"#, "column 18: duplicate field `name`")]
#[case(br#"{"name":3,"action":"b"}"#, "column 9: invalid type: integer `3`, expected a string")]
#[case(br#"{"name":"a","action":{}}"#, "column 23: invalid type: map, expected a string")]
#[case(
    br#"{"name":"a","action":"b","depends_on":"c"}"#,
    "column 41: invalid type: string \"c\", expected a sequence"
)]
#[case(br#"{"name":"a","action":"b","args":[]}"#, "column 32: invalid type: sequence, expected a map")]
#[case(
    br#"{"name":"a","action":"b","args":{"x":null}}"#,
    "column 41: invalid type: null, expected a string, a number, a boolean or a list of strings"
)]
#[case(
    br#"{"name":"a","action":"b","args":{"x":{"y":1}}}"#,
    "column 41: invalid type: map, expected a string, a number, a boolean or a list of strings"
)]
#[case(
    br#"{"name":"a","action":"b","args":{"x":[1]}}"#,
    "column 39: invalid type: integer `1`, expected a string"
)]
#[case(
    br#"{"name":"a","action":"b","args":{"x":18446744073709551615}}"#,
    "column 57: the number is larger than 64 bits signed"
)]
#[case(br#"{"name":"a","action":"b","args":{"x":1e999}}"#, "column 42: number out of range")]
#[case(br#"{"name":"a","action":"b"} {"#, "column 27: trailing characters")]
#[case(
    br#"{"name":"a/b","action":"b"}"#,
    "`a/b` is not a name of a subplan: use up to 63 of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`"
)]
#[case(br#"{"name":"a","action":"root/b"}"#, "the namespace `root` is reserved")]
#[case(b"{\"name\":\"\xff\",\"action\":\"b\"}", "this is not UTF-8 text, from byte 10 on")]
fn what_is_wrong_with_a_line_is_told_with_its_number(#[case] line: &[u8], #[case] reason: &str) {
    assert_eq!(wrong(&[b"\n\n", line].concat()), [format!("line 3: {reason}")]);
}

#[test]
fn every_wrong_line_is_told_and_the_right_ones_are_kept() {
    let text = "{\"name\":\"a\",\"action\":\"b\"}\n[]\n{\"name\":\"c\",\"action\":\"b\"}\n{\"name\":\"d\"";
    let AskedSubplans { items, problems, .. } = asked(text.as_bytes());
    assert_eq!(items, [bare("a", "b"), bare("c", "b")]);
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].starts_with("line 2: a JSON object") && problems[1].starts_with("line 4: the line ends")
    );
}

#[test]
fn of_many_wrong_lines_most_are_counted() {
    let problems = wrong("x\n".repeat(MAX_CHILDREN).as_bytes());
    assert_eq!((problems.len(), problems[KEPT].as_str()), (KEPT + 1, "… and 800 lines more"));
}

#[test]
fn as_many_as_may_be_are_read_and_more_are_one_problem() {
    let lines = |count: usize| {
        let line = |n| format!("{{\"name\":\"n{n}\",\"action\":\"a\"}}\n");
        (0..count).map(line).collect::<Vec<_>>().concat()
    };
    assert_eq!(asked(lines(MAX_CHILDREN).as_bytes()).items.len(), MAX_CHILDREN);
    let message = "100000 subplans are more than the 1000 that a plan may have";
    assert_eq!(wrong(lines(100_000).as_bytes()), [message]);
    assert_eq!(wrong("x\n".repeat(100_000).as_bytes()), [message], "whatever is in the lines");
}

#[test]
fn a_line_and_all_lines_have_a_greatest_length() {
    let line = |length: usize| {
        let bare = r#"{"name":"a","action":"b","args":{"x":""}}"#;
        let text = "x".repeat(length - bare.len());
        format!(r#"{{"name":"a","action":"b","args":{{"x":"{text}"}}}}"#) + "\n"
    };
    assert_eq!(asked(line(LONGEST_LINE - 1).as_bytes()).items.len(), 1);
    let long = line(LONGEST_LINE + 500) + "{\"name\":\"a\",\"action\":\"b\"}";
    let expected = AskedSubplans {
        items: vec![bare("a", "b")],
        problems: vec!["line 1: it is longer than 64 KiB".into()],
        unread: vec!["a".into()],
    };
    assert_eq!(asked(long.as_bytes()), expected);
    let all = line(LONGEST_LINE - 1).repeat(129);
    assert_eq!(wrong(all.as_bytes()), ["the lines are 8454015 bytes together, more than 8 MiB"]);
}

/// Each of them may be wrong, and is told then: there is a bound for all.
#[test]
fn children_have_not_too_many_arguments_dependencies_and_projects() {
    let line = |n: usize| {
        let needs = vec!["\"x\""; n - 2].join(",");
        format!(
            "{{\"name\":\"a\",\"action\":\"b\",\"args\":{{\"y\":1}},\"projects\":[\"p\"],\"depends_on\":[{needs}]}}\n"
        )
    };
    assert_eq!(asked(line(10_000).repeat(2).as_bytes()).items.len(), 2);
    let much = line(10_000).repeat(2) + &line(3).repeat(2);
    let message = "they have more than 20000 arguments, dependencies and projects together";
    assert_eq!(wrong(much.as_bytes()), [message]);
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let keep = tempfile::tempdir().expect("a directory");
    let path = keep.path().join("subplans.jsonl");
    // Mostly a hole: a TiB that takes no room, in one line.
    File::create(&path).expect("made").set_len(1 << 40).expect("a sparse file");
    assert_eq!(
        read(&path).expect("read"),
        AskedSubplans {
            problems: vec!["the file is longer than 64 MiB: it was not read on".into()],
            ..AskedSubplans::default()
        }
    );
}

#[test]
fn only_a_plain_file_is_read_and_nothing_is_waited_for() {
    let keep = tempfile::tempdir().expect("a directory");
    let path = |name: &str| keep.path().join(name);
    assert!(Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo").success());
    symlink("/dev/zero", path("link")).expect("a link");
    create_dir(path("directory")).expect("a directory");
    for name in ["fifo", "link", "directory", "absent"] {
        assert!(read(&path(name)).is_err(), "{name}");
    }
}

#[test]
fn a_problem_is_bounded_and_free_of_control_characters() {
    let line = format!("{{\"name\":\"\\u001b[2J{}\",\"action\":\"b\"}}", "x".repeat(5000));
    let problems = wrong(line.as_bytes());
    assert!(problems[0].chars().count() < SHOWN + 20 && !problems[0].contains('\u{1b}'), "{problems:?}");
    let line = format!("{{\"{}\":1}}", "k".repeat(5000));
    assert!(wrong(line.as_bytes())[0].len() < 400);
}

proptest! {
    /// Whatever a command writes: no panic, and a good line stays what it is.
    #[test]
    fn any_bytes_around_a_line_change_nothing_in_it(
        before in prop::collection::vec(any::<u8>(), 0..200),
        after in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let line: &[u8] = b"\n{\"name\":\"a\",\"action\":\"b\"}\n";
        let found = asked(&[&before[..], line, &after[..]].concat());
        prop_assert!(found.items.contains(&bare("a", "b")));
    }

    /// Nearly right lines are the ones that reach furthest.
    #[test]
    fn no_change_of_a_line_makes_it_panic(at in 0..90_usize, cut in 0..20_usize, put in prop::collection::vec(any::<u8>(), 0..8)) {
        let line = br#"{"name":"a","action":"b","args":{"x":[1.5,-3,"\u00e4"]},"depends_on":["c"],"projects":[]}"#;
        let (start, end) = (at.min(line.len()), (at + cut).min(line.len()));
        let found = asked(&[&line[..start], &put[..], &line[end..]].concat());
        prop_assert!(found.problems.iter().all(|problem| problem.starts_with("line ")));
    }
}
