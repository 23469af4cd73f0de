//! Money: integer micros of one currency.

use std::fmt;

/// An amount in micros (millionths) of one currency. Which currency, the campaign knows.
///
/// There are no operators, so that every sum says what happens at the ends of the range.
///
/// ```
/// use engine_core::money::Micros;
///
/// let budget = Micros(12_500_000);
/// let spend = Micros(2_000_000);
/// assert_eq!(budget.checked_sub(spend), Some(Micros(10_500_000)));
/// assert_eq!(Micros::MAX.checked_add(spend), None);
/// assert_eq!(Micros::MAX.saturating_add(spend), Micros::MAX);
/// assert_eq!(budget.to_string(), "12.500000");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the sum, or `None` where it passes 64 bits.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// Returns the difference (negative where `other` is larger), or `None` where it passes 64 bits.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// Returns the product with a count, or `None` where it passes 64 bits.
    #[must_use]
    pub const fn checked_mul(self, count: i64) -> Option<Self> {
        match self.0.checked_mul(count) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// Returns the sum, held at the ends of the range: for spend, where stopping at the largest
    /// amount is safe because it exhausts every budget.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Returns the difference, held at the ends of the range.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Returns what is left of `self` after `spent`: never negative.
    #[must_use]
    pub const fn left_after(self, spent: Self) -> Self {
        let left = self.0.saturating_sub(spent.0);
        Self(if left > 0 { left } else { 0 })
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:06}", all / 1_000_000, all % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::Micros;

    #[test]
    fn sums_past_64_bits_are_none_and_saturation_stops_at_the_end() {
        assert_eq!(Micros::MAX.checked_add(Micros(1)), None);
        assert_eq!(Micros(i64::MIN).checked_sub(Micros(1)), None);
        assert_eq!(Micros(i64::MAX / 2).checked_mul(3), None);
        assert_eq!(Micros(i64::MIN).saturating_sub(Micros(1)), Micros(i64::MIN));
    }

    #[test]
    fn what_is_left_is_never_negative() {
        assert_eq!(Micros(5).left_after(Micros(3)), Micros(2));
        assert_eq!(Micros(3).left_after(Micros(5)), Micros::ZERO);
        assert_eq!(Micros::MAX.left_after(Micros(i64::MIN)), Micros::MAX);
    }

    #[test]
    fn the_smallest_amount_can_be_written() {
        assert_eq!(Micros(i64::MIN).to_string(), "-9223372036854.775808");
        assert_eq!(Micros(-1).to_string(), "-0.000001");
    }
}
