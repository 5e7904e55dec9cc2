//! Names the differences between two sequences of entries, by their hashes.
//!
//! `want` is the tree's leaf hashes, `have` what is there now. As long as both begin with the same hash, both are taken off: a log
//! without faults costs nothing else. Where they differ, both are looked into as far as a window reaches, and one step is taken:
//!
//! * each one's first is found further on in the other: the entries stand in another order ([`Finding::Swapped`] where they are at
//!   each other's place, otherwise [`Finding::Moved`] for the one that is further from its place);
//! * only the tree's first is found: what stands before it was inserted;
//! * only the other's first is found: the tree's first was removed;
//! * neither is found: changed, if both have the same position (as far as positions ran parallel at the last entries that were
//!   alike), and otherwise removed or inserted by that position.
//!
//! **No fault is passed over.** An entry leaves a sequence without a finding only together with an equal one of the other sequence
//! that stands at its head, or because a finding named it before. So no findings means equal sequences, whatever the window and
//! whatever the positions claim; these only decide which words describe a difference. A run of removed or inserted entries longer
//! than the window is still named right where positions have the gap; an export that numbers its lines anew is then called changed
//! from there on.

use std::collections::{HashMap, VecDeque};

use crate::merkle::Hash;

use super::finding::Finding;

struct Item {
    position: u64,
    hash: Hash,
    /// A finding has named it already.
    settled: bool,
}

/// What is at hand of one sequence.
#[derive(Default)]
struct Side {
    items: VecDeque<Item>,
    /// How many left at the front so far: an item's serial number is this and its place.
    gone: usize,
    /// The first unsettled item with each hash, by serial number.
    places: HashMap<Hash, usize>,
}

impl Side {
    fn push(&mut self, position: u64, hash: Hash) {
        self.places.entry(hash).or_insert(self.gone + self.items.len());
        self.items.push_back(Item { position, hash, settled: false });
    }

    fn pop(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.forget(&item.hash, self.gone);
            self.gone += 1;
        }
    }

    fn forget(&mut self, hash: &Hash, serial: usize) {
        if self.places.get(hash) == Some(&serial) {
            self.places.remove(hash);
        }
    }

    fn drop_settled(&mut self) {
        while self.items.front().is_some_and(|item| item.settled) {
            self.pop();
        }
    }

    fn find(&self, hash: &Hash) -> Option<usize> {
        self.places.get(hash).map(|serial| serial - self.gone)
    }

    /// Marks an item as named, and answers its position.
    fn settle(&mut self, place: usize) -> u64 {
        let serial = self.gone + place;
        let hash = self.items[place].hash;
        self.forget(&hash, serial);
        self.items[place].settled = true;
        self.items[place].position
    }
}

/// See the module. Holds at most a window of each sequence, some 120 bytes an entry.
pub(super) struct Aligner {
    window: usize,
    want: Side,
    have: Side,
    /// The tree's position less the other's, at the last two that were alike.
    shift: i128,
    /// The tree's last position.
    last: u64,
    /// Whether what comes after it is new, rather than inserted.
    may_go_on: bool,
    /// How many entries came after the tree's last.
    pub(super) newer: u64,
}

impl Aligner {
    pub(super) fn new(window: usize, last: u64, may_go_on: bool) -> Self {
        Self { window, want: Side::default(), have: Side::default(), shift: 0, last, may_go_on, newer: 0 }
    }

    /// Adds the next entry that is there.
    pub(super) fn push(&mut self, position: u64, hash: Hash) {
        self.have.push(position, hash);
    }

    /// Goes as far as can be decided: to the end once everything is there (`done`). `next` gives the tree's hashes in order.
    pub(super) fn advance<E>(
        &mut self,
        done: bool,
        mut next: impl FnMut() -> Result<Option<(u64, Hash)>, E>,
        mut note: impl FnMut(Finding),
    ) -> Result<(), E> {
        loop {
            self.want.drop_settled();
            self.have.drop_settled();
            if self.have.items.is_empty() && !done {
                return Ok(());
            }
            if self.want.items.is_empty() {
                self.fill(1, &mut next)?;
            }
            match (self.want.items.front(), self.have.items.front()) {
                (None, None) => return Ok(()),
                (Some(want), None) => {
                    note(Finding::Removed { first: want.position, last: want.position });
                    self.want.pop();
                }
                (None, Some(have)) => {
                    let position = have.position;
                    if self.may_go_on && i128::from(position) + self.shift > i128::from(self.last) {
                        self.newer += 1;
                    } else {
                        note(Finding::Inserted { first: position, last: position, before: self.last + 1 });
                    }
                    self.have.pop();
                }
                (Some(want), Some(have)) if want.hash == have.hash => {
                    self.shift = i128::from(want.position) - i128::from(have.position);
                    self.want.pop();
                    self.have.pop();
                }
                // More may come that tells what happened.
                _ if !done && self.have.items.len() < self.window => return Ok(()),
                _ => {
                    self.fill(self.window, &mut next)?;
                    note(self.step());
                }
            }
        }
    }

    fn fill<E>(&mut self, items: usize, next: &mut impl FnMut() -> Result<Option<(u64, Hash)>, E>) -> Result<(), E> {
        while self.want.items.len() < items {
            let Some((position, hash)) = next()? else { break };
            self.want.push(position, hash);
        }
        Ok(())
    }

    /// Two different heads: names one difference, and takes off what it named.
    fn step(&mut self) -> Finding {
        let (want, have) = (&self.want.items[0], &self.have.items[0]);
        let (want_at, have_at) = (want.position, have.position);
        let expected = i128::from(have_at) + self.shift;
        match (self.want.find(&have.hash), self.have.find(&want.hash)) {
            (Some(in_want), Some(in_have)) if in_want == in_have => {
                let with = self.want.settle(in_want);
                self.have.settle(in_have);
                self.want.pop();
                self.have.pop();
                Finding::Swapped { position: want_at, with }
            }
            (Some(in_want), Some(in_have)) if in_want < in_have => {
                self.want.pop();
                Finding::Moved { position: want_at, found_at: self.have.settle(in_have) }
            }
            (Some(in_want), Some(_)) => {
                self.have.pop();
                Finding::Moved { position: self.want.settle(in_want), found_at: have_at }
            }
            (None, Some(_)) => self.inserted(have_at, want_at),
            (Some(_), None) => self.removed(want_at),
            (None, None) if expected < i128::from(want_at) => self.inserted(have_at, want_at),
            (None, None) if expected > i128::from(want_at) => self.removed(want_at),
            (None, None) => {
                self.want.pop();
                self.have.pop();
                Finding::Changed { first: want_at, last: want_at }
            }
        }
    }

    fn inserted(&mut self, position: u64, before: u64) -> Finding {
        self.have.pop();
        Finding::Inserted { first: position, last: position, before }
    }

    fn removed(&mut self, position: u64) -> Finding {
        self.want.pop();
        Finding::Removed { first: position, last: position }
    }
}
