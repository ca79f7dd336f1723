//! Finding items by their names, hundreds of thousands at a time.
//!
//! Names come from users' files, so the hash is the standard library's, with keys of its own for
//! each list: nobody can write down names that all fall into one place. So all lookups together are
//! linear in the length of the names, as with a `HashMap`. What that lacks is a lookup in two
//! strides, [`Names::likely`] and [`Names::checked`]: whoever has many takes the first for all of
//! them before the second for any. A name that is compared as soon as it is found is waited for,
//! each alone, wherever in memory it lies; in two strides many are on their way at once.

use std::hash::{BuildHasher as _, RandomState};

use super::graph::{Item, NodeId};

/// Where each item of a list is, by its name.
pub(super) struct Names<'a> {
    items: &'a [Item<'a>],
    keys: RandomState,
    /// A power of two, at most half of them taken: from where a name's hash points, its slot is
    /// found before the first free one.
    slots: Vec<Option<Slot>>,
}

/// An item, and the half of its name's hash that does not say where the slot is.
#[derive(Clone, Copy)]
struct Slot {
    tag: u32,
    node: NodeId,
}

impl<'a> Names<'a> {
    /// The names of these items; `repeated` is told of each that is there already.
    pub(super) fn of(items: &'a [Item<'a>], mut repeated: impl FnMut(&'a str)) -> Self {
        let slots = vec![None; (2 * items.len()).next_power_of_two()];
        let mut names = Self { items, keys: RandomState::new(), slots };
        for (index, item) in items.iter().enumerate() {
            let (place, tag) = names.hash(item.name);
            let at = names.slot(place, tag, |node| names.is(node, item.name));
            match &mut names.slots[at] {
                Some(_) => repeated(item.name),
                free => *free = Some(Slot { tag, node: NodeId::of(index) }),
            }
        }
        names
    }

    /// The first stride: which item it is, if it is any. No name is looked at.
    pub(super) fn likely(&self, name: &str) -> Option<NodeId> {
        let (place, tag) = self.hash(name);
        self.slots[self.slot(place, tag, |_| true)].map(|slot| slot.node)
    }

    /// The second stride: which item it is, given the likely one.
    pub(super) fn checked(&self, name: &str, likely: Option<NodeId>) -> Option<NodeId> {
        let likely = likely?;
        if self.is(likely, name) {
            return Some(likely);
        }
        // Another name with the same tag, once in four thousand million.
        let (place, tag) = self.hash(name);
        self.slots[self.slot(place, tag, |node| self.is(node, name))].map(|slot| slot.node)
    }

    fn is(&self, node: NodeId, name: &str) -> bool {
        self.items[node.index()].name == name
    }

    /// Where to begin to look, and the tag.
    fn hash(&self, name: &str) -> (usize, u32) {
        let hash = self.keys.hash_one(name);
        let half = |bits: u64| u32::try_from(bits).expect("half of 64 bits");
        (half(hash >> 32) as usize, half(hash & u64::from(u32::MAX)))
    }

    /// The first slot that is free, or that has the tag and the right item.
    fn slot(&self, place: usize, tag: u32, right: impl Fn(NodeId) -> bool) -> usize {
        let last = self.slots.len() - 1;
        let mut at = place & last;
        while self.slots[at].is_some_and(|slot| slot.tag != tag || !right(slot.node)) {
            at = (at + 1) & last;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likely_item_is_not_taken_on_trust() {
        let items = ["a", "b", "c"].map(|name| Item { name, depends_on: &[] });
        let names = Names::of(&items, |name| panic!("{name} is there once"));
        let (a, b) = (NodeId::of(0), NodeId::of(1));
        assert_eq!((names.likely("b"), names.checked("b", Some(b))), (Some(b), Some(b)));
        // As if `a` and `b` had one tag, and `a` and a name that is not there.
        assert_eq!(names.checked("b", Some(a)), Some(b));
        assert_eq!(names.checked("nowhere", Some(a)), None);
    }
}
