//! A picture: one column a wave, a box a subplan, an arrow a dependency.
//!
//! One file that needs no other: no script, no font, no reference to elsewhere. It has a paper of
//! its own, so it can be read in a dark viewer that does not tell, and is dark itself in one that
//! does. Colours repeat what the words say. What is pointed at has a title: the names at both ends
//! of an arrow, the plan of a box.

mod layout;

use super::{Drawing, NOTHING, Node, heading};
use crate::render::table::lines;
use layout::{BOX, Layout, Place, Route, width};

/// Space around everything, in pixels as all lengths here.
const MARGIN: usize = 24;
/// Above the boxes: the title and the headings of the waves.
const TOP: usize = 96;

/// Plain rules: not every viewer knows variables, or more than the first of two schemes.
const STYLE: &str = "\
text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#1f2328}
.title{font-size:16px;font-weight:bold}
.wave,.state{fill:#57606a}
.paper{fill:#ffffff}
.edge{fill:none;stroke:#6e7781;stroke-width:1.5}
.head{fill:#6e7781}
.node rect{fill:#f6f8fa;stroke:#6e7781;stroke-width:1.5}
.good rect{stroke:#1a7f37}
.bad rect{stroke:#cf222e}
.busy rect{stroke:#0969da}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.wave,.state{fill:#9da7b3}
.paper{fill:#0d1117}
.edge{stroke:#8b949e}
.head{fill:#8b949e}
.node rect{fill:#161b22;stroke:#8b949e}
.good rect{stroke:#3fb950}
.bad rect{stroke:#f85149}
.busy rect{stroke:#58a6ff}
}";

/// The head of an arrow.
const ARROW: &str = "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" \
     markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
     <path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>";

pub(super) fn draw(drawing: &Drawing) -> String {
    let layout = Layout::of(drawing, MARGIN, TOP);
    let mut out = head(drawing, layout.width.max(2 * MARGIN + width(&drawing.title) * 5 / 4), layout.height);
    out.push(text("title", MARGIN, MARGIN + 16, &drawing.title));
    if drawing.nodes.is_empty() {
        out.push(text("wave", MARGIN, TOP - 20, NOTHING));
    }
    out.extend(
        layout.columns.iter().map(|column| text("wave", column.left, TOP - 20, &heading(column.wave))),
    );
    out.extend(layout.routes.iter().map(|route| edge(drawing, route)));
    out.extend(drawing.nodes.iter().zip(&layout.boxes).map(|(node, place)| boxed(node, *place)));
    out.push("</svg>".to_owned());
    lines(out)
}

fn head(drawing: &Drawing, wide: usize, high: usize) -> Vec<String> {
    let (title, about) = (escaped(&drawing.title), about(drawing));
    vec![
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{wide}\" height=\"{high}\" \
             viewBox=\"0 0 {wide} {high}\" role=\"img\" aria-labelledby=\"title about\">"
        ),
        format!("<title id=\"title\">{title}</title>"),
        format!("<desc id=\"about\">{about}</desc>"),
        format!("<style>\n{STYLE}\n</style>"),
        ARROW.to_owned(),
        format!("<rect class=\"paper\" width=\"{wide}\" height=\"{high}\"/>"),
    ]
}

fn about(drawing: &Drawing) -> String {
    match (drawing.nodes.len(), drawing.waves().len()) {
        (0, _) => NOTHING.to_owned(),
        (1, _) => "1 subplan".to_owned(),
        (nodes, 1) => format!("{nodes} subplans in 1 wave"),
        (nodes, waves) => format!("{nodes} subplans in {waves} waves"),
    }
}

fn text(class: &str, x: usize, y: usize, words: &str) -> String {
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(words))
}

fn boxed(node: &Node, place: Place) -> String {
    let (x, y, wide) = (place.left, place.top, place.width);
    let id = node.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    let (class, title) = (tone(&node.state), escaped(&format!("{}{id}: {}", node.name, node.state)));
    let outline = format!("<rect x=\"{x}\" y=\"{y}\" width=\"{wide}\" height=\"{BOX}\" rx=\"6\"/>");
    let name = text("name", x + 12, y + 19, &node.name);
    let state = text("state", x + 12, y + 37, &node.state);
    format!("<g class=\"node{class}\"><title>{title}</title>{outline}\n{name}\n{state}</g>")
}

/// From the right side of a box, through the columns between, to the left side of a box.
fn edge(drawing: &Drawing, route: &Route) -> String {
    let [from, to] = [route.from, route.to].map(|node| escaped(&drawing.nodes[node].name));
    let (mut x, mut y) = route.start;
    let curve = |(left, right, level): &(usize, usize, usize)| {
        let middle = usize::midpoint(x, *left);
        let along = if right > left { format!("H{right}") } else { String::new() };
        let curve = format!("C{middle} {y} {middle} {level} {left} {level}{along}");
        (x, y) = (*right, *level);
        curve
    };
    let way: String = route.through.iter().map(curve).collect();
    let (x, y) = route.start;
    let title = format!("<title>{from} → {to}</title>");
    format!("<path class=\"edge\" marker-end=\"url(#arrow)\" d=\"M{x} {y}{way}\">{title}</path>")
}

/// The class of a state, after the word it ends with.
fn tone(state: &str) -> &'static str {
    match state.rsplit('/').next() {
        Some("applied" | "complete") => " good",
        Some("errored" | "constrained") => " bad",
        Some("processing") => " busy",
        _ => "",
    }
}

/// Text as it may stand in XML; two code points may not stand there at all.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests;
