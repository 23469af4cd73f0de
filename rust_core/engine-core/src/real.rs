//! Exponential and logarithm, the same to the bit on every machine.
//!
//! Of the standard library's neither the digits nor their sameness on all machines is promised, and
//! decisions must be the same wherever they are made and replayed. So here are the four operations,
//! which IEEE 754 defines to the bit, moves of exponents, and Taylor series short enough to be
//! counted. Neither function branches, so that loops over them become vector code.

use std::f64::consts::LOG2_E;

const LN_2_HIGH: f64 = 0.693_147_180_369_123_8; // ends in zeros: its product with an exponent is exact
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
const FRACTION_BITS: u32 = 52;
const FRACTION: u64 = (1 << FRACTION_BITS) - 1;
const BIAS: u64 = 1023;
const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
/// 2^52: with a whole number in its low bits it is 2^52 more than that number.
const WHOLE: u64 = 0x4330_0000_0000_0000;
/// 1.5 · 2^52: a number added to it is rounded to a whole one, which its low bits then show.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// Returns e^x, within 4 units of 2^-53 of the true value for |x| ≤ 708.
///
/// Beyond 709 the argument is held there: the result is above 8e307, or below 2e-308, and never
/// infinite or 0. No number gives no number.
///
/// ```
/// use engine_core::real::{exp, ln};
///
/// assert_eq!(exp(0.0), 1.0);
/// assert!((exp(1.0) - std::f64::consts::E).abs() < 1e-15);
/// assert!((ln(exp(-3.25)) + 3.25).abs() < 1e-15);
/// ```
#[must_use]
#[inline]
pub fn exp(x: f64) -> f64 {
    let x = x.clamp(-709.0, 709.0);
    // x = k·ln 2 + r with |r| ≤ .347, where 13 terms leave less than 5e-18.
    let shifted = x * LOG2_E + ROUNDER;
    let k = shifted - ROUNDER;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    let mut sum = 1.0 / 6_227_020_800.0;
    sum = sum * r + 1.0 / 479_001_600.0;
    sum = sum * r + 1.0 / 39_916_800.0;
    sum = sum * r + 1.0 / 3_628_800.0;
    sum = sum * r + 1.0 / 362_880.0;
    sum = sum * r + 1.0 / 40_320.0;
    sum = sum * r + 1.0 / 5_040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * (r * r) + r;
    // 2^k as two factors: where k is least, 2^k alone has no exponent.
    let half = (k * 0.5 + ROUNDER).to_bits();
    let power = |exponent: u64| f64::from_bits(exponent.wrapping_add(BIAS) << FRACTION_BITS);
    let first = power(half);
    (sum * first + first) * power(shifted.to_bits().wrapping_sub(half))
}

/// Returns the natural logarithm, within 4 units of 2^-53 of the true value, relative.
///
/// What is not above 0 has none: it is held at the least normal number, 2.2e-308, whose logarithm
/// is −708.4; so is what is no number. Infinity is held at 2^1024.
///
/// ```
/// use engine_core::real::ln;
///
/// assert_eq!(ln(1.0), 0.0);
/// assert!((ln(10.0) - std::f64::consts::LN_10).abs() < 1e-15);
/// assert!((ln(0.0) + 708.4).abs() < 0.01);
/// ```
#[must_use]
#[inline]
#[allow(clippy::many_single_char_names, reason = "the names of the formula")]
pub fn ln(x: f64) -> f64 {
    // x = 2^k·m with m from √½ to √2; s = (m − 1)/(m + 1), ln m = 2·atanh s = 2(s + s³/3 + …).
    // |s| ≤ .172, where 11 terms leave less than 2e-17.
    let bits = x.max(f64::MIN_POSITIVE).to_bits();
    let offset = bits.wrapping_add((BIAS << FRACTION_BITS) - ROOT_HALF);
    let exponent = f64::from_bits((offset >> FRACTION_BITS) | WHOLE) - f64::from_bits(WHOLE);
    let k = exponent - 1023.0;
    let f = f64::from_bits((offset & FRACTION).wrapping_add(ROOT_HALF)) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let mut sum = 2.0 / 21.0;
    sum = sum * z + 2.0 / 19.0;
    sum = sum * z + 2.0 / 17.0;
    sum = sum * z + 2.0 / 15.0;
    sum = sum * z + 2.0 / 13.0;
    sum = sum * z + 2.0 / 11.0;
    sum = sum * z + 2.0 / 9.0;
    sum = sum * z + 2.0 / 7.0;
    sum = sum * z + 2.0 / 5.0;
    sum = sum * z + 2.0 / 3.0;
    // 2s = f − s·f, where f is exact: only what is small is rounded.
    k * LN_2_HIGH + (f - (s * (f - z * sum) - k * LN_2_LOW))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: f64 = f64::EPSILON / 2.0;

    #[test]
    fn exp_is_right_to_the_last_digits() {
        for step in -70_800..=70_800 {
            let x = f64::from(step) / 100.0;
            assert!((exp(x) / x.exp() - 1.0).abs() <= 5.0 * UNIT, "{x}");
        }
    }

    #[test]
    fn ln_is_right_to_the_last_digits() {
        let powers = (-70_000..=70_000).map(|step| (f64::from(step) / 100.0).exp());
        let near_one = (1..=40_000).map(|step| f64::from(step) / 20_000.0);
        for x in powers.chain(near_one) {
            let wanted = x.ln();
            assert!((ln(x) - wanted).abs() <= wanted.abs() * 5.0 * UNIT, "{x}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_held() {
        assert!(exp(f64::NAN).is_nan());
        for x in [709.0, 1e9, f64::INFINITY] {
            assert!(exp(x) > 8e307 && exp(x).is_finite());
            assert!(exp(-x) < 2e-308 && exp(-x) > 0.0);
        }
        for x in [0.0, -1.0, f64::NAN, 5e-324, f64::NEG_INFINITY] {
            assert_eq!(ln(x).to_bits(), ln(f64::MIN_POSITIVE).to_bits());
        }
        assert!((ln(f64::INFINITY) - 709.78).abs() < 0.01);
    }
}
