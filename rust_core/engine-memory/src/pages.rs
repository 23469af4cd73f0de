//! Huge pages, as Linux gives them on request.

use std::mem::MaybeUninit;

/// The smallest huge page there is: less than one is not asked for.
const HUGE: usize = 2 << 20;
/// Of the pages that `madvise` takes the start of.
const PAGE: usize = 4096;

/// Asks for huge pages where memory that nobody has written to yet will be.
pub(crate) fn advise<T>(spare: &mut [MaybeUninit<T>]) {
    let bytes = size_of_val(spare);
    let begin = spare.as_mut_ptr().cast::<u8>();
    let skipped = begin.align_offset(PAGE);
    if bytes < skipped.saturating_add(HUGE) {
        return;
    }
    let length = (bytes - skipped) / PAGE * PAGE;
    // SAFETY: the pages from the first whole one on lie within `spare`, which is borrowed alone.
    // MADV_HUGEPAGE changes how they are backed and nothing of what they hold; that it failed (no
    // such pages here) is no loss, so the answer is not looked at.
    unsafe {
        let first = begin.add(skipped);
        libc::madvise(first.cast(), length, libc::MADV_HUGEPAGE);
    }
}
