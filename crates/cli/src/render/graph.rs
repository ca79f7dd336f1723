//! Subplans and what they depend on, drawn as waves: text that another program, or a person, reads.
//!
//! Pure: the same values give the same text, byte for byte, whatever the terminal is. Every form
//! names each subplan with its state in words, and holds every dependency exactly once. Names and
//! states are quoted for their form, so that none of them can become a part of its grammar.

mod ascii;
mod dot;
mod mermaid;
mod svg;

use std::collections::BTreeMap;

use crate::render::clean;

/// What a drawing without subplans says.
const NOTHING: &str = "no subplans";

/// The subplans of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drawing {
    /// What stands above it.
    pub(super) title: String,
    /// The subplans, in the order of their items.
    pub(super) nodes: Vec<Node>,
}

/// One subplan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// Its name among its siblings.
    pub(super) name: String,
    /// Its plan; `None`: not there yet.
    pub(super) id: Option<String>,
    /// Where it is, in words: `execute/processing`.
    pub(super) state: String,
    /// When it could run at the earliest, from 0; later than all that it depends on.
    pub(super) wave: u32,
    /// What it depends on: places in the list of nodes.
    pub(super) depends_on: Vec<usize>,
}

/// How a drawing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// Lines of text, for a terminal.
    #[default]
    Ascii,
    /// A flowchart for Mermaid, as Markdown pages show it.
    Mermaid,
    /// A digraph for Graphviz.
    Dot,
    /// A picture that needs nothing else.
    Svg,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 4] = [Self::Ascii, Self::Mermaid, Self::Dot, Self::Svg];

    /// Its word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Mermaid => "mermaid",
            Self::Dot => "dot",
            Self::Svg => "svg",
        }
    }

    /// The form of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == word)
    }
}

/// Draws it.
pub(super) fn draw(drawing: &Drawing, form: Form) -> String {
    let drawing = drawing.cleaned();
    match form {
        Form::Ascii => ascii::draw(&drawing),
        Form::Mermaid => mermaid::draw(&drawing),
        Form::Dot => dot::draw(&drawing),
        Form::Svg => svg::draw(&drawing),
    }
}

impl Drawing {
    /// The same without control characters: each text is one line.
    fn cleaned(&self) -> Self {
        let node = |node: &Node| Node {
            name: clean(&node.name),
            id: node.id.as_deref().map(clean),
            state: clean(&node.state),
            ..node.clone()
        };
        Self { title: clean(&self.title), nodes: self.nodes.iter().map(node).collect() }
    }

    /// The nodes of each wave, the first wave first, in the order of their items.
    pub(super) fn waves(&self) -> Vec<(u32, Vec<usize>)> {
        let mut waves: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            waves.entry(node.wave).or_default().push(index);
        }
        waves.into_iter().collect()
    }

    /// Every dependency: what is needed, and who needs it.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let of = |(to, node): (usize, &Node)| node.depends_on.clone().into_iter().map(move |from| (from, to));
        self.nodes.iter().enumerate().flat_map(of)
    }
}

/// What people call a wave: they count from 1.
fn number(wave: u32) -> u64 {
    u64::from(wave) + 1
}

/// What stands above a wave.
fn heading(wave: u32) -> String {
    format!("wave {}", number(wave))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node without a plan.
    pub(super) fn node(name: &str, state: &str, wave: u32, depends_on: &[usize]) -> Node {
        Node {
            name: name.to_owned(),
            id: None,
            state: state.to_owned(),
            wave,
            depends_on: depends_on.to_vec(),
        }
    }

    pub(super) fn titled(title: &str, nodes: Vec<Node>) -> Drawing {
        Drawing { title: title.to_owned(), nodes }
    }

    /// Four nodes in three waves, one dependency going past a wave.
    pub(super) fn small() -> Drawing {
        let mut drawing = titled(
            "Rename the API",
            vec![
                node("schema", "apply/applied", 0, &[]),
                node("tools", "execute/processing", 0, &[]),
                node("api", "strategize/queued", 1, &[0, 1]),
                node("docs", "cancelled", 2, &[0, 2]),
            ],
        );
        drawing.nodes[0].id = Some("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned());
        drawing
    }

    /// `count` nodes, ten a wave, each but the first ten depending on three before it.
    pub(super) fn large(count: usize) -> Drawing {
        let of = |index: usize| {
            let first = index / 10 * 10;
            let mut depends_on = if first == 0 { vec![] } else { vec![first - 10, first - 7, first / 2] };
            let wave = u32::try_from(index / 10).expect("small");
            depends_on.sort_unstable();
            depends_on.dedup();
            node(&format!("node-{index}"), "execute/queued", wave, &depends_on)
        };
        titled("large", (0..count).map(of).collect())
    }

    /// A node whose texts try to leave every grammar there is.
    pub(super) fn hostile() -> Drawing {
        let text = "a\"b'<i>&amp;]\\;#%%{x}\n\u{1b}[31m`--> n0";
        let mut hostile = titled(text, vec![node(text, text, 0, &[])]);
        hostile.nodes[0].id = Some(text.to_owned());
        hostile
    }

    #[test]
    fn forms_have_words_and_an_unknown_one_is_no_default() {
        assert!(Form::ALL.into_iter().all(|form| Form::parse(form.as_str()) == Some(form)));
        assert_eq!(Form::parse("png"), None);
    }

    #[test]
    fn every_form_names_every_node_with_its_state_in_words() {
        for form in Form::ALL {
            let text = draw(&small(), form);
            for node in &small().nodes {
                assert!(text.contains(&node.name) && text.contains(&node.state), "{form:?}: {text}");
            }
            assert!(text.contains("Rename the API"), "{form:?}: {text}");
            assert_eq!(text, draw(&small(), form), "the same values give the same text");
        }
    }

    #[test]
    fn none_and_one_and_very_many_are_drawn() {
        for form in Form::ALL {
            assert!(draw(&titled("empty", vec![]), form).contains("no subplans"), "{form:?}");
            assert!(draw(&titled("one", vec![node("a", "skipped", 0, &[])]), form).contains("skipped"));
            let text = draw(&large(1000), form);
            assert!(text.contains("node-0") && text.contains("node-999"), "{form:?}");
        }
    }

    #[test]
    fn no_form_passes_on_control_characters() {
        let harmless = "x".repeat(clean(&hostile().title).chars().count());
        let harmless = titled(&harmless, vec![node(&harmless, &harmless, 0, &[])]);
        for form in Form::ALL {
            let text = draw(&hostile(), form);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{form:?}: {text}");
            assert_eq!(text.lines().count(), draw(&harmless, form).lines().count(), "{form:?}: {text}");
        }
    }

    #[test]
    fn a_wave_keeps_the_order_of_its_items() {
        let drawing =
            titled("x", vec![node("b", "s", 1, &[1]), node("a", "s", 0, &[]), node("c", "s", 1, &[1])]);
        assert_eq!(drawing.waves(), [(0, vec![1]), (1, vec![0, 2])]);
        assert_eq!(drawing.edges().collect::<Vec<_>>(), [(1, 0), (1, 2)]);
    }
}
