//! Every example, and every block of YAML in the reference, is an action.

use std::path::PathBuf;
use std::process::Command;

use agents_application::arguments::env_name;
use agents_domain::action::Program;

use super::super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_example_is_valid() {
    let files = std::fs::read_dir(root().join("examples/actions")).expect("the folder");
    let mut count = 0;
    for file in files {
        let path = file.expect("an entry").path();
        let (action, _) = read(&path).unwrap_or_else(|error| panic!("{error}"));
        let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert_eq!(action.name.short(), stem, "the file is named after the action");
        assert!(!action.description.is_empty() && !action.definition_of_done.is_empty(), "{stem}");
        count += 1;
    }
    assert!(count >= 4, "only {count} examples");
}

#[test]
fn the_example_without_a_key_does_what_it_says() {
    let (action, _) = read(&root().join("examples/actions/fix.yaml")).expect("valid");
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("a b.md"), "teh cat, teh dog\n").expect("written");
    std::fs::write(directory.path().join("c.md"), "teh end\n").expect("written");
    let pairs = ["from=teh", "to=the", "files=a b.md,c.md"];
    let arguments = agents_application::arguments::parse(&action.arguments, &pairs).expect("fits");
    let succeeds = |program: &Program| {
        let Program::Shell(script) = program else { panic!("a script is expected") };
        let variables = arguments.iter().map(|(name, value)| (env_name(name), value.to_string()));
        let mut command = Command::new("sh");
        command.args(["-c", script]).envs(variables).current_dir(directory.path());
        command.output().expect("started").status.success()
    };
    assert!(!succeeds(&action.validations[0].program), "the old text is still there");
    assert!(succeeds(&action.execute.expect("there").program));
    assert!(succeeds(&action.validations[0].program));
    let text = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("there");
    assert_eq!((text("a b.md"), text("c.md")), ("the cat, the dog\n".into(), "the end\n".into()));
    assert_eq!(std::fs::read_dir(directory.path()).expect("there").count(), 2, "nothing is left over");
}

/// Line and text of each fenced block of YAML.
fn blocks(markdown: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open = None;
    for (number, line) in markdown.lines().enumerate() {
        match (&mut open, line.trim_end()) {
            (None, "```yaml") => open = Some((number + 2, String::new())),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some((_, text)), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

#[test]
fn every_block_of_the_reference_is_valid() {
    let path = root().join("docs/reference/actions.md");
    let markdown = std::fs::read_to_string(&path).expect("the reference");
    let blocks = blocks(&markdown);
    assert!(blocks.len() >= 3, "only {} blocks", blocks.len());
    for (line, text) in blocks {
        parse(&text, &format!("actions.md, block at line {line}")).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn the_reference_names_every_key() {
    let markdown = std::fs::read_to_string(root().join("docs/reference/actions.md")).expect("the reference");
    let schema = schema();
    let definitions = schema["$defs"].as_object().expect("an object").values();
    let keys: Vec<_> = std::iter::once(&schema)
        .chain(definitions)
        .filter_map(|definition| definition["properties"].as_object())
        .flat_map(|properties| properties.keys())
        .collect();
    assert!(keys.len() > 30, "{keys:?}");
    for key in keys {
        assert!(markdown.contains(&format!("`{key}`")), "the reference says nothing of `{key}`");
    }
    for (name, _) in crate::template::NAMES {
        assert!(markdown.contains(&format!("`{name}`")) || name == "plan", "nothing of the name `{name}`");
    }
}
