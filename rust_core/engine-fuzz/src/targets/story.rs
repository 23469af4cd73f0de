//! Stories: any calls in any order, on a book and on its twin that is saved and restored at will.
//!
//! Whatever is called, the two decide the same to the byte, nothing panics, what is refused changes
//! nothing, and no round reserves money that the budget does not have.

use super::{Target, holds, kind, sound};
use crate::common::{Report, START_MS, Wanted, frame, read, tick};
use engine_core::book::Book;
use engine_core::money::Micros;
use std::collections::BTreeMap;

const STEP_BYTES: usize = 12;
const MOST_STEPS: usize = 60;

/// Calls to a book, twelve bytes each.
#[derive(Debug)]
pub struct Stories;

impl Target for Stories {
    fn name(&self) -> &'static str {
        "story"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let step = |call: u8, who: u8, amount: u32, other: u32| {
            let mut step = vec![call, who, 0, 0];
            step.extend(amount.to_le_bytes());
            step.extend(other.to_le_bytes());
            step
        };
        let mut plain = vec![step(0, 1, 100_000_000, 0), step(0, 2, 5_000_000, 2)];
        for _ in 0..6 {
            plain.push(step(1, 1, 300_000, 10));
            plain.push(step(1, 10, 900_000, 4));
            plain.push(step(2, 0, 2000, 0));
            plain.push(step(3, 0, 0, 0));
        }
        let mut changed = plain.clone();
        changed.extend([
            step(0, 1, 20_000_000, 4),
            step(4, 2, 0, 0),
            step(2, 0, 2000, 0),
            step(5, 1, 30_000_000, 0),
            step(6, 9, 60_000_000, 0),
            step(7, 1, 4_000_000, 1_000_000),
            step(0, 129, 20_000_000, 4),
            step(2, 0, 90_000_000, 0),
            step(8, 1, 0, 0),
            step(2, 0, 2000, 0),
        ]);
        vec![plain.concat(), changed.concat()]
    }

    fn longest(&self) -> usize {
        STEP_BYTES * MOST_STEPS
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        let mut tale = Tale::new();
        let mut said = 0_u32;
        for step in input.chunks_exact(STEP_BYTES).take(MOST_STEPS) {
            let number = |at: usize| {
                u32::from_le_bytes([step[at], step[at + 1], step[at + 2], step[at + 3]])
            };
            let is_done = tale.call(step[0] % 9, step[1], number(4), number(8))?;
            said |= 1 << (u32::from(step[0] % 9) * 2 + u32::from(is_done));
        }
        sound(&tale.book)?;
        Ok(format!("{said:x}").replace(|c: char| c.is_ascii_digit(), "#"))
    }
}

struct Tale {
    book: Book,
    twin: Book,
    at_ms: i64,
    sequence: u64,
    budgets: BTreeMap<u64, i64>,
}

impl Tale {
    fn new() -> Self {
        let book = Book::new(6, 1, 2000).unwrap();
        Self {
            twin: book.clone(),
            book,
            at_ms: START_MS,
            sequence: 0,
            budgets: BTreeMap::new(),
        }
    }

    /// Makes a call on both books; returns whether it was taken.
    fn call(&mut self, call: u8, who: u8, amount: u32, other: u32) -> Result<bool, String> {
        match call {
            0 => self.put(who, amount, other),
            1 => self.report(who, amount, other),
            2 => self.decide(amount),
            3 => {
                self.twin = Book::restore(&self.twin.snapshot()).map_err(|error| kind(&error))?;
                Ok(true)
            }
            4 => {
                let key = u64::from(who % 8);
                let is_there = self.book.remove(key);
                self.twin.remove(key);
                self.budgets.remove(&key);
                Ok(is_there)
            }
            5 => {
                let (key, to) = (u64::from(who % 8), Micros(i64::from(amount)));
                self.same(|book| book.raise_settled(key, to))
            }
            6 => {
                let (key, to) = (series(who), Micros(i64::from(amount)));
                self.same(|book| book.raise_cap(key, to))
            }
            7 => {
                let mut row = u64::from(who % 4).to_le_bytes().to_vec();
                for money in [i64::from(amount), i64::from(other), -1, 0] {
                    row.extend(money.to_le_bytes());
                }
                row.extend([who >> 7, 0, 0, 0, 0, 0, 0, 0]);
                self.same(|book| book.put_accounts(&row))
            }
            _ => {
                self.book.set_halted(who & 1 == 1);
                self.twin.set_halted(who & 1 == 1);
                Ok(true)
            }
        }
    }

