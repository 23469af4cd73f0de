//! One lattice in logarithms for prices, bids and worths, and one for shadow prices.
//!
//! Point i is worth e^(−7.5 + i/20) units of money; a shadow price, relative to the target, is
//! e^(i/20). So the bid for a worth at a shadow price is found by adding indices, and value and cost
//! over all shadow prices are short convolutions of histograms.

use crate::real::{exp, ln};
use std::sync::LazyLock;

/// The distance of neighbours, in logarithms.
pub(crate) const STEP: f64 = 0.05;
/// The logarithm of the lowest point.
pub(crate) const BASE: f64 = -7.5;
/// How many points there are: from 5.5e-4 to 4.3 units of money.
pub const POINTS: usize = 180;
/// The exponent of the lowest shadow price.
pub(crate) const LOWEST_SHADOW: f64 = -46.0;
/// Points below 1 on the lattice of shadow prices.
pub(crate) const SHADOWS_BELOW: usize = 46;
/// How many shadow prices are tried: from .10 to 7.4 times the target.
pub const SHADOWS: usize = 87;

/// Something for every point of the lattice.
pub(crate) type Grid = [f64; POINTS];
/// Something for every shadow price.
pub type Curve = [f64; SHADOWS];

const LEAST_MONEY: f64 = 1e-9;
pub(crate) const LAST_POINT: f64 = 179.0;
const LAST_SHADOW: f64 = 86.0;

/// What each point is worth, units of money.
pub(crate) static MONEY: LazyLock<Grid> =
    LazyLock::new(|| filled(|index| exp(BASE + STEP * index)));
/// Each shadow price, relative to the target.
pub(crate) static SHADOW_PRICES: LazyLock<Curve> =
    LazyLock::new(|| filled(|index| exp(STEP * (index + LOWEST_SHADOW))));

/// Returns an array of what a function gives for 0, 1, 2 …
pub(crate) fn filled<const N: usize>(mut of: impl FnMut(f64) -> f64) -> [f64; N] {
    let mut index = 0.0;
    std::array::from_fn(|_| {
        let value = of(index);
        index += 1.0;
        value
    })
}

/// Returns the place of an amount on the lattice, in steps from its lowest point.
#[inline]
pub(crate) fn coordinate(money: f64) -> f64 {
    (ln(money.max(LEAST_MONEY)) - BASE) / STEP
}

/// Returns the place of a shadow price (relative to the target) among those tried, held to them.
pub(crate) fn shadow_place(shadow: f64) -> f64 {
    (ln(shadow) / STEP - LOWEST_SHADOW).clamp(0.0, LAST_SHADOW)
}

/// Returns the shadow price at a place between those tried.
pub(crate) fn shadow_at(place: f64) -> f64 {
    exp(STEP * (place + LOWEST_SHADOW))
}

/// Returns a curve's value at a place between shadow prices, linear between neighbours.
pub(crate) fn read_at(curve: &Curve, place: f64) -> f64 {
    let place = place.clamp(0.0, LAST_SHADOW);
    let (index, _) = split(place.min(LAST_SHADOW - 1.0));
    let part = place - place.min(LAST_SHADOW - 1.0).floor();
    match (curve.get(index), curve.get(index + 1)) {
        (Some(low), Some(high)) => low * (1.0 - part) + high * part,
        _ => 0.0,
    }
}

/// Splits a place that is not negative into its index and what is beyond it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss
)]
#[inline]
pub(crate) fn split(place: f64) -> (usize, f64) {
    let index = place as u32; // saturates, and is 0 for no number
    (index as usize, place - f64::from(index))
}

/// Counts a weight into a histogram, shared between the two neighbours of a place (cloud in cell,
/// Birdsall and Fuss 1969): the mean is kept to the digit. Places below the lattice are dropped,
/// those above are counted at its end.
#[inline]
pub(crate) fn count(histogram: &mut Grid, place: f64, weight: f64) {
    if place < 0.0 {
        return;
    }
    let (index, part) = split(place);
    if let Some([low, high]) = histogram.get_mut(index..index.saturating_add(2)) {
        *low += weight * (1.0 - part);
        *high += weight * part;
    } else if let Some(last) = histogram.last_mut() {
        *last += weight;
    }
}

/// Returns a histogram's mean place, 0 for an empty one.
pub(crate) fn mean_place(histogram: &Grid) -> f64 {
    let mut index = 0.0;
    let (mut sum, mut weight) = (0.0, 0.0);
    for share in histogram {
        sum += share * index;
        weight += share;
        index += 1.0;
    }
    sum / f64::max(weight, 1e-12)
}

/// Returns a histogram moved by a distance in steps; what passes an end is counted there.
pub(crate) fn moved(histogram: &Grid, distance: f64) -> Grid {
    let whole = distance.clamp(-2.0 * LAST_POINT, 2.0 * LAST_POINT).floor();
    let part = distance.clamp(-2.0 * LAST_POINT, 2.0 * LAST_POINT) - whole;
    let mut result = [0.0; POINTS];
    let mut index = 0.0;
    for &share in histogram {
        if share != 0.0 {
            for (place, portion) in [(index + whole, 1.0 - part), (index + whole + 1.0, part)] {
                let (to, _) = split(place.clamp(0.0, LAST_POINT));
                if let Some(sum) = result.get_mut(to) {
                    *sum += share * portion;
                }
            }
        }
        index += 1.0;
    }
    result
}

/// Returns a count as a number; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_keeps_the_mean_of_what_it_counts() {
        let mut histogram = [0.0; POINTS];
        let places = [3.25, 17.5, 100.875, 44.0];
        for place in places {
            count(&mut histogram, place, 1.0);
        }
        assert!((mean_place(&histogram) - places.iter().sum::<f64>() / 4.0).abs() < 1e-12);
        let there = moved(&histogram, 5.3);
        assert!((mean_place(&there) - mean_place(&histogram) - 5.3).abs() < 1e-12);
        assert!((there.iter().sum::<f64>() - 4.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_below_the_lattice_is_dropped_and_what_is_above_is_counted_at_its_end() {
        let mut histogram = [0.0; POINTS];
        for place in [-0.1, f64::NEG_INFINITY, 179.0, 1e300, f64::INFINITY] {
            count(&mut histogram, place, 1.0);
        }
        assert_eq!(histogram.iter().sum::<f64>().to_bits(), 3.0_f64.to_bits());
        assert_eq!(
            histogram.last().map(|last| last.to_bits()),
            Some(3.0_f64.to_bits())
        );
    }

    #[test]
    fn places_and_shadow_prices_are_each_others_inverse() {
        for place in [0.0, 13.7, 86.0] {
            assert!((shadow_place(shadow_at(place)) - place).abs() < 1e-10);
        }
        assert!((coordinate(exp(BASE + STEP * 20.0)) - 20.0).abs() < 1e-10);
    }
}
