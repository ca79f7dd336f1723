//! Files made to hurt: each gets its error within a second of CPU time and 64 MiB.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use super::super::*;
use super::WHOLE;

const MEASURED: &str = "action_file::tests::hostile::measured_in_a_process_of_its_own";

/// An alias bomb: each level names the one before `width` times.
fn bomb(levels: usize, width: usize) -> String {
    let mut text = "name: x\nexecute:\n  run:\n  - &a0 [lol]\n".to_owned();
    for level in 1..levels {
        let items = vec![format!("*a{}", level - 1); width].join(", ");
        writeln!(text, "  - &a{level} [{items}]").expect("a string takes it");
    }
    text
}

/// Every expansion has the type that its place asks for, so only the budget ends it.
fn typed_bomb() -> String {
    let (items, uses) = ("a, ".repeat(1000), "*v, ".repeat(60));
    format!("name: x\nexecute: {{ run: &r [{items}] }}\nvalidations: [&v {{ name: v, run: *r }}, {uses}]\n")
}

/// Texts of up to the greatest size, none of them an action. A last line that breaks the shape
/// (`zzz`) ends those that only the parser should suffer from, one that breaks a rule
/// (`env_from: [1]`) those that all checks should.
fn hostile() -> Vec<(&'static str, String)> {
    let start = "name: x\nexecute: { run: [a] }\n";
    let fill = |unit: &str| unit.repeat((MAX_FILE - 4096) / unit.len());
    vec![
        ("bomb", bomb(10, 10)),
        ("wide bomb", bomb(3, 2000)),
        ("a bomb of the right types", typed_bomb()),
        ("aliases of a long text", {
            format!(
                "name: x\ndescription: &d '{}'\nexecute: {{ run: [{}] }}\n",
                "d".repeat(900_000),
                "*d, ".repeat(900)
            )
        }),
        (
            "merge keys",
            format!("{start}env: &e {{ A: b }}\nstrategize: {{ {} }}\n", "<<: *e, ".repeat(9_000)),
        ),
        (
            "anchors in anchors",
            format!(
                "{start}arguments: {}",
                (0..60_000).fold(String::new(), |text, n| text + &format!("&a{n} ["))
            ),
        ),
        ("flow nesting", format!("{start}arguments: {}", fill("["))),
        ("flow mapping nesting", format!("{start}arguments: {}", fill("{a: "))),
        ("block nesting", format!("{start}arguments:\n{}", fill("- "))),
        (
            "indented nesting",
            (0..1400).fold(start.to_owned(), |text, depth| text + &" ".repeat(depth) + "a:\n"),
        ),
        ("explicit keys", format!("{start}{}", fill("? "))),
        ("many nodes", format!("{start}env_from: [{}]", fill("A,"))),
        ("many documents", format!("{start}{}", fill("---\n"))),
        ("many keys", (0..60_000).fold(format!("{start}env:\n"), |text, n| text + &format!("  K{n}: v\n"))),
        ("one long line", format!("{start}description: {}\nzzz: 1\n", fill("x"))),
        ("one long key", format!("{start}{}: 1", fill("k"))),
        ("open quote", format!("{start}description: \"{}", fill("\\n"))),
        ("tabs", format!("{start}{}\nzzz: 1\n", fill("\t"))),
        ("comments", format!("{start}{}\nzzz: 1\n", fill("# c\n"))),
        ("byte order marks", fill("\u{feff}")),
        ("NUL bytes", fill("\0")),
        ("tags", format!("{start}description: {}", fill("!a "))),
        ("templates of blocks", format!("{start}strategize: {{ run: ['{}'] }}", "{% if 1 %}".repeat(6_000))),
        ("templates of brackets", format!("{start}strategize: {{ run: ['{{{{ {}']}}", "(".repeat(60_000))),
        ("endless templates", {
            let item =
                "\"{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}\",";
            format!("{start}strategize: {{ run: [{}] }}", item.repeat(5_000))
        }),
        ("many templates", {
            format!("{start}strategize: {{ run: [{}] }}\nenv_from: [1]\n", "'{{ strategy }}',".repeat(15_000))
        }),
        ("a pattern and its values", {
            let value = "a".repeat(4_000);
            let entry =
                |n: usize| format!("- {{ name: a{n}, pattern: '^(a?){{80}}a*$', default: '{value}' }}\n");
            format!("{start}arguments:\n{}env_from: [1]\n", (0..64).map(entry).collect::<String>())
        }),
        (
            "a pattern that explodes",
            format!("{start}arguments: [{{ name: a, pattern: '((a{{99}}){{99}}){{99}}' }}]\n"),
        ),
        (
            "a pattern that nests",
            format!("{start}arguments: [{{ name: a, pattern: '{}' }}]\n", "(".repeat(500_000)),
        ),
        ("many subplans", format!("name: x\nsubplans: {{ items: [{}] }}\n", "{},".repeat(100_000))),
        ("many subplans with names", {
            let item = |n: usize| format!("- {{name: n{n}, action: a}}\n");
            format!("name: x\nsubplans:\n  items:\n{}", (0..7_000).map(item).collect::<String>())
        }),
        ("subplans that depend on nobody", {
            let (item, needs) = (|n: usize| format!("{{name: n{n}, action: a}},"), ["zz"; 30_000].join(","));
            let items: String = (0..900).map(item).collect();
            let last = format!("{{name: last, action: a, depends_on: [{needs}]}}");
            format!("name: x\nsubplans: {{ mode: dependency, items: [{items}{last}] }}\n")
        }),
        ("too large", " ".repeat(MAX_FILE + 1)),
    ]
}

