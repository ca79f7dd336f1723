//! Where boxes and arrows are: columns from left to right, whole pixels.
//!
//! A dependency that goes past a wave has a lane of its own through that column, so that no arrow
//! runs behind a box. Boxes and lanes of a column are sorted by where they come from, and stand
//! beside it as far as there is room: few arrows cross, and most are straight. One pass, no
//! iteration; linear in nodes and lanes but for the sorting.

use std::collections::{BTreeSet, HashMap};

use super::super::Drawing;

/// The height of a box.
pub(super) const BOX: usize = 48;
/// The height of a lane.
const LANE: usize = 8;
/// Between boxes and lanes that are neighbours.
const GAP: usize = 16;
/// Between columns.
const GUTTER: usize = 72;
/// The width of one character, and of a box without any.
const CHARACTER: usize = 8;
const PADDING: usize = 24;
/// More lanes than these are not drawn: with so many arrows nobody follows one, and there could be
/// as many as nodes times waves.
const MOST_LANES: usize = 50_000;

/// A wave.
pub(super) struct Column {
    pub wave: u32,
    pub left: usize,
    width: usize,
}

/// The box of a node.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub left: usize,
    pub top: usize,
    pub width: usize,
}

impl Place {
    const fn middle(self) -> usize {
        self.top + BOX / 2
    }
}

/// The way of an arrow.
pub(super) struct Route {
    pub from: usize,
    pub to: usize,
    pub start: (usize, usize),
    /// Left and right end and level of each lane, and the point at which it ends.
    pub through: Vec<(usize, usize, usize)>,
}

/// Where everything is.
pub(super) struct Layout {
    pub width: usize,
    pub height: usize,
    pub columns: Vec<Column>,
    /// One a node.
    pub boxes: Vec<Place>,
    /// One a dependency.
    pub routes: Vec<Route>,
}

impl Layout {
    /// The layout of a drawing whose first box is at (`margin`, `top`).
    pub(super) fn of(drawing: &Drawing, margin: usize, top: usize) -> Self {
        let waves = drawing.waves();
        let mut column_of = vec![0; drawing.nodes.len()];
        for (column, (_, nodes)) in waves.iter().enumerate() {
            for node in nodes {
                column_of[*node] = column;
            }
        }
        let columns = columns(drawing, &waves, margin);
        let passing = passing(drawing, &column_of, columns.len());
        let boxes = vec![Place::default(); drawing.nodes.len()];
        let mut levels = Levels { column_of, boxes, lanes: HashMap::new(), top };
        for (number, ((_, nodes), passing)) in waves.iter().zip(&passing).enumerate() {
            levels.fill(drawing, (number, &columns[number]), nodes, passing);
        }
        let routes = drawing.edges().map(|(from, to)| levels.route(from, to, &columns)).collect();
        let right = columns.last().map_or(margin, |column| column.left + column.width);
        Self { width: right + margin, height: levels.bottom() + margin, columns, boxes: levels.boxes, routes }
    }
}

/// The width of a text in the font of boxes; characters that are not ASCII may be twice as wide.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| if c.is_ascii() { CHARACTER } else { 2 * CHARACTER }).sum()
}

fn columns(drawing: &Drawing, waves: &[(u32, Vec<usize>)], margin: usize) -> Vec<Column> {
    let mut left = margin;
    let column = |(wave, nodes): &(u32, Vec<usize>)| {
        let texts = nodes.iter().flat_map(|node| [&drawing.nodes[*node].name, &drawing.nodes[*node].state]);
        let width = PADDING + texts.map(|text| width(text)).max().unwrap_or(0);
        let column = Column { wave: *wave, left, width };
        left += width + GUTTER;
        column
    };
    waves.iter().map(column).collect()
}

