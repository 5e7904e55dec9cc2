//! A map that forgets its oldest entries beyond a bound, so that a simulator left running does not grow for ever.

use std::collections::{HashMap, VecDeque};

/// More than any test makes of one kind.
const ENTRIES: usize = 20_000;

pub(crate) struct Shelf<T> {
    entries: HashMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Shelf<T> {
    pub(crate) fn put(&mut self, key: &str, value: T) {
        if self.entries.insert(key.to_owned(), value).is_none() {
            self.order.push_back(key.to_owned());
        }
        while self.order.len() > ENTRIES {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.entries.get(key)
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<T> {
        self.order.retain(|other| other != key);
        self.entries.remove(key)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&String, &T)> {
        self.order.iter().filter_map(|key| self.entries.get_key_value(key))
    }
}

#[cfg(test)]
mod tests {
    use super::{ENTRIES, Shelf};

    #[test]
    fn the_oldest_is_forgotten_beyond_the_bound() {
        let mut shelf = Shelf::default();
        for number in 0..=ENTRIES {
            shelf.put(&number.to_string(), number);
        }
        assert!(!shelf.has("0"));
        assert_eq!(shelf.iter().count(), ENTRIES);
        assert_eq!(shelf.iter().next().map(|(_, value)| *value), Some(1));
    }
}