#[test]
fn every_hostile_file_gets_its_error() {
    for (name, text) in hostile() {
        let error = parse(&text, "x").map(drop).expect_err(name).to_string();
        assert!(error.len() < 2000, "{name}: {error}");
    }
}

#[test]
fn bombs_end_at_the_budget() {
    let long = "d".repeat(900_000);
    let bombs = [
        format!("name: x\ndescription: &d '{long}'\nexecute: {{ run: [*d, *d, *d, *d] }}\n"),
        format!("name: x\nexecute: {{ run: [&a a, {}] }}\n", "*a, ".repeat(1001)),
        typed_bomb(),
    ];
    for text in bombs {
        let error = parse(&text, "x").expect_err("too much").to_string();
        assert!(error.contains("too large or too deeply nested for an action"), "{error}");
    }
}

#[test]
fn hostile_files_cost_less_than_a_second_and_64_mib() {
    let this = std::env::current_exe().expect("the test itself");
    let output =
        Command::new(this).args(["--exact", MEASURED, "--ignored", "--nocapture"]).output().expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The peak of memory belongs to a process, so the process must do nothing else.
#[test]
#[ignore = "run by hostile_files_cost_less_than_a_second_and_64_mib"]
fn measured_in_a_process_of_its_own() {
    let texts = hostile();
    let before = peak_kib();
    for (name, text) in &texts {
        let end = cpu() + Duration::from_secs(1);
        assert!(parse(text, "x").is_err(), "{name}");
        assert!(cpu() < end, "{name} takes more than a second");
    }
    assert!(peak_kib() - before < 64 * 1024, "{} KiB", peak_kib() - before);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// CPU time, so that a busy machine changes nothing.
fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("not negative")
}

#[test]
fn a_file_of_100_mb_is_refused_after_the_first() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(WHOLE.as_bytes()).expect("written");
    file.as_file().set_len(100_000_000).expect("sparse");
    let error = read(file.path()).expect_err("too large");
    assert_eq!(
        error,
        ActionFileError::TooLarge { origin: file.path().display().to_string(), limit: MAX_FILE }
    );
    assert!(error.to_string().ends_with("the file is larger than 1048576 bytes"), "{error}");
}

#[test]
fn an_endless_file_is_refused_too() {
    assert!(matches!(read(Path::new("/dev/zero")), Err(ActionFileError::TooLarge { .. })));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,400}") {
        let _ = parse(&text, "x").map_err(|error| error.to_string());
    }

    #[test]
    fn no_change_of_an_action_makes_it_panic(at in 0..WHOLE.len(), cut in 0..40_usize, put in "[\\[\\]{}:,&*'\"|>#!%\\- \\n\\tä\\x00a-c0-9]{0,8}") {
        let start = WHOLE.floor_char_boundary(at);
        let end = WHOLE.floor_char_boundary((at + cut).min(WHOLE.len()));
        let text = format!("{}{put}{}", &WHOLE[..start], &WHOLE[end..]);
        let _ = parse(&text, "x").map_err(|error| error.to_string());
    }

    #[test]
    fn no_template_makes_it_panic(template in "[{}%#|()\\[\\].,:'\"+*~ a-c0-9-]{0,60}") {
        let text = format!("name: x\nexecute: {{ run: [a, {}] }}\n", serde_json::Value::from(template));
        let _ = parse(&text, "x").map_err(|error| error.to_string());
    }
}
