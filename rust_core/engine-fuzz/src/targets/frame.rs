//! Frames: what parses is what was encoded; what is refused leaves the book as it was.

use super::{Target, holds, kind, sound};
use crate::common::{Report, START_MS, UNIT_MICROS, Wanted, frame, put, tick};
use engine_core::book::Book;
use engine_core::frame::{Frame, HEADER_BYTES, MAGIC, ROW_BYTES};

/// Frames into a book of a few campaigns that has a past.
#[derive(Debug)]
pub struct Frames {
    book: Book,
    before: Vec<u8>,
}

impl Frames {
    /// Returns the target.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let book = book_with_a_past();
        let before = book.snapshot();
        Self { book, before }
    }
}

/// Returns a book of three campaigns after some rounds.
#[must_use]
pub fn book_with_a_past() -> Book {
    let mut book = Book::new(8, 1, 2000).unwrap();
    book.set_calendar(3, vec![0, 86_400_000], vec![(0, 3_600_000)])
        .unwrap();
    let wanted: Vec<Wanted> = (1..4).map(Wanted::new).collect();
    put(&mut book, &wanted);
    let fewer = Wanted {
        platforms: 1,
        ..Wanted::new(2)
    };
    put(&mut book, &[fewer]);
    for number in 0..12_u64 {
        let at_ms = START_MS + i64::try_from(number).unwrap() * 2000;
        let reports: Vec<Report> = (1..4).map(|key| report(key, number, at_ms)).collect();
        book.ingest(&frame(number, &reports)).unwrap();
        book.decide(at_ms).unwrap();
    }
    book
}

fn report(key: u64, number: u64, at_ms: i64) -> Report {
    Report {
        series: key * 1000 + 1 + number % 2,
        tick: tick(at_ms),
        clicks: 20,
        milliconversions: 1500,
        spend: 1_234_567,
        impressions: 500,
    }
}

impl Target for Frames {
    fn name(&self) -> &'static str {
        "frame"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let at_ms = START_MS + 26_000;
        let restated = [report(1, 11, START_MS + 22_000)];
        let late = [report(1, 11, START_MS - 600_000)];
        let unknown = [report(9, 1, at_ms)];
        let many: Vec<Report> = (0..40)
            .map(|i| report(1 + i % 3, i, at_ms + i64::try_from(i).unwrap()))
            .collect();
        vec![
            frame(12, &[]),
            frame(12, &[report(1, 0, at_ms), report(2, 0, at_ms)]),
            frame(3, &restated),
            frame(12, &restated),
            frame(13, &late),
            frame(12, &unknown),
            frame(99, &many),
        ]
    }

    fn words(&self) -> Vec<u64> {
        let keys = (1..4).flat_map(|key| [key * 1000 + 1, key * 1000 + 2]);
        let ticks = (-2..15).map(|i| u64::from(tick(START_MS + i * 2000)));
        keys.chain(ticks)
            .chain([12, 13, u64::from(UNIT_MICROS), 77])
            .collect()
    }

    fn repair(&self, input: &mut Vec<u8>) {
        if input.len() < HEADER_BYTES {
            input.resize(HEADER_BYTES, 0);
        }
        let rows = (input.len() - HEADER_BYTES) / ROW_BYTES;
        input.truncate(HEADER_BYTES + rows * ROW_BYTES);
        input[..4].copy_from_slice(&MAGIC);
        input[6..8].copy_from_slice(&1_u16.to_le_bytes());
        let count = u32::try_from(rows).unwrap_or(0);
        input[24..28].copy_from_slice(&count.to_le_bytes());
        if input[28..32] != [0; 4] && !input[4].is_multiple_of(3) {
            input[28..32].copy_from_slice(&UNIT_MICROS.to_le_bytes());
        }
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        if let Ok(found) = Frame::parse(input, 1) {
            holds(encoded(&found) == input, "a parsed frame is another one")?;
        }
        let mut book = self.book.clone();
        let counted = match book.ingest(input) {
            Ok(counted) => counted,
            Err(error) => {
                holds(
                    book.snapshot() == self.before,
                    "a refused frame changed the book",
                )?;
                return Ok(kind(&error));
            }
        };
        let rows = counted.accepted + counted.replaced + counted.late;
        let rows = rows + counted.unknown + counted.refused;
        let wanted = (input.len() - HEADER_BYTES) / ROW_BYTES;
        holds(
            counted.is_duplicate || rows as usize == wanted,
            "a row was not counted, or twice",
        )?;
        sound(&book)?;
        let after = book.ledger();
        let again = book.ingest(input);
        holds(
            again.is_ok_and(|again| again.is_duplicate),
            "a frame that came again is no duplicate",
        )?;
        holds(
            book.ledger() == after,
            "a frame that came again changed the ledger",
        )?;
        book.decide(START_MS + 30_000)
            .map_err(|error| format!("no round after it: {}", kind(&error)))?;
        sound(&book)?;
        let seen = |count: u32| count.min(2);
        Ok(format!(
            "{} {} {} {} {} {}",
            seen(counted.accepted),
            seen(counted.replaced),
            seen(counted.late),
            seen(counted.unknown),
            seen(counted.refused),
            counted.is_duplicate
        ))
    }
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(frame.partition.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(frame.producer.to_le_bytes());
    bytes.extend(frame.sequence.to_le_bytes());
    bytes.extend(u32::try_from(frame.len()).unwrap_or(0).to_le_bytes());
    bytes.extend(frame.unit_micros.to_le_bytes());
    for row in frame.rows() {
        bytes.extend(row.series.to_le_bytes());
        bytes.extend(row.impressions.to_le_bytes());
        bytes.extend(row.spend_rest_micros.to_le_bytes());
        bytes.extend([row.kind, row.reserved]);
        bytes.extend(row.sample.to_bytes());
    }
    bytes
}
