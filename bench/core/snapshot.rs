//! Times taking and restoring the snapshot of a whole fleet's windows, all full, beside a copy of its
//! bytes into memory that is as new and in pages as large. A worker does it partition by partition.
//!
//! Prints one line of JSON: 100,000 campaigns on four platforms (6 GB), or `SNAPSHOT_CAMPAIGNS`.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark prints, and may stop where its set-up is wrong"
)]

#[path = "../../rust_core/engine-core/tests/common/mod.rs"]
mod common;
mod floor;

use common::{Report, START_MS, Wanted, frame, put, tick};
use engine_core::book::Book;
use floor::time;
use std::hint::black_box;

const PLATFORMS: u64 = 4;
const WINDOW: u64 = 64;
const TRIES: usize = 3;

/// Returns a book of full windows, after a round.
fn book(campaigns: u64) -> Book {
    let mut book = Book::new(usize::try_from(WINDOW).expect("small"), 1, 2000).expect("legal");
    let wanted: Vec<Wanted> = (1..=campaigns)
        .map(|key| Wanted {
            platforms: PLATFORMS,
            ..Wanted::new(key)
        })
        .collect();
    put(&mut book, &wanted);
    for turn in 0..WINDOW {
        let at_ms = START_MS + i64::try_from(turn).expect("few") * 2000;
        let reports: Vec<Report> = wanted
            .iter()
            .flat_map(|one| (1..=PLATFORMS).map(|platform| one.series_key(platform)))
            .map(|series| Report {
                series,
                tick: tick(at_ms),
                clicks: 40 + u32::try_from(series % 17).expect("small"),
                milliconversions: 1500,
                spend: 200_000,
                impressions: 500,
            })
            .collect();
        book.ingest(&frame(turn, &reports)).expect("a legal frame");
    }
    book.decide(START_MS + i64::try_from(WINDOW).expect("few") * 2000)
        .expect("a later round");
    book
}

/// Returns the bytes anew, in memory that nobody had before.
fn copied(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::new();
    engine_memory::reserve_huge(&mut copy, bytes.len());
    copy.extend_from_slice(bytes);
    copy
}

fn main() {
    let campaigns = std::env::var("SNAPSHOT_CAMPAIGNS").map_or(100_000, |found| {
        found.parse().expect("a number of campaigns")
    });
    let book = book(campaigns);
    let mut least = [f64::INFINITY; 3];
    let mut snapshot = Vec::new();
    for _ in 0..TRIES {
        let (mut copy, mut restored) = (Vec::new(), None);
        drop(std::mem::take(&mut snapshot));
        let take = time(|| snapshot = black_box(book.snapshot()));
        let copying = time(|| copy = black_box(copied(&snapshot)));
        drop(copy);
        let restore = time(|| restored = Some(Book::restore(&snapshot).expect("a whole snapshot")));
        drop(black_box(restored));
        for (least, found) in least.iter_mut().zip([take, restore, copying]) {
            *least = least.min(found.as_secs_f64());
        }
    }
    let [take, restore, copy] = least;
    println!(
        "{{\"bench\": \"snapshot\", \"campaigns\": {campaigns}, \"snapshot_take_ms\": {:.1}, \
         \"snapshot_restore_ms\": {:.1}, \"snapshot_copy_ms\": {:.1}, \
         \"snapshot_take_ratio\": {:.2}, \"snapshot_restore_ratio\": {:.2}, \
         \"snapshot_copy_ratio\": {:.2}, \"snapshot_bytes\": {}}}",
        take * 1e3,
        restore * 1e3,
        copy * 1e3,
        take / copy,
        restore / copy,
        take.max(restore) / copy,
        snapshot.len(),
    );
}
