//! Every mistake has its place and its words. Each case starts at line 3 of a file that is valid.

use rstest::rstest;

use super::super::*;

/// A valid file up to the case; `execute` is given, so a case for it replaces the start.
const START: &str = "name: x\nexecute: { run: [a] }\n";

/// Line, column and message of the mistake.
fn mistake(text: &str) -> (usize, usize, String) {
    match parse(text, "fix.yaml") {
        Err(ActionFileError::Invalid(diagnostic)) => {
            let at = diagnostic.at.expect("a place");
            (at.line, at.column, diagnostic.message.clone())
        }
        other => panic!("{text}\ngave {other:?}"),
    }
}

#[rstest]
#[case("excute: { run: [a] }", 1, "unknown key `excute`, did you mean `execute`?")]
#[case("strategize:\n  rnu: [a]", 3, "unknown key `rnu`; known here: run, shell, timeout, retry")]
#[case("automation: autp", 13, "unknown value `autp`, did you mean `auto`?")]
#[case("automation: full", 13, "unknown value `full`; known here: manual, review, auto")]
#[case("automation: [auto]", 13, "expected one word")]
#[case("apply: { strategy: rebase }", 20, "unknown value `rebase`; known here: merge, squash")]
#[case("apply: { land: here }", 16, "unknown value `here`; known here: target, branch")]
#[case("name: y", 1, "the key `name` is here twice")]
#[case("description: [a]", 14, "expected a text")]
#[case("description:", 12, "null is not allowed here")]
#[case("strategize: a", 13, "expected keys with values")]
#[case("strategize: { run: a }", 20, "expected a list, such as [cargo, test]")]
#[case("strategize: { run: [a, [b]] }", 24, "expected a text")]
#[case("strategize: { run: [*a] }", 21, "reference to unknown value")]
#[case("strategize: { run: [a]", 13, "unclosed bracket '{'")]
#[case("strategize: { run: [a], <<: 3 }", 29, "YAML merge value must be mapping or sequence of mappings")]
#[case("validations: [{ run: [a] }]", 17, "the key `name` is missing here")]
#[case("validations: [{ name: a, run: [a], required: yes }]", 46, "invalid boolean (true or false expected)")]
#[case("strategize: { run: [a], retry: { max_attempts: many } }", 48, "expected an integer")]
#[case("strategize: { run: [a], retry: {} }", 32, "the key `max_attempts` is missing here")]
#[case("arguments: [{ name: a, min: low }]", 29, "expected a number")]
#[case("---\nname: y", 1, "a file holds one action: one YAML document")]
fn shape(#[case] text: &str, #[case] column: usize, #[case] message: &str) {
    let (line, found, words) = mistake(&format!("{START}{text}\n"));
    assert_eq!((found, words.as_str()), (column, message));
    assert_eq!(line, 3 + text.matches('\n').count());
}

#[rstest]
#[case("", 1, 1, "the file ends before the action does")]
#[case("hello", 1, 1, "expected keys with values")]
#[case("- a\n", 1, 1, "expected keys with values")]
#[case("name: x\n", 1, 7, "the key `execute` is missing: it is required, unless there are `subplans`")]
#[case("execute: { run: [a] }\n", 1, 1, "the key `name` is missing here")]
#[case("name: x\n\texecute: 1\n", 1, 7, "while scanning a plain scalar, found a tab")]
#[case("name: system/x\nexecute: { run: [a] }\n", 1, 7, "the namespace `system` is reserved")]
#[case(
    "a: &a { b: 1 }\nname: *a\n",
    1,
    1,
    "unknown key `a`; known here: name, description, definition_of_done, automation, arguments, worktree, strategize, execute, subplans, validations, apply, env, env_from"
)]
#[case("name: x\nexecute: {}\n", 2, 10, "one of `run` and `shell` is needed here")]
#[case(
    "name: x\nworktree: &w { setup: [a] }\nexecute: *w\n",
    3,
    10,
    "unknown key `setup`; known here: run, shell, timeout, retry"
)]
fn whole_files(#[case] text: &str, #[case] line: usize, #[case] column: usize, #[case] message: &str) {
    assert_eq!(mistake(text), (line, column, message.to_owned()));
}

