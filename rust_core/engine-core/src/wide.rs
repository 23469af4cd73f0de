//! Differences of products, exactly, as the nearest double: where sums nearly cancel, this is
//! what keeps every digit.

/// Returns `a·b − c·d`, computed exactly and rounded once, to the nearest double.
///
/// Any operands will do.
pub(crate) fn cross(a: i128, b: i128, c: i128, d: i128) -> f64 {
    if let Some(exact) = narrow_cross(a, b, c, d) {
        return nearest(exact);
    }
    let (first, second) = (Wide::product(a, b), Wide::product(c, d));
    first.minus(second).nearest()
}

/// Returns `a·b − c·d`, or `None` where that could pass 127 bits.
pub(crate) const fn narrow_cross(a: i128, b: i128, c: i128, d: i128) -> Option<i128> {
    // Of 64 bits each, as most are, two multiplications do.
    if let (Some(a), Some(b), Some(c), Some(d)) = (short(a), short(b), short(c), short(d)) {
        return Some(a as i128 * b as i128 - c as i128 * d as i128);
    }
    // Comparing lengths is an order cheaper than multiplications that detect their overflow.
    if bits(a) + bits(b) <= 126 && bits(c) + bits(d) <= 126 {
        Some(a * b - c * d)
    } else {
        None
    }
}

/// Returns the double nearest to an integer.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "rounding once, here, is the purpose; the short way holds only what it can"
)]
pub(crate) const fn nearest(integer: i128) -> f64 {
    if let Some(short) = short(integer) {
        return short as f64; // one instruction, where 128 bits take a call
    }
    // The leading 63 bits, the last of them "sticky" for all that is cut off: more than 53 bits are
    // left, so rounding these is rounding the whole.
    let magnitude = integer.unsigned_abs();
    let shift = bits(integer).saturating_sub(63);
    let kept = (magnitude >> shift) as i64;
    let is_cut = magnitude & ((1 << shift) - 1) != 0;
    let scaled = (kept | is_cut as i64) as f64 * power_of_two(shift);
    if integer < 0 { -scaled } else { scaled }
}

#[allow(clippy::cast_possible_truncation, reason = "what is cut is looked at")]
const fn short(integer: i128) -> Option<i64> {
    let short = integer as i64;
    if short as i128 == integer {
        Some(short)
    } else {
        None
    }
}

const fn bits(integer: i128) -> u32 {
    128 - integer.unsigned_abs().leading_zeros()
}

/// An integer of 256 bits: a sign and a magnitude.
#[derive(Clone, Copy)]
struct Wide {
    is_negative: bool,
    high: u128,
    low: u128,
}

const HALF: u128 = (1 << 64) - 1;

impl Wide {
    fn product(a: i128, b: i128) -> Self {
        let (x, y) = (a.unsigned_abs(), b.unsigned_abs());
        let (x1, x0, y1, y0) = (x >> 64, x & HALF, y >> 64, y & HALF);
        // Schoolbook: no sum here passes 128 bits, as (2^64−1)² + 2·(2^64−1) = 2^128 − 1.
        let bottom = x0 * y0;
        let middle = x1 * y0 + (bottom >> 64);
        let other = x0 * y1 + (middle & HALF);
        Self {
            is_negative: (a < 0) != (b < 0),
            high: x1 * y1 + (middle >> 64) + (other >> 64),
            low: other << 64 | bottom & HALF,
        }
    }

    fn minus(self, other: Self) -> Self {
        if self.is_negative != other.is_negative {
            // Both magnitudes are at most 2^254: the sum cannot overflow.
            let (low, carry) = self.low.overflowing_add(other.low);
            return Self {
                high: self.high + other.high + u128::from(carry),
                low,
                ..self
            };
        }
        let is_less = (self.high, self.low) < (other.high, other.low);
        let (large, small) = if is_less {
            (other, self)
        } else {
            (self, other)
        };
        let (low, borrow) = large.low.overflowing_sub(small.low);
        Self {
            is_negative: self.is_negative != is_less,
            high: large.high - small.high - u128::from(borrow),
            low,
        }
    }

    fn nearest(self) -> f64 {
        // The leading 127 bits, the last of them "sticky" for all that is cut off: more than 53
        // bits are left, so rounding these is rounding the whole.
        let shift = if self.high == 0 {
            u32::from(self.low.leading_zeros() == 0)
        } else {
            256 - self.high.leading_zeros() - 127
        };
        let (kept, cut) = self.shifted(shift);
        let magnitude = i128::try_from(kept | u128::from(cut)).unwrap_or(i128::MAX);
        let scaled = nearest(magnitude) * power_of_two(shift);
        if self.is_negative && scaled > 0.0 {
            -scaled
        } else {
            scaled
        }
    }

    /// Returns the magnitude shifted right by fewer than 130 bits, and whether ones were cut off.
    const fn shifted(self, shift: u32) -> (u128, bool) {
        match shift {
            0 => (self.low, false),
            1..=127 => (
                self.high << (128 - shift) | self.low >> shift,
                self.low << (128 - shift) != 0,
            ),
            128 => (self.high, self.low != 0),
            _ => (
                self.high >> (shift - 128),
                self.low != 0 || self.high << (256 - shift) != 0,
            ),
        }
    }
}

