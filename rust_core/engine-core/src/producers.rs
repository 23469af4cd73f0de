//! Which frames have been counted: each of a producer's sequences (one for each partition) once, in
//! whatever order they come.
//!
//! A publisher that retries after a lost acknowledgement doubles a frame; two of its connections may
//! swap two. So per producer the highest sequence is kept, and a bit for each of the 1,024 up to it
//! (RFC 6479 does the same for `IPsec`). A frame further behind is taken for a double: at 512 rows a
//! frame that is half a million rows late.
//!
//! A producer is one process start, so names come and go: the book keeps the 256 heard from most
//! recently, by order of frames, which makes forgetting as deterministic as everything else. Was one
//! forgotten too early, its doubles count again: spend is then over-stated, never lost.

use crate::bytes::{Reader, Writer};

const WORDS: usize = 16;
const SPAN: u64 = WORDS as u64 * 64;
/// The most producers remembered.
pub const MOST_PRODUCERS: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Producer {
    /// The producer, and the partition that it counts frames for.
    key: (u64, u16),
    highest: u64,
    heard: u64,
    /// The frames of the book when it was first heard of.
    began: u64,
    /// The first sequence that was heard.
    first: u64,
    /// Every sequence from `first` to this one was seen.
    whole: u64,
    /// Bit `sequence % 1024` of the sequences in `(highest − 1024, highest]`.
    seen: [u64; WORDS],
}

/// The producers of one book, ascending by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Producers {
    known: Vec<Producer>,
    frames: u64,
}

impl Producers {
    /// Notes a frame; returns whether it is the first time that it is seen.
    pub fn note(&mut self, producer: u64, partition: u16, sequence: u64) -> bool {
        self.frames += 1;
        let key = (producer, partition);
        let at = self.known.binary_search_by_key(&key, |known| known.key);
        match at {
            Ok(at) => self.known.get_mut(at).is_some_and(|known| {
                known.heard = self.frames;
                known.note(sequence)
            }),
            Err(mut at) => {
                if self.known.len() >= MOST_PRODUCERS {
                    let oldest = (0..).zip(&self.known).min_by_key(|(_, known)| known.heard);
                    let oldest: usize = oldest.map_or(0, |(index, _)| index);
                    self.known.remove(oldest);
                    at -= usize::from(oldest < at);
                }
                let mut new = Producer {
                    key,
                    highest: sequence,
                    heard: self.frames,
                    began: self.frames,
                    first: sequence,
                    whole: sequence,
                    seen: [0; WORDS],
                };
                new.set(sequence);
                self.known.insert(at, new);
                true
            }
        }
    }

    /// Returns how many frames were noted.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Returns how many frames had been noted when a producer was first heard of, where nothing that
    /// it sent before its newest frame is missing; `None` where something may be: a frame that was
    /// skipped, or those before the first that was heard while they may still be on their way.
    #[must_use]
    pub fn whole_since(&self, producer: u64, partition: u16) -> Option<u64> {
        let at = self
            .known
            .binary_search_by_key(&(producer, partition), |known| known.key);
        let known = self.known.get(at.ok()?)?;
        let is_begun = known.first <= 1 || known.highest - known.first >= SPAN;
        (known.whole == known.highest && is_begun).then_some(known.began)
    }

    /// Returns how many producers are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns whether no frame was ever noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.frames);
        out.count(self.known.len());
        for known in &self.known {
            out.u64(known.key.0);
            out.u16(known.key.1);
            out.u64(known.highest);
            for number in [known.heard, known.began, known.first, known.whole] {
                out.u64(number);
            }
            known.seen.iter().for_each(|&word| out.u64(word));
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let frames = reader.u64()?;
        let count = reader.u32()? as usize;
        if count > MOST_PRODUCERS {
            return None;
        }
        let mut known: Vec<Producer> = Vec::with_capacity(count);
        for _ in 0..count {
            let key = (reader.u64()?, reader.u16()?);
            let (highest, heard) = (reader.u64()?, reader.u64()?);
            let (began, first, whole) = (reader.u64()?, reader.u64()?, reader.u64()?);
            let mut seen = [0; WORDS];
            for word in &mut seen {
                *word = reader.u64()?;
            }
            if known.last().is_some_and(|last| last.key >= key)
                || heard > frames
                || began > heard
                || first > whole
                || whole > highest
            {
                return None;
            }
            known.push(Producer {
                key,
                highest,
                heard,
                began,
                first,
                whole,
                seen,
            });
        }
        Some(Self { known, frames })
    }
}

