//! Which code an input has reached, by the counters that LLVM puts into engine-core.
//!
//! The crate is then built with `-Cpasses=sancov-module` and the like (see the Makefile); built
//! otherwise nobody calls the function below, there are no counters, and the answers must guide.
#![allow(unsafe_code)]

use std::sync::Mutex;

static COUNTERS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called before `main` by each module with counters: where they begin and end.
///
/// # Safety
/// `begin` to `end` must be bytes that live as long as the process, and belong to LLVM's counters.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(begin: *mut u8, end: *mut u8) {
    let length = end as usize - begin as usize;
    if let Ok(mut known) = COUNTERS.lock()
        && !known.iter().any(|&(at, _)| at == begin as usize)
    {
        known.push((begin as usize, length));
    }
}

/// What has been reached so far, by any input.
#[derive(Debug, Default)]
pub struct Reached {
    known: Vec<u8>,
}

impl Reached {
    /// Returns whether the code is counted.
    #[must_use]
    pub fn is_guided() -> bool {
        COUNTERS.lock().is_ok_and(|known| !known.is_empty())
    }

    /// Returns how many places have been reached.
    #[must_use]
    pub fn places(&self) -> usize {
        self.known.iter().filter(|&&seen| seen != 0).count()
    }

    /// Forgets what was counted before the next input.
    pub fn begin() {
        each(|_, counter| *counter = 0);
    }

    /// Returns whether the input reached something new, or something much more often.
    pub fn has_news(&mut self) -> bool {
        let mut is_new = false;
        let known = &mut self.known;
        each(|index, counter| {
            if known.len() <= index {
                known.resize(index + 1, 0);
            }
            let mark = match *counter {
                0 => return,
                1 => 1,
                2 => 2,
                3 => 4,
                4..=7 => 8,
                8..=15 => 16,
                16..=31 => 32,
                32..=127 => 64,
                128.. => 128,
            };
            if known[index] & mark == 0 {
                known[index] |= mark;
                is_new = true;
            }
        });
        is_new
    }
}

fn each(mut visit: impl FnMut(usize, &mut u8)) {
    let Ok(regions) = COUNTERS.lock() else {
        return;
    };
    let mut index = 0;
    for &(begin, length) in regions.iter() {
        // SAFETY: the region is as `__sanitizer_cov_8bit_counters_init` was told, and static; the
        // fuzzer runs on one thread, so nobody counts in it at this moment.
        let counters = unsafe { std::slice::from_raw_parts_mut(begin as *mut u8, length) };
        for counter in counters {
            visit(index, counter);
            index += 1;
        }
    }
}