    fn put(&mut self, who: u8, amount: u32, other: u32) -> Result<bool, String> {
        let key = u64::from(who % 8);
        let wanted = Wanted {
            budget: i64::from(amount),
            platforms: u64::from(other % 4),
            strategy: u8::try_from(other >> 2 & 7).unwrap_or(0),
            account: u64::from(who >> 7) * u64::from(other >> 5 & 3),
            daily_cap: i64::from(other >> 8 & 0xFF) * 100_000,
            is_active: u8::from(who & 64 == 0),
            hold_ms: other >> 16 & 0xFFF,
            cpa: i64::from(other >> 7 & 0xFFFF) * 100,
            ..Wanted::new(key)
        };
        let (row, series) = wanted.rows();
        let is_done = self.same(|book| book.put(&row, &series))?;
        if is_done {
            self.budgets.insert(key, i64::from(amount));
        }
        Ok(is_done)
    }

    fn report(&mut self, who: u8, amount: u32, other: u32) -> Result<bool, String> {
        self.sequence += u64::from(other & 3);
        let at_ms = self.at_ms - i64::from(other >> 2 & 0xFF) * 37;
        let clicks = other >> 10 & 0xFF;
        let report = Report {
            series: series(who),
            tick: tick(at_ms),
            clicks,
            milliconversions: clicks * (other >> 18 & 0xFF),
            spend: i64::from(amount),
            impressions: clicks * 50,
        };
        let bytes = frame(self.sequence, &[report]);
        self.same(|book| book.ingest(&bytes).map(|_| ()))
    }

    fn decide(&mut self, later_ms: u32) -> Result<bool, String> {
        let at_ms = self.at_ms + i64::from(later_ms);
        let ledger = self.book.ledger();
        let sums = ledger
            .iter()
            .map(|line| (line.campaign, line.settled.0 + line.reserved.0));
        let committed: BTreeMap<u64, i64> = sums.collect();
        let (one, other) = (self.book.decide(at_ms), self.twin.decide(at_ms));
        let (one, other) = match (one, other) {
            (Ok(one), Ok(other)) => (one, other),
            (Err(_), Err(_)) => return Ok(false),
            _ => return Err("a restored book refuses another round".to_string()),
        };
        self.at_ms = at_ms;
        holds(
            one.decisions == other.decisions && one.series == other.series,
            "a restored book decides otherwise",
        )?;
        for decided in read(&one) {
            let budget = self.budgets.get(&decided.campaign).copied().unwrap_or(0);
            // Platforms that pass their caps may commit more than the budget; a round may not.
            let before = committed.get(&decided.campaign).copied().unwrap_or(0);
            holds(
                decided.settled + decided.reserved <= budget.max(before),
                "a round reserves money that the budget has not",
            )?;
        }
        Ok(true)
    }

    /// Makes one call on both; what is refused must change nothing.
    fn same<E>(&mut self, call: impl Fn(&mut Book) -> Result<(), E>) -> Result<bool, String> {
        let before = self.book.snapshot();
        let (one, other) = (call(&mut self.book), call(&mut self.twin));
        holds(
            one.is_ok() == other.is_ok(),
            "a restored book takes another call",
        )?;
        if one.is_err() {
            holds(
                self.book.snapshot() == before,
                "a refused call changed the book",
            )?;
        }
        Ok(one.is_ok())
    }
}

fn series(who: u8) -> u64 {
    u64::from(who % 8) * 1000 + u64::from(who >> 3 & 3)
}
