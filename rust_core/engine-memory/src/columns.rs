//! Words of items as columns: the step from headers as they lie in memory to lanes.
//!
//! The compiler moves them one by one, which is a fourth of a sweep. Two items at a time, every move
//! is one of sixteen bytes.

#![allow(
    clippy::inline_always,
    reason = "called in loops compiled for several kinds of registers"
)]

/// Writes the words of two items into columns, at the places `lane` and the next: word k into column
/// k. Where there are no such places, nothing is written.
#[inline(always)]
pub fn lay_two<const LANES: usize>(
    columns: &mut [[u64; LANES]; 8],
    lane: usize,
    one: &[u64; 8],
    other: &[u64; 8],
) {
    let pairs = one.as_chunks().0.iter().zip(other.as_chunks().0);
    for (columns, (&one, &other)) in columns.as_chunks_mut::<2>().0.iter_mut().zip(pairs) {
        let found = across(one, other);
        for (column, found) in columns.iter_mut().zip(found) {
            if let Some(places) = column.get_mut(lane..).and_then(<[_]>::first_chunk_mut) {
                *places = found;
            }
        }
    }
}

/// Returns the first of both, and the second of both.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn across(one: [u64; 2], other: [u64; 2]) -> [[u64; 2]; 2] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi64, _mm_unpacklo_epi64};
    // SAFETY: both types are 16 bytes, and any such bytes are one of either; SSE2 is part of x86-64.
    unsafe {
        let of = |words| std::mem::transmute::<[u64; 2], __m128i>(words);
        let to = |register| std::mem::transmute::<__m128i, [u64; 2]>(register);
        let (one, other) = (of(one), of(other));
        [
            to(_mm_unpacklo_epi64(one, other)),
            to(_mm_unpackhi_epi64(one, other)),
        ]
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn across([a, b]: [u64; 2], [c, d]: [u64; 2]) -> [[u64; 2]; 2] {
    [[a, c], [b, d]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_to_their_columns() {
        let mut columns = [[0; 5]; 8];
        let (one, other) = ([1, 2, 3, 4, 5, 6, 7, 8], [11, 12, 13, 14, 15, 16, 17, 18]);
        lay_two(&mut columns, 2, &one, &other);
        for (column, (one, other)) in columns.iter().zip(one.into_iter().zip(other)) {
            assert_eq!(column, &[0, 0, one, other, 0]);
        }
        let before = columns;
        for lane in [4, 5, usize::MAX] {
            lay_two(&mut columns, lane, &other, &one);
        }
        assert_eq!(columns, before, "there is no room for two");
    }
}
