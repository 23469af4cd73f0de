//! Landscapes: what bids bring and cost, which bid a worth deserves, and what a shadow price brings.

use crate::planner::lattice::{
    Curve, Grid, LAST_POINT, MONEY, POINTS, SHADOWS, SHADOWS_BELOW, split,
};

/// How many bins of log(bid / price to beat) there are; beyond, at 7 times the price, nothing changes.
pub(crate) const SLOT_BINS: usize = 40;

/// How often a bid above the price to beat is exposed, and at what cost relative to that price, by
/// bins of log(bid / price to beat) one lattice step wide. Neither falls with the bid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotRates {
    pub(crate) exposure: [f64; SLOT_BINS],
    pub(crate) cost: [f64; SLOT_BINS],
}

/// Expected exposures and cost of one opportunity, for a bid at every point of the lattice.
///
/// From prices to beat o seen in auctions: `EV(b) = mean q_v(b/o)·1[b > o]` and
/// `EC(b) = mean o·q_c(b/o)·1[b > o]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Landscape {
    pub(crate) exposure: Grid,
    pub(crate) cost: Grid,
}

impl Landscape {
    /// Returns the landscape of a distribution of prices to beat; its shares sum to 1 at most.
    pub(crate) fn of_prices(prices: &Grid, rates: &SlotRates, first_price: bool) -> Self {
        let mut exposure = [0.0; POINTS];
        let mut cost = [0.0; POINTS];
        let money = &*MONEY;
        // A convolution: each price adds its rates to the bids above it …
        for (index, (&share, &price)) in prices.iter().zip(money).enumerate() {
            if share <= 0.0 {
                continue;
            }
            let above = exposure.iter_mut().skip(index).zip(&rates.exposure);
            above.for_each(|(sum, rate)| *sum += share * rate);
            let above = cost.iter_mut().skip(index).zip(&rates.cost);
            above.for_each(|(sum, rate)| *sum += share * price * rate);
        }
        // … and beyond the last bin, where rates are constant, one running sum adds them all.
        let last = |rates: &[f64; SLOT_BINS]| rates.last().copied().unwrap_or(0.0);
        let (last_exposure, last_cost) = (last(&rates.exposure), last(&rates.cost));
        let (mut shares, mut spends) = (0.0, 0.0);
        let far = exposure.iter_mut().zip(&mut cost).skip(SLOT_BINS);
        for ((exposure, cost), (&share, &price)) in far.zip(prices.iter().zip(money)) {
            shares += share.max(0.0);
            spends += share.max(0.0) * price;
            *exposure += shares * last_exposure;
            *cost += spends * last_cost;
        }
        if first_price {
            for ((cost, exposure), bid) in cost.iter_mut().zip(&exposure).zip(money) {
                *cost = exposure * bid;
            }
        }
        Self { exposure, cost }
    }
}

/// A point of a hull: a bid (its place on the lattice), what it brings and what it costs.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Corner {
    bid: f64,
    exposure: f64,
    cost: f64,
}

/// The place of no bid.
pub(crate) const NO_BID: f64 = -1.0;
/// Exposures that differ by less are the same.
const SAME_EXPOSURE: f64 = 1e-12;

/// For a worth at every point of the lattice: the bid, and what it brings and costs.
///
/// The bid φ(y) is the largest of the upper concave hull of (cost, exposures) whose last exposures
/// cost at most the worth y each: the greedy solution of the Lagrangian relaxation of the knapsack
/// (Everett 1963; for bids, Zhang, Yuan and Wang 2014). It is truthful for second price and shades
/// for first price and several slots.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BidTable {
    pub(crate) bid: Grid,
    exposure: Grid,
    cost: Grid,
}

impl BidTable {
    pub(crate) fn new(landscape: &Landscape) -> Self {
        let hull = hull(landscape);
        let mut table = Self {
            bid: [NO_BID; POINTS],
            exposure: [0.0; POINTS],
            cost: [0.0; POINTS],
        };
        let mut corners = hull.iter().copied().peekable();
        let Some(mut here) = corners.next() else {
            return table;
        };
        let answers = table
            .bid
            .iter_mut()
            .zip(&mut table.exposure)
            .zip(&mut table.cost);
        for (((bid, exposure), cost), worth) in answers.zip(&*MONEY) {
            // Slopes fall along the hull, so those that pay come first.
            while let Some(next) = corners
                .next_if(|next| next.cost - here.cost <= worth * (next.exposure - here.exposure))
            {
                here = next;
            }
            (*bid, *exposure, *cost) = (here.bid, here.exposure, here.cost);
        }
        table
    }

