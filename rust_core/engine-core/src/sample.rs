//! A sample: what one platform reported for one stretch of time, as a window stores it.

use crate::error::CoreError;

/// One platform's report for the stretch of time that ends at `tick`: 16 bytes, and on the wire
/// the same 16 bytes, little-endian.
///
/// Counts and spend, never rates: rates would be rounded before any arithmetic is done.
///
/// ```
/// use engine_core::window::Sample;
///
/// let sample = Sample { tick: 1, clicks: 20, milliconversions: 1500, spend_units: 9000 };
/// assert_eq!(Sample::from_bytes(sample.to_bytes()), sample);
/// assert_eq!(sample.to_bytes()[..4], [1, 0, 0, 0]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(16))]
pub struct Sample {
    /// End of the stretch, in ticks modulo 2^32.
    pub tick: u32,
    /// Clicks, below 2^31.
    pub clicks: u32,
    /// Conversions in thousandths (attribution models give fractions), below 2^31.
    pub milliconversions: u32,
    /// Spend in units of the account's currency, below 2^31.
    pub spend_units: u32,
}

/// The first count that a sample cannot hold.
const LIMIT: u32 = 1 << 31;

impl Sample {
    /// Returns the 16 bytes of the sample: four little-endian `u32`.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let words = [
            self.tick,
            self.clicks,
            self.milliconversions,
            self.spend_units,
        ];
        let mut bytes = [0; 16];
        for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
            four.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the sample that 16 bytes hold. Any bytes make one; `push` checks its range.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        let all = u128::from_le_bytes(bytes); // cut in four, this compiles to one move
        Self {
            tick: (all & 0xffff_ffff) as u32,
            clicks: (all >> 32 & 0xffff_ffff) as u32,
            milliconversions: (all >> 64 & 0xffff_ffff) as u32,
            spend_units: (all >> 96) as u32,
        }
    }

    /// Checks the ranges of the counts.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] where clicks, milliconversions or spend units reach 2^31.
    pub fn check(&self) -> Result<(), CoreError> {
        if (self.clicks | self.milliconversions | self.spend_units) < LIMIT {
            return Ok(()); // one branch for the three
        }
        for (what, found) in [
            ("clicks", self.clicks),
            ("milliconversions", self.milliconversions),
            ("spend_units", self.spend_units),
        ] {
            if found >= LIMIT {
                return Err(CoreError::OutOfRange {
                    what,
                    wanted: "below 2^31",
                    found: i128::from(found),
                });
            }
        }
        Ok(())
    }
}
