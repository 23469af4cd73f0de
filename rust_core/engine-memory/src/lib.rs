//! What `engine-core` asks of the machine and safe Rust has no words for.
//!
//! All of it is advice: nothing here changes a result, and where a machine knows no such advice it
//! is not given. `bench/README.md` has the figures that pay for it.

mod columns;
#[cfg(target_os = "linux")]
mod pages;
mod registers;

pub use columns::lay_two;
pub use registers::{Work, widest};

/// Asks for the cache line of an item, so that it is there when it is needed. Beyond the end of the
/// slice nothing is asked for.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    let Some(item) = slice.get(index) else {
        return;
    };
    ask(std::ptr::from_ref(item));
}

/// Asks for every cache line of an item.
#[inline]
pub fn prefetch_whole<T>(item: &T) {
    let lines = std::ptr::from_ref(item).cast::<[u8; LINE]>();
    for line in 0..size_of::<T>().div_ceil(LINE) {
        ask(lines.wrapping_add(line));
    }
}

/// Bytes of a cache line; where it is longer, some are asked for twice.
const LINE: usize = 64;

#[inline]
fn ask<T>(line: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program could see, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(line.cast());
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction touches neither memory, flags nor the stack.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = line;
}

/// Makes room in a vector for exactly `additional` more items, in huge pages where there is room for
/// some: an array that is read at random places misses the page table's cache less often.
pub fn reserve_huge<T>(items: &mut Vec<T>, additional: usize) {
    items.reserve_exact(additional);
    #[cfg(target_os = "linux")]
    pages::advise(items.spare_capacity_mut());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_changes_nothing() {
        let mut items: Vec<u64> = vec![1, 2];
        reserve_huge(&mut items, 1 << 20);
        assert!(items.capacity() >= 2 + (1 << 20));
        items.extend(2..1 << 20);
        for index in [0, 1 << 19, 1 << 21, usize::MAX] {
            prefetch(&items, index);
            prefetch_whole(&items);
        }
        assert_eq!(items.first(), Some(&1));
        assert_eq!(items.last(), Some(&((1 << 20) - 1)));
    }
}