#[rstest]
#[case("strategize: { run: [] }", 20, "the command is empty")]
#[case("strategize: { run: ['', a] }", 21, "the first item names the program; it is empty")]
#[case("strategize: { shell: ' ' }", 22, "the script is empty")]
#[case("strategize: { run: [a], shell: b }", 32, "give either `run` or `shell`, not both")]
#[case("strategize: { timeout: 1m }", 13, "one of `run` and `shell` is needed here")]
#[case(r#"strategize: { shell: "a\0" }"#, 22, "the script contains a NUL byte")]
#[case(r#"strategize: { run: ["a\0"] }"#, 21, "a NUL byte cannot be given to a program")]
#[case("validations: [{ name: a }]", 15, "one of `run` and `shell` is needed here")]
#[case("worktree: { setup: [] }", 20, "the command is empty")]
#[case("apply: { after: [] }", 17, "the command is empty")]
#[case("apply: { message: '' }", 19, "the commit message is empty")]
#[case(
    "strategize: { run: [a], timeout: 10 }",
    34,
    "`10` is not a duration: write for example 90s, 10m or 1h30m"
)]
#[case(
    "strategize: { run: [a], timeout: soon }",
    34,
    "`soon` is not a duration: write for example 90s, 10m or 1h30m"
)]
#[case(
    "strategize: { run: [a], timeout: -3s }",
    34,
    "`-3s` is not a duration: write for example 90s, 10m or 1h30m"
)]
#[case("strategize: { run: [a], timeout: 0s }", 34, "a timeout must be more than 0 and at most 8760h")]
#[case("strategize: { run: [a], timeout: 8761h }", 34, "a timeout must be more than 0 and at most 8760h")]
#[case(
    "validations: [{ name: a, run: [a], timeout: 0s }]",
    45,
    "a timeout must be more than 0 and at most 8760h"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, backoff: 10 } }",
    60,
    "`10` is not a duration: write for example 90s, 10m or 1h30m"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, backoff: 0s } }",
    60,
    "backoff must be more than 0 and at most 1h"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, backoff: 61m } }",
    60,
    "backoff must be more than 0 and at most 1h"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, back_off: 5s } }",
    51,
    "unknown key `back_off`, did you mean `backoff`?"
)]
#[case("strategize: { run: [a], retry: { max_attempts: 0 } }", 48, "max_attempts must be between 1 and 100")]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 101 } }",
    48,
    "max_attempts must be between 1 and 100"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, on_exit: [0] } }",
    61,
    "an exit code of a failure is between 1 and 255"
)]
#[case(
    "strategize: { run: [a], retry: { max_attempts: 2, on_exit: [7, 256] } }",
    64,
    "an exit code of a failure is between 1 and 255"
)]
fn commands(#[case] text: &str, #[case] column: usize, #[case] message: &str) {
    assert_eq!(mistake(&format!("{START}{text}\n")), (3, column, message.to_owned()));
}

#[rstest]
#[case(
    "strategize: { shell: 'echo {{ a }}' }",
    22,
    "`shell` is not a template, `{{` would reach the shell as it stands: arguments are in the environment, as `$AGENTS_ARG_<NAME>`"
)]
#[case(
    "strategize: { run: [a, '{{ stratgy }}'] }",
    24,
    "`stratgy` in the template is neither an argument nor a known name, did you mean `strategy`?"
)]
#[case(
    "strategize: { run: [a, '{% if guidance %}{{ zzz }}{% endif %}'] }",
    24,
    "`zzz` in the template is neither an argument nor a known name"
)]
#[case(
    "strategize: { run: [a, '{{ strategy'] }",
    24,
    "the template cannot be rendered: syntax error: unexpected end of input, expected end of variable block"
)]
#[case("strategize: { run: [a, '{{ plan.nme }}'] }", 24, "the template cannot be rendered: undefined value")]
#[case(
    "strategize: { run: [a, '{{ strategy | shout }}'] }",
    24,
    "the template cannot be rendered: unknown filter: filter shout is unknown"
)]
#[case(
    "strategize: { run: [a, '{{ \"x\" * 99999999 }}'] }",
    24,
    "the template cannot be rendered: it takes too much work or memory"
)]
#[case(
    "strategize: { run: [a, '{{ \"a\"[0 if guidance else guidance.x.y] }}'] }",
    24,
    "the template cannot be rendered: undefined value"
)]
#[case(
    "validations: [{ name: v, run: [a, '{{ y }}'] }]",
    35,
    "`y` in the template is neither an argument nor a known name"
)]
#[case(
    "worktree: { setup: [a, '{{ y }}'] }",
    24,
    "`y` in the template is neither an argument nor a known name"
)]
#[case("apply: { after: ['{{ y }}'] }", 18, "`y` in the template is neither an argument nor a known name")]
#[case(
    "apply: { message: '{{ plam.name }}' }",
    19,
    "`plam` in the template is neither an argument nor a known name, did you mean `plan`?"
)]
#[case("apply: { message: 'in {{ project_dir }}' }", 19, "`project_dir` has no value in a commit message")]
#[case(
    "apply: { message: '{{ project_dr }}' }",
    19,
    "`project_dr` in the template is neither an argument nor a known name"
)]
#[case("apply: { message: '{{ subplans_file }}' }", 19, "`subplans_file` has no value in a commit message")]
fn templates(#[case] text: &str, #[case] column: usize, #[case] message: &str) {
    assert_eq!(mistake(&format!("{START}{text}\n")), (3, column, message.to_owned()));
}

