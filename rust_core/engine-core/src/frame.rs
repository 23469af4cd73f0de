//! Frames of samples as they come off the wire: one header, then packed rows, all of one partition.
//!
//! `python/engine/core/rows.py` holds the same layout (`FRAME_HEADER`, `SAMPLE_ROW`); a test holds
//! the two equal. A frame that is malformed as a whole is an error; a row out of range is counted
//! as refused by whoever counts the rows, so that one bad row does not cost its neighbours.

use crate::bytes::Reader;
use crate::error::CoreError;
use crate::receipts::{Receipt, Rest};
use crate::window::Sample;

/// The first four bytes of every frame.
pub const MAGIC: [u8; 4] = *b"CEF1";
/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 32;
/// Bytes of a row.
pub const ROW_BYTES: usize = 32;
/// Counts and spend of one row stay below this: windows sum them exactly.
pub const COUNT_LIMIT: u32 = 1 << 31;

/// A well-formed frame; the rows still point into the caller's bytes.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The partition its producer sent it to.
    pub partition: u16,
    /// FNV-1a-64 of the producer's name.
    pub producer: u64,
    /// Rises by one a frame, for each producer and partition.
    pub sequence: u64,
    /// What one unit of the rows' spend is worth.
    pub unit_micros: u32,
    rows: &'a [u8],
}

/// One row of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Key of the series reported on.
    pub series: u64,
    /// Times shown.
    pub impressions: u32,
    /// Spend below one unit.
    pub spend_rest_micros: u16,
    /// 0: a report.
    pub kind: u8,
    /// Must be 0.
    pub reserved: u8,
    /// The part that a window stores.
    pub sample: Sample,
}

impl<'a> Frame<'a> {
    /// Reads a frame's header and checks that the rows are all there.
    ///
    /// # Errors
    /// `CoreError::Frame` where the length, the magic, the tick or the unit is not what it must be.
    pub fn parse(bytes: &'a [u8], tick_ms: u32) -> Result<Self, CoreError> {
        let refuse = |field, wanted, found| CoreError::Frame {
            field,
            wanted,
            found,
        };
        let length = bytes.len() as u64;
        let mut reader = Reader::new(bytes);
        let header = (|| {
            Some((
                reader.u32()?,
                reader.u16()?,
                reader.u16()?,
                reader.u64()?,
                reader.u64()?,
                reader.u32()?,
                reader.u32()?,
            ))
        })();
        let Some((magic, partition, frame_tick_ms, producer, sequence, count, unit_micros)) =
            header
        else {
            return Err(refuse("length in bytes", HEADER_BYTES as u64, length));
        };
        let wanted_magic = u32::from_le_bytes(MAGIC);
        if magic != wanted_magic {
            return Err(refuse("magic", u64::from(wanted_magic), u64::from(magic)));
        }
        if u32::from(frame_tick_ms) != tick_ms {
            return Err(refuse(
                "tick_ms",
                u64::from(tick_ms),
                u64::from(frame_tick_ms),
            ));
        }
        let wanted_length = HEADER_BYTES as u64 + u64::from(count) * ROW_BYTES as u64;
        if length != wanted_length {
            return Err(refuse("length in bytes", wanted_length, length));
        }
        if unit_micros == 0 {
            return Err(refuse("unit_micros", 1, 0));
        }
        let rows = reader.take(reader.remaining()).unwrap_or_default();
        Ok(Self {
            partition,
            producer,
            sequence,
            unit_micros,
            rows,
        })
    }

    /// Returns how many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len() / ROW_BYTES
    }

    /// Returns whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Iterates the rows in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> + 'a {
        self.rows.chunks_exact(ROW_BYTES).filter_map(Row::parse)
    }
}

impl Row {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Some(Self {
            series: reader.u64()?,
            impressions: reader.u32()?,
            spend_rest_micros: reader.u16()?,
            kind: reader.u8()?,
            reserved: reader.u8()?,
            sample: Sample {
                tick: reader.u32()?,
                clicks: reader.u32()?,
                milliconversions: reader.u32()?,
                spend_units: reader.u32()?,
            },
        })
    }

    /// Returns the receipt for it.
    pub(crate) fn receipt(&self) -> Receipt {
        Receipt {
            sample: self.sample,
            rest: Rest::new(self.impressions, self.spend_rest_micros),
        }
    }

    /// Returns whether every field is in range for a series that counts in `unit_micros`.
    #[must_use]
    pub fn is_in_range(&self, unit_micros: u32) -> bool {
        self.kind == 0
            && self.reserved == 0
            && u32::from(self.spend_rest_micros) < unit_micros
            && self.sample.clicks < COUNT_LIMIT
            && self.sample.milliconversions < COUNT_LIMIT
            && self.sample.spend_units < COUNT_LIMIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(count: u32, rows: usize) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(25_u16.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend(9_u64.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(100_u32.to_le_bytes());
        bytes.resize(HEADER_BYTES + rows * ROW_BYTES, 0);
        bytes
    }

    #[test]
    fn a_header_is_read_field_by_field() {
        let bytes = frame(2, 2);
        let frame = Frame::parse(&bytes, 1).unwrap();
        assert_eq!(
            (frame.partition, frame.producer, frame.sequence),
            (25, 7, 9)
        );
        assert_eq!(
            (frame.unit_micros, frame.len(), frame.rows().count()),
            (100, 2, 2)
        );
    }

    #[test]
    fn a_count_that_lies_is_refused_with_both_lengths() {
        let found = Frame::parse(&frame(u32::MAX, 1), 1).unwrap_err();
        let wanted = 32 + u64::from(u32::MAX) * 32;
        assert_eq!(
            found,
            CoreError::Frame {
                field: "length in bytes",
                wanted,
                found: 64
            }
        );
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = frame(1, 1);
        for length in 0..whole.len() {
            assert!(Frame::parse(whole.get(..length).unwrap_or_default(), 1).is_err());
        }
    }

    #[test]
    fn another_tick_is_refused() {
        let found = Frame::parse(&frame(0, 0), 1000).unwrap_err();
        assert_eq!(
            found,
            CoreError::Frame {
                field: "tick_ms",
                wanted: 1000,
                found: 1
            }
        );
    }
}