/// The nodes whose arrows go past each column.
fn passing(drawing: &Drawing, column_of: &[usize], columns: usize) -> Vec<BTreeSet<usize>> {
    let mut passing = vec![BTreeSet::new(); columns];
    let passed = |(from, to): (usize, usize)| column_of[from] + 1..column_of[to];
    if drawing.edges().map(|edge| passed(edge).len()).sum::<usize>() <= MOST_LANES {
        for edge in drawing.edges() {
            passed(edge).for_each(|column| {
                passing[column].insert(edge.0);
            });
        }
    }
    passing
}

/// How far down everything is.
struct Levels {
    column_of: Vec<usize>,
    boxes: Vec<Place>,
    /// By column, and the node that they come from.
    lanes: HashMap<(usize, usize), usize>,
    top: usize,
}

enum Slot {
    Box(usize),
    Lane(usize),
}

impl Slot {
    const fn height(&self) -> usize {
        match self {
            Self::Box(_) => BOX,
            Self::Lane(_) => LANE,
        }
    }
}

impl Levels {
    /// Where arrows from that node leave a column: its lane there, or else its box.
    fn level(&self, node: usize, column: Option<usize>) -> usize {
        let lane = column.and_then(|column| self.lanes.get(&(column, node)));
        lane.copied().unwrap_or_else(|| self.boxes[node].middle())
    }

    /// Beside what it depends on.
    fn wish(&self, needed: &[usize], before: Option<usize>) -> usize {
        let sum: usize = needed.iter().map(|node| self.level(*node, before)).sum();
        sum.checked_div(needed.len()).unwrap_or(0)
    }

    fn fill(
        &mut self,
        drawing: &Drawing,
        (number, column): (usize, &Column),
        nodes: &[usize],
        passing: &BTreeSet<usize>,
    ) {
        let before = number.checked_sub(1);
        let of_box = |node: &usize| (self.wish(&drawing.nodes[*node].depends_on, before), Slot::Box(*node));
        let of_lane = |node: &usize| (self.level(*node, before), Slot::Lane(*node));
        let mut slots: Vec<(usize, Slot)> =
            nodes.iter().map(of_box).chain(passing.iter().map(of_lane)).collect();
        slots.sort_by_key(|(wish, _)| *wish);
        let tops = self.tops(&slots);
        for ((_, slot), top) in slots.into_iter().zip(tops) {
            match slot {
                Slot::Box(node) => self.boxes[node] = Place { left: column.left, top, width: column.width },
                Slot::Lane(node) => drop(self.lanes.insert((number, node), top + LANE / 2)),
            }
        }
    }

    /// None above its wish, none over another; then all of them up by what they were pushed down on
    /// the average, so that columns do not sink from wave to wave.
    fn tops(&self, slots: &[(usize, Slot)]) -> Vec<usize> {
        let (mut free, mut pushed) = (self.top, 0);
        let place = |(wish, slot): &(usize, Slot)| {
            let wish = self.top.max(wish.saturating_sub(slot.height() / 2));
            let top = free.max(wish);
            pushed += top - wish;
            free = top + slot.height() + GAP;
            top
        };
        let tops: Vec<usize> = slots.iter().map(place).collect();
        let room = tops.first().map_or(0, |first| first - self.top);
        let up = room.min(pushed.checked_div(tops.len()).unwrap_or(0));
        tops.into_iter().map(|top| top - up).collect()
    }

    fn route(&self, from: usize, to: usize, columns: &[Column]) -> Route {
        let (start, end) = (self.boxes[from], self.boxes[to]);
        let lane = |column: usize| {
            let (at, level) = (&columns[column], self.lanes.get(&(column, from))?);
            Some((at.left, at.left + at.width, *level))
        };
        let lanes = (self.column_of[from] + 1..self.column_of[to]).filter_map(lane);
        let through = lanes.chain([(end.left, end.left, end.middle())]).collect();
        Route { from, to, start: (start.left + start.width, start.middle()), through }
    }

    /// Below the lowest of all.
    fn bottom(&self) -> usize {
        let boxes = self.boxes.iter().map(|place| place.top + BOX);
        boxes.chain(self.lanes.values().map(|level| level + LANE)).max().unwrap_or(self.top)
    }
}