#[rstest]
#[case(
    "name: Target",
    20,
    "`Target` is not a name of an argument: use up to 63 of a-z, 0-9 and `_`, starting with a letter"
)]
#[case(
    "name: 1st",
    20,
    "`1st` is not a name of an argument: use up to 63 of a-z, 0-9 and `_`, starting with a letter"
)]
#[case(
    "name: a-b",
    20,
    "`a-b` is not a name of an argument: use up to 63 of a-z, 0-9 and `_`, starting with a letter"
)]
#[case("name: strategy", 20, "an argument cannot be named `strategy`: templates know something else by it")]
#[case("name: n }, { name: n", 33, "there are two arguments named `n`")]
#[case("name: n, type: lst", 29, "unknown value `lst`, did you mean `list`?")]
#[case(
    "name: n, default: 1.10",
    32,
    "the default does not fit: argument `n` must be a string, not `1.1` (put it in quotes)"
)]
#[case("name: n, default: [a]", 32, "the default does not fit: argument `n` must be a string, not `a`")]
#[case(
    "name: n, type: integer, default: '1'",
    47,
    "the default does not fit: argument `n` must be an integer, not `1`"
)]
#[case(
    "name: n, type: integer, default: 18446744073709551615",
    47,
    "the number is larger than 64 bits signed"
)]
#[case(
    "name: n, type: integer, default: { a: b }",
    47,
    "expected a string, a number, a boolean or a list of strings, found map"
)]
#[case("name: n, type: float, default: .inf", 45, "value `.inf` is not a finite number")]
#[case(
    "name: n, type: integer, min: 3, default: 2",
    55,
    "the default does not fit: argument `n` must be at least 3, not 2"
)]
#[case(
    "name: n, pattern: '^a$', default: b",
    48,
    "the default does not fit: argument `n` must match `^a$`, which `b` does not"
)]
#[case("name: n, pattern: '('", 32, "the pattern does not compile: found open group without closing ')'")]
#[case("name: n, type: integer, pattern: a", 47, "only a string or a list has a pattern, not an integer")]
#[case("name: n, type: boolean, max: 3", 43, "a boolean has no least or greatest value")]
#[case("name: n, type: float, min: .nan", 41, "expected a finite number")]
#[case("name: n, type: float, min: 3, max: 2", 49, "max (2) is less than min (3)")]
#[case(
    "name: n, type: integer, min: 3, default: -2",
    55,
    "the default does not fit: argument `n` must be at least 3, not -2"
)]
fn arguments(#[case] entry: &str, #[case] column: usize, #[case] message: &str) {
    assert_eq!(mistake(&format!("{START}arguments: [{{ {entry} }}]\n")), (3, column + 1, message.to_owned()));
}

#[test]
fn an_optional_argument_is_tested_before_use() {
    let file = |template: &str| {
        format!("name: x\narguments: [{{ name: note }}]\nexecute: {{ run: [a, \"{template}\"] }}\n")
    };
    let message = "`note` in the template is an optional argument without a default: give it one, or write `{{ note | default('') }}`";
    assert_eq!(mistake(&file("{{ note }}")), (3, 21, message.to_owned()));
    for fine in ["{{ note | default('') }}", "{% if note is defined %}{{ note }}{% endif %}"] {
        assert!(parse(&file(fine), "x").is_ok(), "{fine}");
    }
}

