//! Waves as blocks of lines: one line a subplan, with what it depends on.
//!
//! Names, not drawn lines: they stay readable and exact with a hundred subplans, and in any window.
//! A line has at most [`COLUMNS`] columns, unless a single name or state is longer than that. What
//! is ours is plain ASCII.

use super::{Drawing, NOTHING, Node, heading};
use crate::render::table::lines;

/// The longest line.
const COLUMNS: usize = 80;
/// Names longer than this do not push the states of others to the right.
const LONGEST_ALIGNED: usize = 32;
const ARROW: &str = "<- ";

pub(super) fn draw(drawing: &Drawing) -> String {
    let mut out = wrapped("", drawing.title.split(' '));
    if drawing.nodes.is_empty() {
        out.push(NOTHING.to_owned());
    }
    let columns = Columns::of(&drawing.nodes);
    for (wave, nodes) in drawing.waves() {
        out.extend([String::new(), heading(wave)]);
        out.extend(nodes.into_iter().flat_map(|node| columns.lines(drawing, &drawing.nodes[node])));
    }
    lines(out)
}

/// Where states and dependencies begin, as far as there is room.
struct Columns {
    name: usize,
    state: usize,
}

impl Columns {
    fn of(nodes: &[Node]) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let names = &mut nodes.iter().map(|node| width(&node.name)).filter(|name| *name <= LONGEST_ALIGNED);
        let states = &mut nodes.iter().map(|node| width(&node.state));
        Self { name: widest(names), state: widest(states) }
    }

    /// One node: on one line, if there is room.
    fn lines(&self, drawing: &Drawing, node: &Node) -> Vec<String> {
        let (name, state) = (self.name, self.state);
        let head = format!("  {:name$}  {:state$}", node.name, node.state);
        let needed = needed(drawing, node);
        let arrow = if needed.is_empty() { String::new() } else { format!("  {ARROW}{}", needed.join(" ")) };
        let whole = (head.clone() + &arrow).trim_end().to_owned();
        if width(&whole) <= COLUMNS {
            return vec![whole];
        }
        let mut out = match head.trim_end() {
            head if width(head) <= COLUMNS => vec![head.to_owned()],
            _ => vec![format!("  {}", node.name), format!("    {}", node.state)],
        };
        out.extend(wrapped(&format!("    {ARROW}"), needed.iter().map(String::as_str)));
        out
    }
}

/// The names of what it depends on, a comma after each but the last.
fn needed(drawing: &Drawing, node: &Node) -> Vec<String> {
    let last = node.depends_on.len().saturating_sub(1);
    let named = |(place, index): (usize, &usize)| {
        let comma = if place < last { "," } else { "" };
        format!("{}{comma}", drawing.nodes[*index].name)
    };
    node.depends_on.iter().enumerate().map(named).collect()
}

/// Words on as many lines as they need, those after the first below the first word.
fn wrapped<'a>(start: &str, words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= COLUMNS => line.extend([" ", word]),
            Some(_) => lines.push(" ".repeat(width(start)) + word),
            None => lines.push(start.to_owned() + word),
        }
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{hostile, large, node, small, titled};
    use super::*;

    #[test]
    fn each_wave_is_a_block_and_each_node_says_what_it_depends_on() {
        let expected = "\
Rename the API

wave 1
  schema  apply/applied
  tools   execute/processing

wave 2
  api     strategize/queued   <- schema, tools

wave 3
  docs    cancelled           <- schema, api
";
        assert_eq!(draw(&small()), expected);
        assert!(draw(&small()).is_ascii());
    }

    #[test]
    fn without_subplans_it_says_so() {
        assert_eq!(draw(&titled("Lint", vec![])), "Lint\nno subplans\n");
    }

    /// What the text says: each name with the names it depends on.
    fn read(text: &str) -> Vec<(String, Vec<String>)> {
        let mut nodes: Vec<(String, Vec<String>)> = Vec::new();
        let body = text.lines().skip_while(|line| !line.starts_with("wave"));
        for line in body.filter(|line| line.starts_with(' ')) {
            let (head, needed) = line.split_once("<- ").unwrap_or((line, ""));
            if !line.starts_with("   ") {
                nodes.push((head.split_whitespace().next().expect("a name").to_owned(), vec![]));
            }
            let needed = if line.starts_with("       ") { line } else { needed };
            let names = needed.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned);
            nodes.last_mut().expect("a node").1.extend(names);
        }
        nodes
    }

    fn meant(drawing: &Drawing) -> Vec<(String, Vec<String>)> {
        let name = |index: &usize| drawing.nodes[*index].name.clone();
        let of = |node: &Node| (node.name.clone(), node.depends_on.iter().map(name).collect());
        drawing.nodes.iter().map(of).collect()
    }

    #[test]
    fn a_hundred_nodes_stay_exact_within_eighty_columns() {
        let mut many = large(99);
        let all: Vec<usize> = (0..99).collect();
        many.nodes.push(node(&"n".repeat(63), "strategize/constrained", 10, &all));
        let long: Vec<usize> = vec![99, 3, 99];
        many.nodes.push(node(&"m".repeat(40), "x", 11, &long));
        many.title = "a long title ".repeat(9).trim_end().to_owned();
        let text = draw(&many);
        assert!(text.lines().all(|line| width(line) <= COLUMNS && line.trim_end() == line), "{text}");
        assert_eq!(read(&text), meant(&many), "{text}");
        assert!(
            text.contains(&format!(
                "  {}\n    strategize/constrained\n    <- node-0, node-1,",
                "n".repeat(63)
            ))
        );
    }

    #[test]
    fn texts_of_others_stay_on_their_line() {
        let text = super::super::draw(&hostile(), super::super::Form::Ascii);
        assert!(text.contains("\\n\\u{1b}[31m"), "{text}");
    }
}
