//! Slots by series key: an open-addressing table whose layout is its own business.
//!
//! Keys are FNV-1a hashes already, so a key's upper bits, spread once more, place it. Nothing ever
//! iterates the table: the order of keys cannot leak into a decision.

const EMPTY: u64 = 0; // no series has this key

/// A map from keys other than 0 to slots.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyTable {
    /// A power of two of places, at most half of them taken, or none.
    places: Vec<(u64, usize)>,
    len: usize,
}

impl KeyTable {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val::<[_]>(&self.places)
    }

    /// Asks for the places where a key that is looked up soon would be.
    pub(crate) fn fetch(&self, key: u64) {
        engine_memory::prefetch(&self.places, self.first(key));
    }

    /// Returns the first place where a key may be.
    fn first(&self, key: u64) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        let spread = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        #[allow(clippy::cast_possible_truncation)] // the mask keeps less still
        let first = (spread >> 32) as usize & mask;
        first
    }

    /// Returns the place of a key, or the empty one where it would be.
    fn place(&self, key: u64) -> usize {
        let mask = self.places.len().wrapping_sub(1);
        let mut at = self.first(key);
        while self
            .places
            .get(at)
            .is_some_and(|&(found, _)| found != key && found != EMPTY)
        {
            at = (at + 1) & mask;
        }
        at
    }

    pub(crate) fn get(&self, key: u64) -> Option<usize> {
        let &(found, slot) = self.places.get(self.place(key))?;
        (found == key && key != EMPTY).then_some(slot)
    }

    /// Adds a key that is not there yet.
    pub(crate) fn insert(&mut self, key: u64, slot: usize) {
        if self.places.len() < 2 * (self.len + 1) {
            let grown = vec![(EMPTY, 0); (4 * (self.len + 1)).next_power_of_two().max(16)];
            let old = std::mem::replace(&mut self.places, grown);
            for (key, slot) in old.into_iter().filter(|&(key, _)| key != EMPTY) {
                self.write(key, slot);
            }
        }
        self.write(key, slot);
        self.len += 1;
    }

    fn write(&mut self, key: u64, slot: usize) {
        let at = self.place(key);
        if let Some(place) = self.places.get_mut(at) {
            *place = (key, slot);
        }
    }

    /// Takes a key out. What follows it without a gap is put in anew, so that no search ends early.
    pub(crate) fn remove(&mut self, key: u64) {
        if self.get(key).is_none() {
            return;
        }
        let mask = self.places.len() - 1;
        let mut at = self.place(key);
        self.len -= 1;
        let mut moved = (EMPTY, 0);
        loop {
            if let Some(place) = self.places.get_mut(at) {
                moved = std::mem::replace(place, (EMPTY, 0));
            }
            if moved.0 == EMPTY {
                break;
            }
            if moved.0 != key {
                self.write(moved.0, moved.1);
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn it_answers_as_a_plain_map_does(calls in prop::collection::vec((1_u64..60, any::<bool>()), 0..300)) {
            let (mut table, mut plain) = (KeyTable::default(), HashMap::new());
            for (index, (key, is_in)) in calls.into_iter().enumerate() {
                if !is_in {
                    table.remove(key);
                    plain.remove(&key);
                } else if let std::collections::hash_map::Entry::Vacant(entry) = plain.entry(key) {
                    entry.insert(index);
                    table.insert(key, index);
                }
                prop_assert_eq!(table.len(), plain.len());
                for key in 0..61 {
                    prop_assert_eq!(table.get(key), plain.get(&key).copied());
                }
            }
        }
    }
}