#[rstest]
#[case("", "is not a path")]
#[case("/etc/passwd", "must be relative to the checkout")]
#[case("../secret", "must not contain `..`")]
#[case("a/../../b", "must not contain `..`")]
#[case(".git/config", "must not lead into `.git`")]
#[case("sub/.GIT/hooks", "must not lead into `.git`")]
#[case("a\\\\b", "is not a path")]
fn copied_paths(#[case] path: &str, #[case] rule: &str) {
    let text = format!("{START}worktree: {{ copy: [ok, \"{path}\"] }}\n");
    let message = format!("the path `{}` {rule}", path.replace("\\\\", "\\"));
    assert_eq!(mistake(&text), (3, 24, message));
}

#[rstest]
#[case(
    "1A",
    "is not a name of an environment variable: use A-Z, a-z, 0-9 and `_`, not starting with a digit"
)]
#[case(
    "A B",
    "is not a name of an environment variable: use A-Z, a-z, 0-9 and `_`, not starting with a digit"
)]
#[case("AGENTS_X", "cannot be set: AGENTS_ and GIT_ variables are not an action's")]
#[case("GIT_DIR", "cannot be set: AGENTS_ and GIT_ variables are not an action's")]
fn variables(#[case] name: &str, #[case] rule: &str) {
    let message = format!("`{name}` {rule}");
    assert_eq!(mistake(&format!("{START}env_from: ['{name}']\n")), (3, 12, message.clone()));
    assert_eq!(mistake(&format!("{START}env:\n  '{name}':\n    1\n")), (5, 5, message));
}

#[test]
fn names_are_used_once() {
    let text = format!("{START}env_from: [A, A]\n");
    assert_eq!(mistake(&text), (3, 15, "there are two variables named `A`".to_owned()));
    let text = format!("{START}validations: [{{ name: v, run: [a] }}, {{ name: v, run: [a] }}]\n");
    assert_eq!(mistake(&text), (3, 46, "there are two validations named `v`".to_owned()));
    let (_, column, message) = mistake(&format!("{START}validations: [{{ name: a/b, run: [a] }}]\n"));
    assert!(column == 23 && message.starts_with("`a/b` is not a name of a validation: "), "{message}");
}

#[test]
fn values_of_variables_have_no_nul_byte() {
    let text = format!("{START}env: {{ A: \"a\\0\" }}\n");
    assert_eq!(mistake(&text), (3, 11, "the value of `A` contains a NUL byte".to_owned()));
}

#[test]
fn there_are_few_entries() {
    let text = format!("{START}env_from:\n{}", "- A\n".repeat(65));
    assert_eq!(mistake(&text), (68, 3, "more than 64 variables".to_owned()));
}

#[test]
fn the_place_is_shown_as_people_know_it() {
    let error =
        parse("name: fix\n\nvalidations:\n  - { name: a,\trnu: [b] }\n", "fix.yaml").expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "fix.yaml:4:16: unknown key `rnu`; known here: name, run, shell, required, timeout\
         \n  |\
         \n4 |   - { name: a, rnu: [b] }\
         \n  |                ^"
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let text = format!(
        "name: x\ndescription: '{}'\nexecute: {{ run: ['{}', '{{{{ y }}}}'] }}\n",
        "d".repeat(9),
        "ä".repeat(500)
    );
    let error = parse(&text, "x").expect_err("unknown name").to_string();
    let lines: Vec<_> = error.lines().collect();
    let caret = lines[3].chars().position(|c| c == '^').expect("a caret");
    assert_eq!(lines[2].chars().skip(caret).take(9).collect::<String>(), "'{{ y }}'");
    assert!(lines.iter().all(|line| line.chars().count() <= 120), "{error}");
}

#[test]
fn a_message_is_bounded_and_free_of_control_characters() {
    let text = format!("name: \"\\e[2J{}\"\nexecute: {{ run: [a] }}\n", "x".repeat(1000));
    let error = parse(&text, "x").expect_err("no name").to_string();
    assert!(error.len() < 1200 && !error.contains('\u{1b}'), "{error}");
    let error = parse(&format!("{}: 1\n", "k".repeat(900)), "x").expect_err("unknown").to_string();
    assert!(error.len() < 1200, "{error}");
    let text = format!("{START}validations: [{{ name: '{}', run: [a] }}]\n", "ä".repeat(1000));
    let (_, _, message) = mistake(&text);
    assert!(message.ends_with('…') && message.chars().count() == 501, "{message}");
}

#[test]
fn a_mistake_without_a_place_names_the_file() {
    let diagnostic = Diagnostic::new("x.yaml", "name: x\n", &yaml::Fault::new(None, "something is wrong"));
    assert_eq!(diagnostic.to_string(), "x.yaml: something is wrong");
}
