//! What templates see, what they must not do, and what bounds them.

use super::*;
use rstest::rstest;

fn context() -> Context {
    let list = ArgumentValue::List(vec!["a".into(), "b c".into()]);
    Context {
        arguments: [
            ("target".to_owned(), ArgumentValue::String("src/<&>".into())),
            ("depth".to_owned(), ArgumentValue::Integer(3)),
            ("ratio".to_owned(), ArgumentValue::Float(0.5)),
            ("dry".to_owned(), ArgumentValue::Boolean(true)),
            ("files".to_owned(), list),
        ]
        .into(),
        plan_name: "tidy".into(),
        description: "make it tidy".into(),
        definition_of_done: "it is tidy".into(),
        strategy: "sweep".into(),
        guidance: "mind the cat".into(),
        env: NAMES
            .iter()
            .filter_map(|(name, variable)| Some((variable.as_ref()?.to_string(), format!("/tmp/{name}"))))
            .collect(),
        env_from: Vec::new(),
    }
}

fn run(item: &str) -> Result<String, RunError> {
    let program = Program::Run(vec![item.to_owned()]);
    render(&program, &context(), "execute").map(|mut vector| vector.remove(0))
}

fn reason(item: &str) -> String {
    match run(item) {
        Err(RunError::Template { purpose, reason }) => {
            assert_eq!(purpose, "execute");
            reason
        }
        other => panic!("{item} gave {other:?}"),
    }
}

#[rstest]
#[case("{{ target }}", "src/<&>")]
#[case("{{ depth + 1 }} {{ ratio }} {{ dry }}", "4 0.5 true")]
#[case("{{ files | join(' ') }} {{ files | length }}", "a b c 2")]
#[case("{% for file in files %}-f {{ file }};{% endfor %}", "-f a;-f b c;")]
#[case("{{ plan.name }}: {{ description }}; {{ definition_of_done }}", "tidy: make it tidy; it is tidy")]
#[case("{{ strategy }}{% if guidance %} ({{ guidance }}){% endif %}", "sweep (mind the cat)")]
#[case(
    "{{ project_dir }} {{ strategy_file }} {{ guidance_file }}",
    "/tmp/project_dir /tmp/strategy_file /tmp/guidance_file"
)]
#[case(
    "{{ artifacts_dir }} {{ events_file }} {{ subplans_file }}",
    "/tmp/artifacts_dir /tmp/events_file /tmp/subplans_file"
)]
#[case("{{ nothing | default('x') }}{% for i in range(3) %}{{ i }}{% endfor %}", "x012")]
#[case("kept\n", "kept\n")]
#[case("", "")]
fn names_are_typed_and_nothing_is_escaped(#[case] template: &str, #[case] text: &str) {
    assert_eq!(run(template), Ok(text.to_owned()));
}

#[rstest]
#[case("{{ nothing }}", "`nothing` has no value")]
#[case("{{ nothing }}{{ void.x }}", "`nothing`, `void` has no value")]
#[case("{{ plan.nme }}", "undefined value")]
#[case("{{ target", "syntax error: unexpected end of input, expected end of variable block")]
#[case("a\n{% if %}", "syntax error: unexpected end of block (line 2 of the template)")]
#[case("{{ target | shout }}", "unknown filter: filter shout is unknown")]
#[case("{% include 'x' %}", "syntax error: unknown statement include")]
#[case("{{ debug() }}", "unknown function: debug is unknown")]
fn broken_templates_say_what_is_wrong(#[case] template: &str, #[case] expected: &str) {
    assert_eq!(reason(template), expected);
}

#[rstest]
#[case::endless("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}".to_owned())]
#[case::doubling(format!("{{% set x = 'aaaaaaaa' %}}{}{{{{ x }}}}", "{% set x = x ~ x %}".repeat(60)))]
#[case::repeating("{{ 'a' * 99999999 }}".to_owned())]
#[case::quoting(format!("{{{{ {}'\"'{} }}}}", "[".repeat(40), "]~''".repeat(40)))]
#[case::replacing(format!("{{{{ 'aaaa'{} }}}}", "|replace('a', 'aaaa')".repeat(40)))]
#[case::indenting("{{ 'a\nb' | indent(2000000000) }}".to_owned())]
fn no_template_takes_unbounded_work(#[case] template: String) {
    assert_eq!(reason(&template), "it takes too much work or memory");
}

#[test]
fn the_result_and_the_source_are_bounded() {
    assert_eq!(reason(&"x".repeat(MAX_TEMPLATE + 1)), "it is longer than 65536 bytes");
    let item = "x".repeat(MAX_TEMPLATE);
    let fits = Program::Run(vec![item.clone(); 16]);
    assert_eq!(render(&fits, &context(), "execute").map(|vector| vector.len()), Ok(16));
    let large = Program::Run(vec![item; 17]);
    let error = render(&large, &context(), "execute").expect_err("too much in all");
    assert!(error.to_string().ends_with("the result is larger than 1048576 bytes"), "{error}");
}

#[test]
fn the_items_of_one_command_share_one_budget() {
    let work = "{% for a in range(9999) %}{% endfor %}".to_owned();
    assert!(render(&Program::Run(vec![work.clone()]), &context(), "execute").is_ok());
    assert!(render(&Program::Run(vec![work; 1000]), &context(), "execute").is_err());
}

#[test]
fn a_value_is_data_and_never_a_template() {
    let mut context = context();
    context.strategy = "{{ 7 * 7 }}".into();
    let program = Program::Run(vec!["{{ strategy }}".into()]);
    assert_eq!(render(&program, &context, "execute"), Ok(vec!["{{ 7 * 7 }}".to_owned()]));
}

#[test]
fn a_script_for_the_shell_is_not_rendered() {
    let program = Program::Shell("echo {{ target }} $AGENTS_ARG_TARGET".into());
    let vector = render(&program, &Context::default(), "execute").expect("not a template");
    assert_eq!(vector, ["sh", "-c", "echo {{ target }} $AGENTS_ARG_TARGET"]);
}

#[test]
fn a_file_without_its_variable_has_no_value_and_the_last_setting_wins() {
    let program = Program::Run(vec!["{{ events_file }}".into()]);
    let error = render(&program, &Context::default(), "execute").expect_err("not set");
    assert!(error.to_string().ends_with("`events_file` has no value"), "{error}");
    let mut twice = context();
    twice.env.push(("AGENTS_EVENTS_FILE".into(), "/second".into()));
    assert_eq!(render(&program, &twice, "execute"), Ok(vec!["/second".to_owned()]));
}

#[test]
fn an_argument_cannot_take_a_name_of_ours() {
    let mut context = context();
    context.arguments.insert("strategy".into(), ArgumentValue::String("other".into()));
    assert_eq!(
        render(&Program::Run(vec!["{{ strategy }}".into()]), &context, "x"),
        Ok(vec!["sweep".to_owned()])
    );
}

#[test]
fn messages_are_rendered_too() {
    assert_eq!(
        render_message("{{ plan.name }}: {{ description }}\n", &context()),
        Ok("tidy: make it tidy\n".into())
    );
    let error = render_message("{{ typo }}", &context()).expect_err("unknown");
    assert_eq!(error.to_string(), "the template of apply.message cannot be rendered: `typo` has no value");
}
