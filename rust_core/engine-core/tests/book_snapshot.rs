//! Bytes that are no snapshot are refused: never a panic, never memory for what is not there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Report, START_MS, Wanted, frame, put};
use engine_core::book::Book;
use engine_core::error::CoreError;
use engine_core::money::Micros;
use proptest::prelude::*;
use std::sync::LazyLock;

static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| book().snapshot());

fn book() -> Book {
    let mut book = Book::new(8, 1, 2000).unwrap();
    book.set_calendar(3, vec![0, 86_400_000], vec![(0, 3_600_000)])
        .unwrap();
    let wanted: Vec<Wanted> = (1..4).map(Wanted::new).collect();
    put(&mut book, &wanted);
    put(
        &mut book,
        &[Wanted {
            platforms: 1,
            ..Wanted::new(2)
        }],
    );
    for sequence in 0..12 {
        let report = |key: u64| Report {
            series: key * 1000 + 1 + sequence % 2,
            tick: u32::try_from(sequence * 2000).unwrap(),
            clicks: 20,
            milliconversions: 1500,
            spend: 1_234_567,
            impressions: 500,
        };
        book.ingest(&frame(sequence, &[report(1), report(2), report(3)]))
            .unwrap();
        book.decide(START_MS + i64::try_from(sequence).unwrap() * 2000)
            .unwrap();
    }
    book.raise_settled(3, Micros(99_000_000)).unwrap();
    book
}

/// Writes the checksum anew, as damage before the checksum was taken would have it.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let body = bytes.len() - 8;
    if let Err(CoreError::Snapshot {
        part: "checksum",
        wanted,
        ..
    }) = Book::restore(&bytes)
    {
        bytes[body..].copy_from_slice(&wanted.to_le_bytes());
    }
    bytes
}

#[test]
fn a_snapshot_is_the_book() {
    let restored = Book::restore(&WHOLE).unwrap();
    assert_eq!(restored.snapshot(), *WHOLE);
    assert_eq!(restored.ledger(), book().ledger());
    assert_eq!((restored.campaigns(), restored.series()), (3, 6));
}

#[test]
fn memory_that_was_used_before_does_not_show() {
    let mut worn = Book::new(8, 1, 2000).unwrap();
    put(&mut worn, &[Wanted::new(50), Wanted::new(2)]);
    worn.ingest(&frame(0, &[])).unwrap();
    assert!(worn.remove(50) && worn.remove(2) && !worn.remove(2));
    let mut fresh = Book::new(8, 1, 2000).unwrap();
    fresh.ingest(&frame(0, &[])).unwrap();
    for book in [&mut worn, &mut fresh] {
        put(book, &[Wanted::new(1), Wanted::new(2)]);
        book.decide(START_MS).unwrap();
        book.verify().unwrap();
    }
    assert_eq!(worn.snapshot(), fresh.snapshot());
}

#[test]
fn every_truncation_is_refused() {
    for length in 0..WHOLE.len() {
        assert!(matches!(
            Book::restore(&WHOLE[..length]),
            Err(CoreError::Snapshot { .. })
        ));
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    let mut bytes = WHOLE.clone();
    bytes[8] = 9;
    let found = Book::restore(&bytes).unwrap_err();
    assert_eq!(
        found,
        CoreError::Snapshot {
            part: "version",
            wanted: 6,
            found: 9
        }
    );
}

proptest! {
    #[test]
    fn a_flipped_bit_is_found(at in 0..WHOLE.len(), bit in 0..8) {
        let mut bytes = WHOLE.clone();
        bytes[at] ^= 1_u8 << bit;
        prop_assert!(Book::restore(&bytes).is_err());
    }

    #[test]
    fn damage_that_was_sealed_in_is_no_panic(
        edits in prop::collection::vec((20..WHOLE.len() - 8, any::<u8>()), 1..8),
    ) {
        let mut bytes = WHOLE.clone();
        for (at, byte) in edits {
            bytes[at] = byte;
        }
        if let Ok(mut book) = Book::restore(&resealed(bytes)) {
            book.verify().unwrap();
            let _ = book.decide(START_MS + 10_000_000);
            let _ = book.ingest(&frame(99, &[]));
        }
    }

    #[test]
    fn bytes_of_any_kind_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Book::restore(&bytes).is_err());
    }

    #[test]
    fn frames_of_any_bytes_are_no_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        is_headed in any::<bool>(),
    ) {
        let mut book = Book::restore(&WHOLE).unwrap();
        if is_headed && bytes.len() >= 32 {
            bytes[..4].copy_from_slice(b"CEF1");
            bytes[6..8].copy_from_slice(&[1, 0]);
            bytes.truncate(32 + (bytes.len() - 32) / 32 * 32);
            let count = u32::try_from((bytes.len() - 32) / 32).unwrap();
            bytes[24..28].copy_from_slice(&count.to_le_bytes());
        }
        let before = book.snapshot();
        if book.ingest(&bytes).is_err() {
            prop_assert_eq!(book.snapshot(), before);
        }
        book.verify().unwrap();
    }

    #[test]
    fn definitions_of_any_bytes_are_no_panic(
        edits in prop::collection::vec((0_usize..168, any::<u8>()), 0..12),
    ) {
        let (mut row, series) = Wanted::new(9).rows();
        for (at, byte) in edits {
            row[at] = byte;
        }
        let mut book = Book::restore(&WHOLE).unwrap();
        let before = book.snapshot();
        let put = book.put(&row, &series);
        if put.is_err() {
            prop_assert_eq!(book.snapshot(), before);
        } else {
            for sequence in 0..5 {
                book.decide(START_MS + 1_000_000 + sequence * 2000).unwrap();
            }
            book.verify().unwrap();
            let again = Book::restore(&book.snapshot()).unwrap();
            prop_assert_eq!(again.snapshot(), book.snapshot());
        }
    }
}
