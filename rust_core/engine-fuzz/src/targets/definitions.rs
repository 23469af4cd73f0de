//! Rows of definitions and of accounts' shares: what is refused changes nothing, what is not works.

use super::frame::book_with_a_past;
use super::{Target, holds, kind, sound};
use crate::common::{START_MS, Wanted};
use engine_core::book::Book;
use engine_core::definition::CAMPAIGN_BYTES;

/// Campaigns' rows, and behind each the rows of its series.
#[derive(Debug)]
pub struct Definitions {
    book: Book,
    before: Vec<u8>,
}

impl Definitions {
    /// Returns the target.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let book = book_with_a_past();
        let before = book.snapshot();
        Self { book, before }
    }
}

fn rows(wanted: &Wanted) -> Vec<u8> {
    let (mut row, series) = wanted.rows();
    row.extend(series);
    row
}

impl Target for Definitions {
    fn name(&self) -> &'static str {
        "definition"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let strategies = (0..6).map(|strategy| Wanted {
            strategy,
            cpa: 3_000_000,
            ..Wanted::new(9)
        });
        let busy = Wanted {
            calendar: 3,
            daily_cap: 50_000_000,
            hold_ms: 4000,
            max_daily_change: 0.3,
            min_confidence: 0.2,
            blocked_hours: [3, 0, 1],
            blocked: vec![2],
            platforms: 4,
            ..Wanted::new(1)
        };
        let fewer = Wanted {
            platforms: 0,
            ..Wanted::new(3)
        };
        let others = strategies.chain([busy, fewer]);
        others.map(|one| rows(&one)).collect()
    }

    fn words(&self) -> Vec<u64> {
        vec![1, 2, 3, 9, 1001, 2002, 9001, START_MS.unsigned_abs()]
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        let mut book = self.book.clone();
        let (row, series) = input.split_at(CAMPAIGN_BYTES.min(input.len()));
        if let Err(error) = book.put(row, series) {
            holds(
                book.snapshot() == self.before,
                "a refused definition changed the book",
            )?;
            return Ok(kind(&error));
        }
        sound(&book)?;
        for round in 0..3 {
            book.decide(START_MS + 40_000 + round * 2000)
                .map_err(|error| format!("no round after it: {}", kind(&error)))?;
        }
        sound(&book)?;
        Ok("taken".to_string())
    }
}

/// Rows of accounts' shares.
#[derive(Debug)]
pub struct Shares {
    book: Book,
    before: Vec<u8>,
}

impl Shares {
    /// Returns the target.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut book = book_with_a_past();
        let (row, series) = Wanted {
            account: 5,
            ..Wanted::new(4)
        }
        .rows();
        book.put(&row, &series).unwrap();
        let before = book.snapshot();
        Self { book, before }
    }
}

impl Target for Shares {
    fn name(&self) -> &'static str {
        "share"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let row = |amounts: [i64; 4], is_halted: u8| {
            let mut row = 5_u64.to_le_bytes().to_vec();
            for amount in amounts {
                row.extend(amount.to_le_bytes());
            }
            row.extend([is_halted, 0, 0, 0, 0, 0, 0, 0]);
            row
        };
        vec![
            row([-1, -1, -1, 0], 0),
            row([9_000_000_000, 1_000_000, -1, 0], 0),
            row([9_000_000, 1_000_000, 500_000, START_MS + 60_000], 1),
        ]
    }

    fn words(&self) -> Vec<u64> {
        vec![5, u64::MAX, START_MS.unsigned_abs()]
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        let mut book = self.book.clone();
        if let Err(error) = book.put_accounts(input) {
            holds(
                book.snapshot() == self.before,
                "a refused share changed the book",
            )?;
            return Ok(kind(&error));
        }
        sound(&book)?;
        for round in 0..3 {
            book.decide(START_MS + 40_000 + round * 30_000)
                .map_err(|error| format!("no round after it: {}", kind(&error)))?;
        }
        sound(&book)?;
        Ok("taken".to_string())
    }
}
