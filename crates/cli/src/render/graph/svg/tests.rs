//! The picture is XML, self-contained, and no arrow runs behind a box.

use super::super::tests::{hostile, large, node, small, titled};
use super::*;

/// What is wrong with the tags of a text, if anything: a small part of XML, and all that we write.
fn misnested(text: &str) -> Option<String> {
    let mut open: Vec<&str> = Vec::new();
    for piece in text.trim_end().split('<').skip(1) {
        let Some((tag, after)) = piece.split_once('>') else { return Some(piece.to_owned()) };
        let bare = after.contains('>') || tag.matches('"').count() % 2 == 1;
        let entities = after.split('&').skip(1).chain(tag.split('&').skip(1));
        let known = ["amp;", "lt;", "gt;", "quot;"];
        let unknown = entities.into_iter().any(|rest| !known.iter().any(|name| rest.starts_with(name)));
        if bare || unknown {
            return Some(piece.to_owned());
        }
        match tag.strip_prefix('/') {
            Some(name) if open.pop() != Some(name) => return Some(piece.to_owned()),
            Some(_) => {}
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().expect("a name")),
        }
    }
    open.pop().map(str::to_owned)
}

#[test]
fn the_check_for_xml_can_fail() {
    assert_eq!(misnested("<a><b x=\"1\"/>&amp;</a>\n"), None);
    for bad in ["<a>", "<a></b>", "<a>&</a>", "<a>></a>", "<a x=\"></a>", "<a", "<a>&nbsp;</a>"] {
        assert!(misnested(bad).is_some(), "{bad}");
    }
}

#[test]
fn it_is_xml_and_needs_no_other_file() {
    for drawing in [small(), hostile(), large(1000), titled("none", vec![])] {
        let text = super::super::draw(&drawing, super::super::Form::Svg);
        assert_eq!(misnested(&text), None);
        let outside = text.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
        for word in ["http", "href", "script", "import", "src=", "<image", "<foreignObject"] {
            assert!(!outside.contains(word), "{word}");
        }
        assert_eq!(text.matches("url(").count(), text.matches("url(#arrow)").count());
    }
}

#[test]
fn every_dependency_is_an_arrow_with_both_names() {
    let text = draw(&small());
    let arrows: Vec<&str> = text.lines().filter(|line| line.contains("class=\"edge\"")).collect();
    let names = ["schema → api", "tools → api", "schema → docs", "api → docs"];
    assert_eq!(arrows.len(), names.len());
    for (arrow, names) in arrows.iter().zip(names) {
        assert!(arrow.contains(names) && arrow.contains("url(#arrow)"), "{arrow}");
    }
    assert!(text.contains("<desc id=\"about\">4 subplans in 3 waves</desc>"));
    assert!(text.contains("<title>schema 01ARZ3NDEKTSV4RRFFQ69G5FAV: apply/applied</title>"));
    for (count, words) in [(0, "no subplans"), (1, "1 subplan"), (2, "2 subplans in 1 wave")] {
        assert_eq!(about(&titled("x", vec![node("a", "s", 0, &[]); count])), words);
    }
}

#[test]
fn colours_repeat_words() {
    for (state, class) in [("execute/errored", " bad"), ("apply/applied", " good"), ("skipped", "")] {
        assert_eq!(tone(state), class);
    }
    assert_eq!((tone("apply/constrained"), tone("execute/processing")), (" bad", " busy"));
    assert!(draw(&small()).contains("<g class=\"node busy\"><title>tools: execute/processing</title>"));
}

#[test]
fn text_that_xml_forbids_is_replaced() {
    assert_eq!(escaped("a<b>&\"\u{ffff}"), "a&lt;b&gt;&amp;&quot;\u{fffd}");
}

#[test]
fn boxes_do_not_overlap_and_no_arrow_runs_behind_one() {
    for drawing in [small(), large(200)] {
        let layout = Layout::of(&drawing, MARGIN, TOP);
        let inside = |x: usize, y: usize| {
            let at = |place: &&Place| {
                (place.left..place.left + place.width).contains(&x)
                    && (place.top..place.top + BOX).contains(&y)
            };
            layout.boxes.iter().filter(at).count()
        };
        for place in &layout.boxes {
            assert_eq!(inside(place.left, place.top), 1);
            assert!(
                place.left + place.width + MARGIN <= layout.width
                    && place.top + BOX + MARGIN <= layout.height
            );
        }
        for route in &layout.routes {
            let passed = drawing.nodes[route.to].wave - drawing.nodes[route.from].wave;
            assert_eq!(route.through.len(), passed as usize, "a lane for each wave between");
            let (end, lanes) = route.through.split_last().expect("an end");
            assert!(
                lanes.iter().all(|(left, right, y)| inside(*left, *y) == 0 && inside(right - 1, *y) == 0)
            );
            assert_eq!((inside(end.0, end.2), inside(route.start.0 - 1, route.start.1)), (1, 1));
        }
    }
}

#[test]
fn more_lanes_than_anybody_follows_are_left_out() {
    let chain =
        |index: u32| node("n", "s", index, &if index == 0 { vec![] } else { vec![index as usize - 1] });
    let mut drawing = titled("long", (0..400).map(chain).collect());
    drawing.nodes[399].depends_on = (0..399).collect();
    let layout = Layout::of(&drawing, MARGIN, TOP);
    assert_eq!(layout.routes.len(), 398 + 399);
    assert!(layout.routes.iter().all(|route| route.through.len() == 1));
}
