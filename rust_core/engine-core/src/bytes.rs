//! Little-endian bytes, read and written without panics: the one place that knows offsets.

/// Reads fixed-width little-endian fields, one after the other. A read past the end is `None`,
/// so a length that lies can neither panic nor allocate.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

macro_rules! readers {
    ($($name:ident: $type:ty),*) => {$(
        pub(crate) fn $name(&mut self) -> Option<$type> {
            let (head, rest) = self.rest.split_first_chunk::<{ size_of::<$type>() }>()?;
            self.rest = rest;
            Some(<$type>::from_le_bytes(*head))
        }
    )*};
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    readers!(u8: u8, u16: u16, u32: u32, u64: u64, i16: i16, i64: i64, f64: f64);

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads a number that was learned; `None` where none could have been.
    pub(crate) fn learned(&mut self) -> Option<f64> {
        self.f64().filter(|found| found.abs() <= MOST_LEARNED)
    }

    /// Reads an amount that was learned: 0 and above.
    pub(crate) fn learned_amount(&mut self) -> Option<f64> {
        self.learned().filter(|&found| found >= 0.0)
    }
}

/// The most that a number learned from reports may be, either way: no book comes near it, and sums
/// and products of a few such are still numbers.
const MOST_LEARNED: f64 = 1e18;

/// Returns a number as it may be kept: what is learned is held to what a snapshot takes back, so that
/// a book restored from anything can itself be stored.
pub(crate) fn learned(number: f64) -> f64 {
    if number.is_nan() {
        return 0.0;
    }
    number.clamp(-MOST_LEARNED, MOST_LEARNED)
}

/// Returns an amount as it may be kept: 0 and above.
pub(crate) fn learned_amount(amount: f64) -> f64 {
    let amount = amount.max(0.0); // and of what is no number
    amount.min(MOST_LEARNED)
}

/// Appends fixed-width little-endian fields.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

macro_rules! writers {
    ($($name:ident: $type:ty),*) => {$(
        pub(crate) fn $name(&mut self, value: $type) {
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    )*};
}

impl Writer {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let mut bytes = Vec::new();
        engine_memory::reserve_huge(&mut bytes, capacity);
        Self { bytes }
    }

    writers!(u8: u8, u16: u16, u32: u32, u64: u64, i16: i16, i64: i64, f64: f64);

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes words of eight bytes, in one go.
    pub(crate) fn words<const COUNT: usize>(&mut self, words: [[u8; 8]; COUNT]) {
        self.bytes.extend_from_slice(words.as_flattened());
    }

    /// Writes many things of the same length, moved as a whole.
    pub(crate) fn all<T, const N: usize>(&mut self, things: &[T], bytes: impl Fn(&T) -> [u8; N]) {
        let from = self.bytes.len();
        self.bytes.resize(from + N * things.len(), 0);
        let (places, _) = self
            .bytes
            .get_mut(from..)
            .unwrap_or_default()
            .as_chunks_mut();
        for (place, thing) in places.iter_mut().zip(things) {
            *place = bytes(thing);
        }
    }

    /// Writes a length that a `u32` is known to hold.
    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }
}