    /// Returns the place on the lattice of the bid for a worth, by the worth's place: interpolated
    /// between the lattice's bids. `NO_BID` where there is none.
    #[inline]
    pub(crate) fn place_of(&self, worth: f64) -> f64 {
        if worth < 0.0 {
            return NO_BID;
        }
        let place = worth.min(LAST_POINT);
        let (index, part) = split(place);
        let (index, part) = if index > POINTS - 2 {
            (POINTS - 2, 1.0)
        } else {
            (index, part)
        };
        match self.bid.get(index..index + 2) {
            Some(&[low, high]) if low > NO_BID => (1.0 - part) * low + part * high,
            // Between no bid and the lowest, the nearer.
            Some(&[_, high]) if part > 0.5 => high,
            _ => NO_BID,
        }
    }

    /// Returns value (units of money: conversions × target) and cost of opportunities over all shadow
    /// prices; `worths` is the histogram of their worths at the target.
    pub(crate) fn curves(&self, worths: &Grid) -> Curves {
        // Worth j at shadow price a reads the table at j + a − 46: nothing below its start, and at
        // its end what is there.
        let exposure = padded(&self.exposure);
        let cost = padded(&self.cost);
        let mut curves = Curves::default();
        let reads = exposure.windows(SHADOWS).zip(cost.windows(SHADOWS));
        for ((exposure, cost), (&count, &worth)) in reads.zip(worths.iter().zip(&*MONEY)) {
            if count <= 0.0 {
                continue;
            }
            let value = worth * count;
            curves
                .value
                .iter_mut()
                .zip(exposure)
                .for_each(|(sum, one)| *sum += value * one);
            curves
                .cost
                .iter_mut()
                .zip(cost)
                .for_each(|(sum, one)| *sum += count * one);
        }
        curves
    }
}

const PADDED: usize = POINTS + SHADOWS - 1;

fn padded(values: &Grid) -> [f64; PADDED] {
    let last = values.last().copied().unwrap_or(0.0);
    let mut result = [last; PADDED];
    let zeros = [0.0; SHADOWS_BELOW];
    result
        .iter_mut()
        .zip(zeros.iter().chain(values))
        .for_each(|(to, from)| *to = *from);
    result
}

/// Value and cost over all shadow prices, units of money.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Curves {
    pub(crate) value: Curve,
    pub(crate) cost: Curve,
}

impl Default for Curves {
    fn default() -> Self {
        Self::constant(0.0, 0.0)
    }
}

impl Curves {
    pub(crate) fn constant(value: f64, cost: f64) -> Self {
        Self {
            value: [value; SHADOWS],
            cost: [cost; SHADOWS],
        }
    }

    pub(crate) fn add(&mut self, other: &Self, weight: f64) {
        let add = |(sum, one): (&mut f64, &f64)| *sum += weight * one;
        self.value.iter_mut().zip(&other.value).for_each(add);
        self.cost.iter_mut().zip(&other.cost).for_each(add);
    }

    /// Adds curves of opportunities whose prices moved by a distance in lattice steps: what a shadow
    /// price m brings there, m / e^distance brought before.
    pub(crate) fn add_moved(&mut self, other: &Self, distance: f64, weight: f64, cost_weight: f64) {
        let whole = (-distance).clamp(-86.0, 86.0).floor();
        let part = (-distance).clamp(-86.0, 86.0) - whole;
        let (start, _) = split(whole + SHADOWS_F64);
        for (sum, curve, weight) in [
            (&mut self.value, &other.value, weight),
            (&mut self.cost, &other.cost, cost_weight),
        ] {
            let held = held_at_ends(curve);
            let neighbours = held.iter().skip(start).zip(held.iter().skip(start + 1));
            for (sum, (low, high)) in sum.iter_mut().zip(neighbours) {
                *sum += weight * (low * (1.0 - part) + high * part);
            }
        }
    }

