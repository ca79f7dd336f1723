//! The actions of the demo: a site, and the parts that it is made of.
//!
//! `header` and `footer` wait for each other to have begun, so that both start from the same menu
//! whatever the machine is doing; `billing` needs a file that is not there.

use crate::failure::Failure;

use super::super::scene::Scene;

/// Where `billing` looks for its rates, below the demo's directory.
pub(super) const RATES: &str = "rates.txt";
/// The file that `header` and `footer` both write, and what it comes to.
pub(super) const MENU: (&str, &str) = ("menu.txt", "home, products, contact\n");

const SITE: &str = r"name: local/site
description: Build the site
subplans:
  mode: dependency
  max_parallel: 10
  max_retries: 1
  items:
    - { name: schema, action: part, args: { part: schema } }
    - { name: api, action: part, args: { part: api }, depends_on: [schema] }
    - { name: web, action: part, args: { part: web }, depends_on: [api] }
    - { name: docs, action: part, args: { part: docs }, depends_on: [api] }
    - { name: search, action: part, args: { part: search }, depends_on: [schema] }
    - { name: billing, action: billing, depends_on: [schema] }
    - { name: invoices, action: part, args: { part: invoices }, depends_on: [billing] }
    - { name: theme, action: part, args: { part: theme } }
    - { name: header, action: menu, args: { part: header, entry: products }, depends_on: [theme] }
    - { name: footer, action: menu, args: { part: footer, entry: contact }, depends_on: [theme] }
execute:
  shell: cat parts/*.txt > site.txt
";

const PART: &str = r#"name: local/part
description: One part of the site
arguments:
  - { name: part, type: string, required: true }
execute:
  shell: |
    mkdir -p parts && echo "$AGENTS_ARG_PART" > "parts/$AGENTS_ARG_PART.txt"
    sleep 0.2
"#;

const BILLING: &str = r#"name: local/billing
description: What it costs
env: { DEMO: @ }
execute:
  shell: |
    [ -e "$DEMO/rates.txt" ] || { echo "there are no rates" >&2; exit 1; }
    mkdir -p parts && cp "$DEMO/rates.txt" parts/billing.txt
"#;

const MENU_ENTRY: &str = r#"name: local/menu
description: An entry of the menu
arguments:
  - { name: part, type: string, required: true }
  - { name: entry, type: string, required: true }
env: { DEMO: @ }
execute:
  shell: |
    touch "$DEMO/$AGENTS_ARG_PART.began"
    for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      [ -e "$DEMO/header.began" ] && [ -e "$DEMO/footer.began" ] && break
      sleep 0.5
    done
    echo "home, $AGENTS_ARG_ENTRY" > menu.txt
"#;

/// Registers them, and puts the menu into the repository.
pub(super) fn add(scene: &Scene) -> Result<(), Failure> {
    scene.write(&scene.repository.join(MENU.0), "home\n")?;
    scene.git(&["add", "."], &scene.repository)?;
    scene.git(&["commit", "-q", "-m", "a menu"], &scene.repository)?;
    // What is valid JSON is valid YAML.
    let root = serde_json::Value::from(scene.root.display().to_string()).to_string();
    for (name, text) in [("part", PART), ("billing", BILLING), ("menu", MENU_ENTRY), ("site", SITE)] {
        scene.add(name, &text.replace("DEMO: @", &format!("DEMO: {root}")))?;
    }
    Ok(())
}
