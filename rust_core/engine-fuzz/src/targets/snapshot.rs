//! Snapshots of books: what restores is sound, and is the snapshot it came from.

use super::frame::book_with_a_past;
use super::{Target, holds, kind, sound};
use crate::common::{START_MS, Wanted, frame, put, put_account};
use engine_core::book::Book;
use engine_core::error::CoreError;
use engine_core::money::Micros;

const SEAL_BYTES: usize = 8;
const LENGTH_AT: std::ops::Range<usize> = 12..20;
const HEADER_BYTES: usize = 20;

/// Snapshots of small books.
#[derive(Debug)]
pub struct Snapshots {
    seeds: Vec<Vec<u8>>,
}

impl Snapshots {
    /// Returns the target.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let whole = book_with_a_past();
        let mut with_accounts = whole.clone();
        put_account(&mut with_accounts, 5, 9_000_000_000, 1_000_000_000, false);
        let mine = Wanted {
            account: 5,
            calendar: 3,
            daily_cap: 50_000_000,
            hold_ms: 4000,
            max_daily_change: 0.3,
            min_confidence: 0.2,
            blocked_hours: [3, 0, 1],
            blocked: vec![2],
            ..Wanted::new(4)
        };
        put(&mut with_accounts, &[mine]);
        for round in 13..20 {
            with_accounts.decide(START_MS + round * 2000).unwrap();
        }
        with_accounts.raise_settled(3, Micros(99_000_000)).unwrap();
        let mut new = Book::new(4, 1, 2000).unwrap();
        put(&mut new, &[Wanted::new(1)]);
        let seeds = [whole, with_accounts, new, Book::new(64, 1, 2000).unwrap()];
        Self {
            seeds: seeds.iter().map(Book::snapshot).collect(),
        }
    }
}

impl Target for Snapshots {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn longest(&self) -> usize {
        16_384
    }

    fn words(&self) -> Vec<u64> {
        (1..5).flat_map(|key| [key, key * 1000 + 1]).collect()
    }

    fn repair(&self, input: &mut Vec<u8>) {
        if input.len() < HEADER_BYTES + SEAL_BYTES {
            return;
        }
        input[..12].copy_from_slice(&self.seeds[0][..12]);
        let state = (input.len() - HEADER_BYTES - SEAL_BYTES) as u64;
        input[LENGTH_AT].copy_from_slice(&state.to_le_bytes());
        if let Err(CoreError::Snapshot {
            part: "checksum",
            wanted,
            ..
        }) = Book::restore(input)
        {
            let body = input.len() - SEAL_BYTES;
            input[body..].copy_from_slice(&wanted.to_le_bytes());
        }
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        let mut book = match Book::restore(input) {
            Ok(book) => book,
            Err(error) => return Ok(kind(&error)),
        };
        // Not `== input`: a flag of 2 is read as 0, and a number behind a flag of 0 is not kept.
        sound(&book)?;
        let mut twin = Book::restore(input).map_err(|error| kind(&error))?;
        let _ = book.ingest(&frame(99, &[]));
        let _ = twin.ingest(&frame(99, &[]));
        let (one, other) = (
            book.decide(START_MS + 10_000_000),
            twin.decide(START_MS + 10_000_000),
        );
        match (one, other) {
            (Ok(one), Ok(other)) => {
                holds(
                    one.decisions == other.decisions && one.series == other.series,
                    "two books of one snapshot decide differently",
                )?;
                sound(&book)?;
                Ok("restored".to_string())
            }
            (Err(error), Err(_)) => Ok(format!("restored, {}", kind(&error))),
            _ => Err("one of two books of one snapshot refuses a round".to_string()),
        }
    }
}