    pub(crate) fn scale(&mut self, factor: f64) {
        self.value
            .iter_mut()
            .chain(&mut self.cost)
            .for_each(|one| *one *= factor);
    }
}

const SHADOWS_F64: f64 = 87.0;
const HELD: usize = 3 * SHADOWS + 1;

/// Returns a curve with its ends repeated on both sides.
fn held_at_ends(curve: &Curve) -> [f64; HELD] {
    let end = |value: Option<&f64>| value.copied().unwrap_or(0.0);
    let mut held = [end(curve.last()); HELD];
    let start = [end(curve.first()); SHADOWS];
    held.iter_mut()
        .zip(start.iter().chain(curve))
        .for_each(|(to, from)| *to = *from);
    held
}

/// Returns the corners of the upper concave hull of (cost, exposures), from bidding nothing on.
fn hull(landscape: &Landscape) -> Vec<Corner> {
    let mut hull = Vec::with_capacity(POINTS + 1);
    hull.push(Corner {
        bid: NO_BID,
        exposure: 0.0,
        cost: 0.0,
    });
    let mut bid = 0.0;
    for (&exposure, &cost) in landscape.exposure.iter().zip(&landscape.cost) {
        let corner = Corner {
            bid,
            exposure,
            cost,
        };
        bid += 1.0;
        if hull
            .last()
            .is_some_and(|last| exposure <= last.exposure + SAME_EXPOSURE)
        {
            continue;
        }
        while let [.., before, last] = hull.as_slice() {
            let gain = (exposure - last.exposure) * (last.cost - before.cost);
            let price = (last.exposure - before.exposure) * (cost - last.cost);
            // The last corner is below the line to this one, or brings less for no less.
            if gain < price && cost > last.cost {
                break;
            }
            hull.pop();
        }
        hull.push(corner);
    }
    hull
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::lattice::count;

    fn landscape() -> Landscape {
        let mut prices = [0.0; POINTS];
        for step in 0_u32..200 {
            count(&mut prices, 60.0 + f64::from(step * 37 % 61), 1.0 / 200.0);
        }
        let rates = SlotRates {
            exposure: std::array::from_fn(|bin| if bin < 10 { 0.48 } else { 0.9 }),
            cost: std::array::from_fn(|bin| if bin < 10 { 0.48 } else { 1.1 }),
        };
        Landscape::of_prices(&prices, &rates, false)
    }

    #[test]
    fn a_hull_is_concave_and_above_its_landscape() {
        let landscape = landscape();
        let hull = hull(&landscape);
        assert!(hull.len() > 10);
        for corners in hull.windows(3) {
            let [a, b, c] = corners else { continue };
            let slope =
                |from: &Corner, to: &Corner| (to.exposure - from.exposure) / (to.cost - from.cost);
            assert!(slope(a, b) > slope(b, c));
        }
    }

    #[test]
    fn the_running_sum_is_the_plain_double_loop() {
        let mut prices = [0.0; POINTS];
        for index in 0..40_u32 {
            count(&mut prices, f64::from(index) * 4.3, 1.0 / 40.0);
        }
        let rates = SlotRates {
            exposure: crate::planner::lattice::filled(|bin| 0.4 + bin / 90.0),
            cost: crate::planner::lattice::filled(|bin| 0.5 + bin / 50.0),
        };
        let found = Landscape::of_prices(&prices, &rates, false);
        let money = &*MONEY;
        for bid in 0..POINTS {
            let (mut exposure, mut cost) = (0.0, 0.0);
            for (index, (share, price)) in prices.iter().zip(money).enumerate().take(bid + 1) {
                let bin = (bid - index).min(SLOT_BINS - 1);
                exposure += share * rates.exposure.get(bin).copied().unwrap_or(f64::NAN);
                cost += share * price * rates.cost.get(bin).copied().unwrap_or(f64::NAN);
            }
            let there = (found.exposure.get(bid), found.cost.get(bid));
            let (Some(a), Some(b)) = there else { continue };
            assert!((a - exposure).abs() < 1e-12 && (b - cost).abs() < 1e-12);
        }
    }

    #[test]
    fn bids_of_a_table_never_fall_with_the_worth() {
        let table = BidTable::new(&landscape());
        assert!(table.bid.is_sorted() && table.exposure.is_sorted() && table.cost.is_sorted());
    }
}
