//! What memory alone allows: the floors that the benchmarks of the core stand beside, and the
//! timing that makes them comparable.
//!
//! A machine shared with others changes its pace from second to second, so floor and core take turns
//! in short stretches, and the lower quartile of each is kept: a ratio of two such figures is steadier than
//! either of them.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Numbers in no order, the same in each run.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Returns dice that roll the same each time.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }

    /// Returns the numbers below `count` in no order, each once.
    pub(crate) fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            all.swap(last, self.roll(last + 1));
        }
        all
    }
}

/// Returns how long a piece of work took.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Returns the lower quartile of each of two columns of times: what others on the machine disturbed lies
/// above it, and a lucky moment below.
#[must_use]
pub(crate) fn undisturbed(times: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|column| {
        let mut all: Vec<f64> = times.iter().map(|pair| pair[column]).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[all.len() / 4]
    })
}

/// Nanoseconds for each of `count` things.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub(crate) fn ns_each(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

/// Two arrays, of 64 bytes and of 16 · `window` bytes a slot: for each update one random line of each
/// is read, changed and written, both asked for ahead.
#[derive(Debug)]
pub(crate) struct TwoLines {
    headers: Vec<[u64; 8]>,
    rings: Vec<[u64; 2]>,
    window: usize,
}

impl TwoLines {
    /// Returns arrays for so many slots.
    #[must_use]
    pub(crate) fn new(slots: usize, window: usize) -> Self {
        let (mut headers, mut rings) = (Vec::new(), Vec::new());
        engine_memory::reserve_huge(&mut headers, slots);
        engine_memory::reserve_huge(&mut rings, slots * window);
        headers.resize(slots, [1; 8]);
        rings.resize(slots * window, [1; 2]);
        Self {
            headers,
            rings,
            window,
        }
    }

    /// Reads, changes and writes two lines for each slot, which place of its ring being `turn`'s.
    pub(crate) fn update(&mut self, slots: &[usize], turn: usize) {
        const AHEAD: usize = 32;
        let place = |slot: usize| slot * self.window + (turn + slot) % self.window;
        for (index, &slot) in slots.iter().enumerate() {
            if let Some(&later) = slots.get(index + AHEAD) {
                engine_memory::prefetch(&self.headers, later);
                engine_memory::prefetch(&self.rings, place(later));
            }
            let sample = &mut self.rings[place(slot)];
            let header = &mut self.headers[slot];
            header[0] = header[0].wrapping_add(sample[0]);
            header[7] = header[7].wrapping_add(sample[1]);
            *sample = [header[0], header[7]];
        }
        black_box(&mut self.headers);
    }
}

/// Streams: for each campaign the lines of its platforms' headers and one of parameters are read, and
/// 32 bytes are written.
#[derive(Debug)]
pub(crate) struct Stream {
    headers: Vec<[u64; 8]>,
    parameters: Vec<[u64; 8]>,
    out: Vec<[u64; 4]>,
    platforms: usize,
}

impl Stream {
    /// Returns arrays for so many campaigns.
    #[must_use]
    pub(crate) fn new(campaigns: usize, platforms: usize) -> Self {
        let (mut headers, mut parameters) = (Vec::new(), Vec::new());
        engine_memory::reserve_huge(&mut headers, campaigns * platforms);
        engine_memory::reserve_huge(&mut parameters, campaigns);
        headers.resize(campaigns * platforms, [1; 8]);
        parameters.resize(campaigns, [1; 8]);
        Self {
            headers,
            parameters,
            out: vec![[0; 4]; campaigns],
            platforms,
        }
    }

    /// Reads all and writes all, once.
    pub(crate) fn sweep(&mut self) {
        let headers = self.headers.chunks_exact(self.platforms);
        for ((headers, parameters), out) in headers.zip(&self.parameters).zip(&mut self.out) {
            let mut sums = *parameters;
            for header in headers {
                for (sum, word) in sums.iter_mut().zip(header) {
                    *sum = sum.wrapping_add(*word);
                }
            }
            for (place, pair) in out.iter_mut().zip(sums.chunks_exact(2)) {
                *place = pair[0] ^ pair[1];
            }
        }
        black_box(&mut self.out);
    }
}
