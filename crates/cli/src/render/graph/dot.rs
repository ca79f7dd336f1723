//! A digraph for Graphviz: one rank a wave, arrows from what is needed to who needs it.

use super::{Drawing, NOTHING, Node, number};
use crate::render::table::lines;

pub(super) fn draw(drawing: &Drawing) -> String {
    let label = format!("  label={}", quoted(&[&drawing.title]));
    let mut out: Vec<String> = vec!["digraph {".to_owned(), label];
    out.extend(["  labelloc=t", "  rankdir=LR", "  node [shape=box]"].map(str::to_owned));
    if drawing.nodes.is_empty() {
        out.push(format!("  none [shape=plaintext, label={}]", quoted(&[NOTHING])));
    }
    for (wave, nodes) in drawing.waves() {
        out.extend([format!("  subgraph wave{} {{", number(wave)), "    rank=same".to_owned()]);
        out.extend(nodes.into_iter().map(|index| node_line(index, &drawing.nodes[index])));
        out.push("  }".to_owned());
    }
    out.extend(drawing.edges().map(|(from, to)| format!("  n{from} -> n{to}")));
    out.push("}".to_owned());
    lines(out)
}

fn node_line(index: usize, node: &Node) -> String {
    let label = quoted(&[&node.name, &node.state]);
    let tooltip = node.id.as_ref().map(|id| format!(", tooltip={}", quoted(&[id])));
    format!("    n{index} [label={label}{}]", tooltip.unwrap_or_default())
}

/// A quoted string of these lines. A backslash would begin an escape, as `\N` for the node's name,
/// and an ampersand an entity.
fn quoted(lines: &[&str]) -> String {
    let escaped = |line: &&str| line.replace('&', "&amp;").replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", lines.iter().map(escaped).collect::<Vec<_>>().join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hostile, small, titled};
    use super::*;

    #[test]
    fn each_wave_is_a_rank() {
        let expected = r#"digraph {
  label="Rename the API"
  labelloc=t
  rankdir=LR
  node [shape=box]
  subgraph wave1 {
    rank=same
    n0 [label="schema\napply/applied", tooltip="01ARZ3NDEKTSV4RRFFQ69G5FAV"]
    n1 [label="tools\nexecute/processing"]
  }
  subgraph wave2 {
    rank=same
    n2 [label="api\nstrategize/queued"]
  }
  subgraph wave3 {
    rank=same
    n3 [label="docs\ncancelled"]
  }
  n0 -> n2
  n1 -> n2
  n0 -> n3
  n2 -> n3
}
"#;
        assert_eq!(draw(&small()), expected);
    }

    #[test]
    fn without_subplans_it_is_a_digraph_that_says_so() {
        assert!(
            draw(&titled("Lint", vec![])).contains("  none [shape=plaintext, label=\"no subplans\"]\n}\n")
        );
    }

    #[test]
    fn no_text_leaves_its_string() {
        assert_eq!(quoted(&["a\"b\\N&lt;", "c"]), r#""a\"b\\N&amp;lt;\nc""#);
        let bare =
            super::super::draw(&hostile(), super::super::Form::Dot).replace("\\\\", "").replace("\\\"", "");
        assert!(bare.lines().all(|line| line.matches('"').count() % 2 == 0), "{bare}");
    }
}