/// Returns 2 to a power up to 1023.
const fn power_of_two(power: u32) -> f64 {
    f64::from_bits((1023 + power as u64) << 52)
}

#[cfg(test)]
#[allow(
    clippy::float_cmp,
    clippy::expect_used,
    reason = "floats equal to the bit, or wrong; a panic is how a test fails"
)]
mod tests {
    use super::{Wide, cross, nearest};
    use num_bigint::BigInt;
    use num_traits::FromPrimitive;

    /// Returns whether no other double is nearer, and of two as near this is the even one. (Big
    /// integers have a conversion of their own, but 0.4.8 does not see all bits below a tie.)
    fn is_nearest(found: f64, exact: &BigInt) -> bool {
        let bits = found.abs().to_bits();
        let off = |bits: u64| {
            let double = BigInt::from_f64(f64::from_bits(bits)).expect("a finite number");
            (double - BigInt::from(exact.magnitude().clone()))
                .magnitude()
                .clone()
        };
        let beside = off(bits + 1).min(off(bits.saturating_sub(1).max(1)));
        let has_sign = (found < 0.0) == (*exact < BigInt::ZERO);
        has_sign && (off(bits) < beside || (off(bits) == beside && bits.is_multiple_of(2)))
    }

    #[test]
    fn small_and_wide_ways_agree() {
        let numbers = [
            0,
            1,
            -1,
            3,
            -7,
            1 << 30,
            -(1 << 52) - 1,
            (1 << 53) + 1,
            -(1 << 62) + 5,
        ];
        for a in numbers {
            for b in numbers {
                for c in numbers {
                    let exact = nearest(a * b - c * c);
                    let wide = Wide::product(a, b).minus(Wide::product(c, c)).nearest();
                    assert_eq!(wide.to_bits() << 1, exact.to_bits() << 1, "{a} {b} {c}");
                }
            }
        }
    }

    #[test]
    #[allow(
        clippy::cast_precision_loss,
        reason = "what the compiler makes of it is asked"
    )]
    fn a_long_integer_becomes_the_double_that_the_compiler_makes_of_it() {
        let ends = [0, 1, -1, (1 << 52) - 1, 1 << 62, -(1 << 62) - 1];
        for place in 0..127 {
            for tie in [
                place,
                place / 2,
                i32::max(place - 53, 0),
                i32::max(place - 54, 0),
            ] {
                for end in ends {
                    let integer = (1_i128 << place).wrapping_add(1 << tie).wrapping_add(end);
                    for integer in [integer, integer.wrapping_neg()] {
                        assert_eq!(nearest(integer), integer as f64, "{integer}");
                    }
                }
            }
        }
        for integer in [i128::MAX, i128::MIN, i128::MIN + 1, i64::MIN.into()] {
            assert_eq!(nearest(integer), integer as f64, "{integer}");
        }
    }

    #[test]
    fn products_that_nearly_cancel_keep_every_digit() {
        let a = (1_i128 << 126) + 12345;
        assert_eq!(cross(a, a, a - 1, a + 1), 1.0);
        assert_eq!(cross(a - 1, a + 1, a, a), -1.0);
        assert_eq!(cross(a, a, a, a), 0.0);
        assert_eq!(cross(a, 1 << 100, 0, 0), 2_f64.powi(226));
    }

    #[test]
    fn rounding_is_to_nearest_even_with_all_bits_seen() {
        // A leading one at every place, a tie 53 places below it, and what breaks the tie.
        for place in 54..256_u32 {
            for breaker in [0, 1, 2] {
                let mut wide = Wide {
                    is_negative: false,
                    high: 0,
                    low: breaker,
                };
                for bit in [place, place - 53] {
                    match bit.checked_sub(128) {
                        Some(bit) => wide.high |= 1 << bit,
                        None => wide.low |= 1 << bit,
                    }
                }
                let exact: BigInt = (BigInt::from(wide.high) << 128) + wide.low;
                assert!(is_nearest(wide.nearest(), &exact), "{place} {breaker}");
            }
        }
    }

    #[test]
    fn operands_of_every_length_agree_with_big_integers() {
        let mut state = 1_u128;
        let mut roll = |bits: u32| {
            state = state
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
            i128::from_le_bytes((state ^ state << 64).to_le_bytes()) >> (127 - bits)
        };
        for bits in 0..=127 {
            for other in 0..=127 {
                let (a, b, c, d) = (roll(bits), roll(other), roll(other), roll(bits));
                // Half of the time the products differ little.
                let (c, d) = if other % 2 == 0 { (c, d) } else { (a, b ^ 1) };
                let exact = BigInt::from(a) * b - BigInt::from(c) * d;
                assert!(is_nearest(cross(a, b, c, d), &exact), "{a} {b} {c} {d}");
            }
        }
    }
}
