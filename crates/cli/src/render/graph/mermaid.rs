//! A flowchart for Mermaid: one subgraph a wave, arrows from what is needed to who needs it.
//!
//! Nodes are called by their places, `n0`, `n1`, …: names could be words of the language. In labels
//! whatever is not plainly text is written as the entity of its code point.

use super::{Drawing, NOTHING, Node, heading, number};
use crate::render::table::lines;

pub(super) fn draw(drawing: &Drawing) -> String {
    let title = format!("title: {}", quoted(&drawing.title));
    let mut out = vec!["---".to_owned(), title, "---".to_owned(), "flowchart LR".to_owned()];
    if drawing.nodes.is_empty() {
        out.push(format!("  none[\"{NOTHING}\"]"));
    }
    for (wave, nodes) in drawing.waves() {
        out.push(format!("  subgraph wave{}[\"{}\"]", number(wave), heading(wave)));
        let named = |index: usize| (index, &drawing.nodes[index]);
        let line = |(index, node): (usize, &Node)| {
            format!("    n{index}[\"{}<br/>{}\"]", label(&node.name), label(&node.state))
        };
        out.extend(nodes.into_iter().map(named).map(line));
        out.push("  end".to_owned());
    }
    out.extend(drawing.edges().map(|(from, to)| format!("  n{from} --> n{to}")));
    lines(out)
}

/// The title is YAML, in which a string of JSON is one, too.
fn quoted(title: &str) -> String {
    serde_json::Value::from(title).to_string()
}

fn label(text: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | ',' | ':');
    text.chars().map(|c| if safe(c) { c.to_string() } else { format!("#{};", u32::from(c)) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hostile, small, titled};
    use super::*;

    #[test]
    fn each_wave_is_a_subgraph() {
        let expected = "\
---
title: \"Rename the API\"
---
flowchart LR
  subgraph wave1[\"wave 1\"]
    n0[\"schema<br/>apply/applied\"]
    n1[\"tools<br/>execute/processing\"]
  end
  subgraph wave2[\"wave 2\"]
    n2[\"api<br/>strategize/queued\"]
  end
  subgraph wave3[\"wave 3\"]
    n3[\"docs<br/>cancelled\"]
  end
  n0 --> n2
  n1 --> n2
  n0 --> n3
  n2 --> n3
";
        assert_eq!(draw(&small()), expected);
    }

    #[test]
    fn without_subplans_it_is_a_flowchart_that_says_so() {
        let expected = "---\ntitle: \"Lint\"\n---\nflowchart LR\n  none[\"no subplans\"]\n";
        assert_eq!(draw(&titled("Lint", vec![])), expected);
    }

    #[test]
    fn no_text_leaves_its_label() {
        let text = super::super::draw(&hostile(), super::super::Form::Mermaid);
        let line = text.lines().find(|line| line.contains("n0[")).expect("a node");
        let inner =
            line.trim().strip_prefix("n0[\"").and_then(|rest| rest.strip_suffix("\"]")).expect("a label");
        let (name, state) = inner.split_once("<br/>").expect("two lines");
        assert!(name == state && name.starts_with("a#34;b#39;#60;i#62;#38;amp#59;#93;#92;#59;#35;#37;#37;"));
        assert!(!name.contains(['"', '<', '>', '&', ']', '%', '`']), "{name}");
        let title = text.lines().nth(1).expect("a title").strip_prefix("title: ").expect("a title");
        assert_eq!(
            serde_json::from_str::<String>(title).expect("quoted"),
            crate::render::clean(&hostile().title)
        );
    }
}
