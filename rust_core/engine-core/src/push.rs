//! One window while a sample is put in, and whatever follows its samples about.

use crate::header::{Header, since};
use crate::sample::Sample;
use crate::window::{Pushed, REACH};

/// Something kept for each sample of a window, at the same places of a ring of its own: told of
/// every move, in the order in which they are made. `()` keeps nothing.
pub(crate) trait Follower {
    /// The sample at a place leaves the window; called before anything takes its place.
    fn left(&mut self, place: usize, sample: Sample);
    /// What is at one place is copied to another.
    fn moved(&mut self, from: usize, to: usize);
    /// The ring is turned: what is at `first` comes to the beginning.
    fn turned(&mut self, first: usize);
    /// The sample being put in is written at a place.
    fn written(&mut self, place: usize);
}

impl Follower for () {
    fn left(&mut self, _: usize, _: Sample) {}
    fn moved(&mut self, _: usize, _: usize) {}
    fn turned(&mut self, _: usize) {}
    fn written(&mut self, _: usize) {}
}

/// One window while a sample is put in.
pub(crate) struct Window<'a, F> {
    pub(crate) header: &'a mut Header,
    pub(crate) ring: &'a mut [Sample],
    pub(crate) follower: F,
}

impl<F: Follower> Window<'_, F> {
    /// Puts in a sample whose ranges were checked.
    #[inline]
    pub(crate) fn push(&mut self, sample: Sample) -> Pushed {
        if self.push_newest(sample) {
            return Pushed::Accepted;
        }
        self.push_otherwise(sample)
    }

    /// Puts in a sample that is the newest of a full window, which reaches back to the oldest: nearly
    /// always it is. Returns whether it was.
    #[inline]
    pub(crate) fn push_newest(&mut self, sample: Sample) -> bool {
        let (head, is_full) = (self.header.head(), self.header.is_full());
        let before = head.checked_sub(1).unwrap_or(self.ring.len() - 1);
        if is_full
            && let (Some(newest), Some(oldest)) =
                (self.ring.get(before).copied(), self.ring.get_mut(head))
            && since(sample.tick, newest.tick) > 0
            && sample.tick.wrapping_sub(oldest.tick) < REACH
        {
            self.follower.left(head, *oldest);
            self.header.exchange(*oldest, sample);
            *oldest = sample;
            self.follower.written(head);
            self.advance(sample);
            return true;
        }
        false
    }

    #[inline(never)]
    fn push_otherwise(&mut self, sample: Sample) -> Pushed {
        let held = self.held();
        let newest = held.checked_sub(1).and_then(|last| self.sample(last));
        let Some(newest) = newest else {
            *self.header = Header::near(sample.tick);
            self.put(sample, 0, 0);
            return Pushed::Accepted;
        };
        let ahead = since(sample.tick, newest.tick);
        if ahead > 0 {
            let oldest = self.sample(0).unwrap_or(newest);
            if sample.tick.wrapping_sub(oldest.tick) >= REACH {
                self.forget_before(sample.tick);
            }
            let held = self.held();
            self.put(sample, held, held);
            return Pushed::Accepted;
        }
        if ahead.unsigned_abs() >= REACH {
            return Pushed::Late;
        }
        self.push_behind(sample, newest, held)
    }

    /// Puts in a sample that is not newer than the newest: mostly by little, so search from there.
    fn push_behind(&mut self, sample: Sample, newest: Sample, held: usize) -> Pushed {
        let behind = newest.tick.wrapping_sub(sample.tick);
        let mut index = held;
        while let Some(other) = index.checked_sub(1).and_then(|i| self.sample(i)) {
            let behind_other = newest.tick.wrapping_sub(other.tick);
            if behind_other == behind {
                self.header.exchange(other, sample);
                self.write(index - 1, sample);
                return Pushed::Replaced { before: other };
            }
            if behind_other > behind {
                break;
            }
            index -= 1;
        }
        if index == 0 && self.header.is_full() {
            return Pushed::Late;
        }
        self.put(sample, index, held);
        Pushed::Accepted
    }

    /// Puts a sample before the one at `index` (in order of time) of the `held` ones; in a full
    /// ring the oldest leaves, so `index` is then at least 1.
    fn put(&mut self, sample: Sample, index: usize, held: usize) {
        if self.header.is_full()
            && let Some(oldest) = self.sample(0)
        {
            self.follower.left(self.place(0), oldest);
            self.header.remove(oldest);
        }
        // In a full ring the place after the newest is the oldest's: it is written over.
        for later in (index..held).rev() {
            let (from, to) = (self.place(later), self.place(later + 1));
            if let Some(moved) = self.ring.get(from).copied()
                && let Some(place) = self.ring.get_mut(to)
            {
                *place = moved;
                self.follower.moved(from, to);
            }
        }
        self.write(index, sample);
        self.header.add(sample);
        self.advance(sample);
    }

    /// Moves the head on, past a sample that was put in; the reference follows the window.
    #[inline]
    fn advance(&mut self, sample: Sample) {
        let next = self.header.head() + 1;
        if next == self.ring.len() {
            // Once a turn, so that times stay short.
            self.header.place(0, true);
            self.refer_to_newest();
        } else {
            self.header.place(next, self.header.is_full());
            if since(sample.tick, self.header.reference()).unsigned_abs() >= REACH {
                self.refer_to_newest();
            }
        }
    }

    /// Counts time from near the newest sample: by moving the sums where that surely gives what a
    /// recount would, else by a recount.
    fn refer_to_newest(&mut self) {
        let ends = self.held().checked_sub(1).and_then(|last| {
            let (oldest, newest) = (self.sample(0)?, self.sample(last)?);
            Some((oldest.tick, newest.tick))
        });
        let Some((oldest, newest)) = ends else {
            return;
        };
        *self.header = self.header.moved(oldest, newest).unwrap_or_else(|| {
            let mut header = Header::near(newest);
            header.place(self.header.head(), self.header.is_full());
            recount(&header, self.ring)
        });
    }

    /// Forgets what a window whose newest sample is at `tick` does not reach: seldom, so the rest
    /// is simply put in anew.
    fn forget_before(&mut self, tick: u32) {
        let held = self.held();
        let first = if self.header.is_full() {
            self.header.head()
        } else {
            0
        };
        self.ring.rotate_left(first);
        self.follower.turned(first);
        let mut kept = 0;
        for place in 0..held {
            let Some(sample) = self.ring.get(place).copied() else {
                break;
            };
            if tick.wrapping_sub(sample.tick) >= REACH {
                self.follower.left(place, sample);
            } else {
                if let Some(to) = self.ring.get_mut(kept) {
                    *to = sample;
                }
                self.follower.moved(place, kept);
                kept += 1;
            }
        }
        if let Some(rest) = self.ring.get_mut(kept..) {
            rest.fill(Sample::default());
        }
        let mut header = Header::near(tick);
        header.place(kept, false); // at least the oldest is gone
        *self.header = recount(&header, self.ring);
    }

    /// Lets go of everything.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.held() {
            let place = self.place(index);
            if let Some(&sample) = self.ring.get(place) {
                self.follower.left(place, sample);
            }
        }
        *self.header = Header::default();
        self.ring.fill(Sample::default());
    }

    fn held(&self) -> usize {
        if self.header.is_full() {
            self.ring.len()
        } else {
            self.header.head()
        }
    }

    /// Returns the place of the sample at `index` in order of time.
    fn place(&self, index: usize) -> usize {
        if !self.header.is_full() {
            return index;
        }
        let place = self.header.head() + index; // below twice the capacity
        place.checked_sub(self.ring.len()).unwrap_or(place)
    }

    fn sample(&self, index: usize) -> Option<Sample> {
        self.ring.get(self.place(index)).copied()
    }

    fn write(&mut self, index: usize, sample: Sample) {
        let place = self.place(index);
        if let Some(at) = self.ring.get_mut(place) {
            *at = sample;
            self.follower.written(place);
        }
    }
}

/// Returns the samples of a ring in order of time, as the two slices that they lie in.
pub(crate) fn slices<'a, T>(header: &Header, ring: &'a [T]) -> (&'a [T], &'a [T]) {
    let (front, back) = ring.split_at_checked(header.head()).unwrap_or((ring, &[]));
    if header.is_full() {
        (back, front)
    } else {
        (front, &[])
    }
}

/// Returns the header of a ring, counted from nothing but the samples, the head and the reference.
pub(crate) fn recount(header: &Header, ring: &[Sample]) -> Header {
    let mut counted = header.emptied();
    let (older, newer) = slices(header, ring);
    for &sample in older.iter().chain(newer) {
        counted.add(sample);
    }
    counted
}