impl Producer {
    fn note(&mut self, sequence: u64) -> bool {
        if sequence > self.highest {
            let ahead = sequence - self.highest;
            if ahead >= SPAN {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..sequence {
                    self.clear(skipped);
                }
            }
            self.highest = sequence;
        } else if self.highest - sequence >= SPAN || self.is_set(sequence) {
            return false;
        }
        self.set(sequence);
        // A gap that nobody remembers any more stays one: `whole` then never catches up.
        while self.whole < self.highest
            && self.highest - self.whole <= SPAN
            && self.is_set(self.whole + 1)
        {
            self.whole += 1;
        }
        true
    }

    fn word(&mut self, sequence: u64) -> Option<&mut u64> {
        self.seen.get_mut((sequence % SPAN / 64) as usize)
    }

    fn is_set(&mut self, sequence: u64) -> bool {
        self.word(sequence)
            .is_some_and(|word| *word >> (sequence % 64) & 1 == 1)
    }

    fn set(&mut self, sequence: u64) {
        if let Some(word) = self.word(sequence) {
            *word |= 1 << (sequence % 64);
        }
    }

    fn clear(&mut self, sequence: u64) {
        if let Some(word) = self.word(sequence) {
            *word &= !(1 << (sequence % 64));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn a_doubled_frame_is_known_and_a_swapped_one_is_not() {
        let mut producers = Producers::default();
        assert!(producers.note(1, 0, 10));
        assert!(producers.note(1, 0, 12));
        assert!(producers.note(1, 0, 11));
        assert!(!producers.note(1, 0, 11));
        assert!(!producers.note(1, 0, 12));
        assert!(producers.note(2, 0, 12));
        assert!(
            producers.note(1, 1, 12),
            "each partition has sequences of its own"
        );
    }

    #[test]
    fn a_frame_too_far_behind_is_taken_for_a_double() {
        let mut producers = Producers::default();
        assert!(producers.note(1, 0, 2_000));
        assert!(producers.note(1, 0, 2_000 - 1_023));
        assert!(!producers.note(1, 0, 2_000 - 1_024));
    }

    #[test]
    fn the_producer_not_heard_from_for_longest_is_forgotten_first() {
        let mut producers = Producers::default();
        for key in 0..MOST_PRODUCERS as u64 {
            assert!(producers.note(key, 0, 5));
        }
        assert!(
            !producers.note(0, 0, 5),
            "heard from again: now the youngest"
        );
        assert!(producers.note(9_999, 0, 1));
        assert_eq!(producers.len(), MOST_PRODUCERS);
        assert!(!producers.note(0, 0, 5));
        assert!(producers.note(1, 0, 5), "forgotten");
    }

    #[test]
    fn a_producer_is_whole_while_none_of_its_frames_is_missing() {
        let mut producers = Producers::default();
        let mut note = |sequence| {
            producers.note(1, 0, sequence);
            producers.whole_since(1, 0)
        };
        assert_eq!(note(1), Some(1));
        assert_eq!(note(3), None, "the second is missing");
        assert_eq!(note(4), None);
        assert_eq!(note(2), Some(1));
        assert_eq!(note(2 + 1024 + 3), None, "lost for good");
        assert_eq!(note(5), None);
        assert_eq!(producers.whole_since(2, 0), None, "never heard of");
    }

    #[test]
    fn a_producer_heard_late_is_whole_once_its_first_frames_cannot_come_any_more() {
        let mut producers = Producers::default();
        for sequence in 50..50 + 1024 {
            producers.note(1, 0, sequence);
            assert_eq!(producers.whole_since(1, 0), None);
        }
        producers.note(1, 0, 50 + 1024);
        assert_eq!(producers.whole_since(1, 0), Some(1));
    }

    proptest! {
        #[test]
        fn a_sequence_counts_once_within_the_span(jumps in prop::collection::vec(-900_i64..900, 1..400)) {
            let mut producers = Producers::default();
            let mut oracle = HashSet::new();
            let (mut at, mut highest) = (100_000_i64, 0);
            for jump in jumps {
                at = (at + jump).max(1);
                let fresh = producers.note(3, 0, at.unsigned_abs());
                if highest - at < 1024 {
                    prop_assert_eq!(fresh, oracle.insert(at));
                } else {
                    prop_assert!(!fresh);
                }
                highest = highest.max(at);
            }
        }
    }
}
