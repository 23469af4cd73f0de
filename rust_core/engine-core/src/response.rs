//! How a platform answers a bid: clicks and spend against the bid, learned from aggregates alone.
//!
//! Rivals' prices for a click are taken to be log-normal, as they are in most published auctions.
//! Where winners pay the price they beat, a single bid tells where it stands among them: the less a
//! click costs of what was bid, the more is won already, and the less there is to gain. So the price
//! at which half is won (`mid`) follows from CPC over bid, with no need to have tried other bids; and
//! clicks over the share won make the traffic there is. Where a platform charges what is bid, CPC
//! says nothing; then the answer is learned from how clicks followed the bids of the past, drawn to
//! a prior, and bids are shaded.

use crate::bytes::{Reader, Writer, learned, learned_amount};
use crate::normal::below;
use crate::real::{exp, ln};
use std::sync::LazyLock;

/// Standard deviation of the logarithm of rivals' prices.
const SPREAD: f64 = 0.6;
/// Beyond so many deviations from `mid` a bid tells nothing of where `mid` is.
const FURTHEST: f64 = 3.0;
/// What is learned of prices and of traffic is that of about so many clicks, or rounds.
const CLICKS_KEPT: f64 = 60.0;
const ROUNDS_KEPT: f64 = 1800.0;
/// And of the usual traffic, of so many clicks.
const SLOW_CLICKS_KEPT: f64 = 1000.0;
/// From so many clicks on, usual traffic is known.
const FEWEST_SLOW_CLICKS: f64 = 30.0;
/// What the prior weighs: clicks for prices, and clicks for traffic.
const PRIOR_MID_CLICKS: f64 = 1.0;
const PRIOR_CLICKS: f64 = 0.3;
/// Who takes this part of the bid, at least, is held to charge what is bid; below the other, not.
const CHARGES_ALL: f64 = 0.985;
const CHARGES_LESS: f64 = 0.95;
/// What the elasticity's own evidence must outweigh.
const RIDGE: f64 = 8.0;

/// An answer, but for the traffic that stands in for what is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Answer {
    /// Its rate is not set.
    curve: Curve,
    clicks: f64,
    exposure: f64,
}

/// What is known of the answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Response {
    /// Logarithm of the price at which half is won, and from how many clicks it is known.
    mid: f64,
    known: f64,
    /// Clicks, and the rounds of usual traffic that brought them, times the share won in them.
    clicks: f64,
    exposure: f64,
    slow_clicks: f64,
    slow_exposure: f64,
    /// CPC as a part of the bid.
    charged: f64,
    /// How clicks followed bids beyond what `mid` says: evidence for and weight of an exponent.
    pull: f64,
    grip: f64,
    /// Logarithm of bids, averaged.
    centre: f64,
}

/// What happened between two reports, at one bid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// Logarithm of the bid in force.
    pub(crate) bid: f64,
    /// Rounds of usual traffic.
    pub(crate) rounds: f64,
    pub(crate) clicks: f64,
    pub(crate) spend_micros: f64,
    /// Whether it ended on the platform's cap: more might have been won.
    pub(crate) is_stopped: bool,
}

/// An answer made ready to be asked often.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Curve {
    mid: f64,
    /// Clicks that a round of usual traffic would bring, were all won.
    rate: f64,
    /// Mean price of all clicks.
    price: f64,
    /// 0: the price beaten is paid; 1: the bid.
    first: f64,
    exponent: f64,
    centre: f64,
}

impl Response {
    /// Learns from a stretch; returns the clicks that were to be expected of it at usual traffic.
    pub(crate) fn learn(&mut self, stretch: &Stretch) -> f64 {
        let expected = self.take_in(stretch);
        for any in [&mut self.mid, &mut self.pull, &mut self.centre] {
            *any = learned(*any);
        }
        for amount in [
            &mut self.known,
            &mut self.clicks,
            &mut self.exposure,
            &mut self.slow_clicks,
            &mut self.slow_exposure,
            &mut self.charged,
            &mut self.grip,
        ] {
            *amount = learned_amount(*amount);
        }
        learned_amount(expected)
    }

    fn take_in(&mut self, stretch: &Stretch) -> f64 {
        let clicks = stretch.clicks;
        let has_clicks = clicks > 0.0;
        if self.known == 0.0 && self.exposure == 0.0 {
            (self.mid, self.centre) = (stretch.bid, stretch.bid);
        }
        let fade = exp(-clicks / CLICKS_KEPT - stretch.rounds / ROUNDS_KEPT);
        let charged = if has_clicks {
            stretch.spend_micros / clicks * exp(-stretch.bid)
        } else {
            0.0
        };
        // A CPC far above its bid is of another bid, or settles something else.
        if has_clicks && charged > 0.0 && charged < 1.5 {
            let weight = self.known * fade + clicks;
            self.charged += (charged.min(1.0) - self.charged) * clicks / weight;
            let first = self.first();
            let seen = stretch.bid - (1.0 - first) * SPREAD * place(charged);
            self.mid += (seen - self.mid) * clicks / weight;
            self.known = weight;
        } else {
            self.known *= fade;
        }
        if stretch.rounds <= 0.0 {
            return 0.0; // on its cap all the while: that says nothing of the traffic
        }
        let share = below((stretch.bid - self.mid) / SPREAD);
        let before = self.slow_rate() * share * stretch.rounds;
        let least = self.clicks * share * stretch.rounds;
        if stretch.is_stopped && clicks * self.exposure < least {
            return 0.0; // no fewer than expected were to be had, maybe
        }
        if self.first() > 0.0 && self.exposure > 0.0 {
            let away = stretch.bid - self.centre;
            let expected = self.clicks / self.exposure * share * stretch.rounds;
            let expected = expected * exp((self.exponent() * away).clamp(-3.0, 3.0));
            let keep = fade.max(0.9);
            self.pull = self.pull * keep + (clicks - expected) * away;
            self.grip = self.grip * keep + expected * away * away;
        }
        self.centre += (stretch.bid - self.centre) * 0.02;
        self.clicks = self.clicks * fade + clicks;
        self.exposure = self.exposure * fade + share * stretch.rounds;
        let slow = exp(-clicks / SLOW_CLICKS_KEPT);
        self.slow_clicks = self.slow_clicks * slow + clicks;
        self.slow_exposure = self.slow_exposure * slow + share * stretch.rounds;
        before
    }

    /// Returns from how many clicks, about, the answer is known.
    pub(crate) fn known(&self) -> f64 {
        self.known
    }

    /// Returns the logarithm of the price at which half is won, or `None` before any clicks.
    pub(crate) fn mid(&self) -> Option<f64> {
        (self.known > 0.0).then_some(self.mid)
    }

    fn first(&self) -> f64 {
        ((self.charged - CHARGES_LESS) / (CHARGES_ALL - CHARGES_LESS)).clamp(0.0, 1.0)
    }

    fn exponent(&self) -> f64 {
        (self.pull / (self.grip + RIDGE)).clamp(-1.0, 2.0)
    }

    /// Returns the clicks of a round of usual traffic, were all won, over long; 0 while too few to tell.
    fn slow_rate(&self) -> f64 {
        if self.slow_clicks < FEWEST_SLOW_CLICKS {
            return 0.0;
        }
        self.slow_clicks / self.slow_exposure.max(1e-9)
    }

    /// Returns the answer as far as it was seen, or `None` before any clicks.
    pub(crate) fn own(&self) -> Option<Curve> {
        (self.known > 0.0 && self.exposure > 0.0)
            .then(|| self.curve(self.mid, self.clicks / self.exposure))
    }

    /// Returns the answer. `usual_bid` and `usual_clicks` (a round, were all won) stand in for what is
    /// not known.
    pub(crate) fn curve(&self, usual_bid: f64, usual_clicks: f64) -> Curve {
        self.answer(usual_bid).curve(usual_clicks)
    }

    /// Returns the answer, but for what stands in for unknown traffic.
    pub(crate) fn answer(&self, usual_bid: f64) -> Answer {
        let weight = self.known + PRIOR_MID_CLICKS;
        let mid = (self.mid * self.known + usual_bid * PRIOR_MID_CLICKS) / weight;
        let first = self.first();
        Answer {
            curve: Curve {
                mid,
                rate: 0.0,
                price: exp(mid + SPREAD * SPREAD / 2.0),
                first,
                exponent: first * self.exponent(),
                centre: self.centre,
            },
            clicks: self.clicks + PRIOR_CLICKS,
            exposure: self.exposure,
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for part in [
            self.mid,
            self.known,
            self.clicks,
            self.exposure,
            self.slow_clicks,
            self.slow_exposure,
            self.charged,
            self.pull,
            self.grip,
            self.centre,
        ] {
            out.f64(part);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            mid: reader.learned()?,
            known: reader.learned_amount()?,
            clicks: reader.learned_amount()?,
            exposure: reader.learned_amount()?,
            slow_clicks: reader.learned_amount()?,
            slow_exposure: reader.learned_amount()?,
            charged: reader.learned_amount()?,
            pull: reader.learned()?,
            grip: reader.learned_amount()?,
            centre: reader.learned()?,
        })
    }
}

impl Answer {
    /// Returns the answer. `usual_clicks`: of a round, were all won.
    pub(crate) fn curve(&self, usual_clicks: f64) -> Curve {
        let prior = PRIOR_CLICKS / usual_clicks.max(1e-9);
        Curve {
            rate: self.clicks / (self.exposure + prior),
            ..self.curve
        }
    }
}

impl Curve {
    /// Returns clicks and spend in micros of a round of usual traffic, at the logarithm of a bid.
    pub(crate) fn at(&self, bid: f64) -> (f64, f64) {
        let x = (bid - self.mid) / SPREAD;
        let share = below(x);
        let beaten = self.price * below(x - SPREAD);
        if self.first == 0.0 {
            return (self.rate * share, self.rate * beaten);
        }
        let more = exp((self.exponent * (bid - self.centre)).clamp(-3.0, 3.0));
        let paid = (1.0 - self.first) * beaten + self.first * exp(bid) * share;
        (self.rate * more * share, self.rate * more * paid)
    }

    /// Returns the spend alone, the same to the bit: the search for a price asks for it, and no more.
    pub(crate) fn spend_at(&self, bid: f64) -> f64 {
        if self.first != 0.0 {
            return self.at(bid).1;
        }
        let x = (bid - self.mid) / SPREAD;
        self.rate * (self.price * below(x - SPREAD))
    }

    /// Returns whether less is bid than the last click is worth.
    pub(crate) fn is_shaded(&self) -> bool {
        self.first != 0.0
    }

    /// Returns by how much the logarithm of a bid is below that of the price of the last click that
    /// it buys: nothing where the price beaten is paid, more the less elastic clicks are where the
    /// bid is. Spend S(b) = b·Q(b) has dS/dQ = b·(1 + 1/e).
    pub(crate) fn shade(&self, price: f64) -> f64 {
        if !self.is_shaded() {
            return 0.0;
        }
        let x = (price - self.mid) / SPREAD;
        let slope = (below(x + 0.1) - below(x - 0.1)) / (0.2 * SPREAD * below(x).max(1e-9));
        let elasticity = (slope + self.exponent).clamp(0.5, 6.0);
        ln(1.0 + self.first / elasticity)
    }
}

const PLACES: usize = 193;

/// What part of a bid is paid on average, by where it stands: falls from place to place.
static CHARGED: LazyLock<[(f64, f64); PLACES]> = LazyLock::new(|| {
    let mut table = [(0.0, 0.0); PLACES];
    let mut x = -FURTHEST;
    for entry in &mut table {
        let mean = exp(SPREAD * SPREAD / 2.0 - x * SPREAD) * below(x - SPREAD) / below(x);
        *entry = (mean, x);
        x += 2.0 * FURTHEST / 192.0;
    }
    table
});

/// Returns where a bid stands, in deviations from `mid`, whose clicks cost such a part of it.
fn place(charged: f64) -> f64 {
    let above = CHARGED.partition_point(|&(part, _)| part > charged);
    match CHARGED.get(above.saturating_sub(1)..=above) {
        Some(&[(high, left), (low, right)]) if high > low => {
            left + (right - left) * ((high - charged) / (high - low)).clamp(0.0, 1.0)
        }
        _ if above == 0 => -FURTHEST,
        _ => FURTHEST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Twenty stretches at a bid in a second-price market whose prices are around `mid`.
    fn taught(bid: f64, mid: f64, is_first: bool) -> Response {
        let mut response = Response::default();
        for step in 0..40 {
            let bid = bid + 0.2 * f64::from(step % 5 - 2);
            let x = (bid - mid) / SPREAD;
            let clicks = 20.0 * below(x);
            let paid = if is_first {
                exp(bid)
            } else {
                exp(mid + SPREAD * SPREAD / 2.0) * below(x - SPREAD) / below(x)
            };
            response.learn(&Stretch {
                bid,
                rounds: 1.0,
                clicks,
                spend_micros: clicks * paid,
                is_stopped: false,
            });
        }
        response
    }

    #[test]
    fn bids_in_one_narrow_range_tell_where_the_prices_are() {
        for (bid, mid) in [(13.0, 13.5), (13.0, 12.5), (13.0, 13.0)] {
            let curve = taught(bid, mid, false).curve(13.0, 1.0);
            let half = curve.at(mid).0;
            assert!((half - 10.0).abs() < 1.0, "{half} of 20 won at the middle");
            let shaded = curve.shade(bid).abs();
            assert!(
                shaded < 1e-12,
                "the truth is bid where the price beaten is paid"
            );
        }
    }

    #[test]
    fn a_platform_that_charges_what_is_bid_is_bid_less() {
        let curve = taught(13.0, 13.0, true).curve(13.0, 1.0);
        assert!(curve.shade(13.0) > 0.2);
        let (clicks, spend) = curve.at(13.0);
        assert!((spend / clicks / exp(13.0) - 1.0).abs() < 0.01);
    }

    #[test]
    fn more_is_never_less() {
        let curve = taught(13.0, 13.0, false).curve(13.0, 1.0);
        let answers: Vec<(f64, f64)> = (0..80)
            .map(|i| curve.at(11.0 + 0.05 * f64::from(i)))
            .collect();
        for (one, next) in answers.iter().zip(answers.iter().skip(1)) {
            assert!(next.0 >= one.0 && next.1 >= one.1);
        }
    }

    #[test]
    fn what_is_spent_alone_is_the_same_to_the_bit() {
        for is_first in [false, true] {
            let curve = taught(13.0, 13.0, is_first).curve(13.0, 1.0);
            for step in 0..300 {
                let bid = 0.1 * f64::from(step);
                let (_, spend) = curve.at(bid);
                assert_eq!(curve.spend_at(bid).to_bits(), spend.to_bits(), "{bid}");
            }
        }
    }

    #[test]
    fn a_place_is_the_inverse_of_what_is_charged() {
        for &(charged, x) in CHARGED.iter() {
            assert!((place(charged) - x).abs() < 1e-9);
        }
        assert_eq!((place(2.0), place(0.0)), (-FURTHEST, FURTHEST));
    }

    fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
        let one = (
            0.0..30.0_f64,
            0.0..1e4_f64,
            0..1000_u32,
            0.0..1.6_f64,
            any::<bool>(),
        );
        let stretch = one.prop_map(|(bid, rounds, clicks, charged, is_stopped)| Stretch {
            bid,
            rounds,
            clicks: f64::from(clicks),
            spend_micros: f64::from(clicks) * charged * exp(bid),
            is_stopped,
        });
        prop::collection::vec(stretch, 0..40)
    }

    proptest! {
        #[test]
        fn whatever_was_reported_more_is_never_less(
            stretches in stretches(), bids in prop::collection::vec(0.0..30.0_f64, 2..20),
        ) {
            let mut response = Response::default();
            for stretch in &stretches {
                prop_assert!(response.learn(stretch) >= 0.0);
            }
            let curve = response.curve(13.0, 1.0);
            // With an exponent below 0, which only those that charge what is bid have, a share may
            // fall, and then the price must not buy there.
            prop_assume!(curve.exponent >= 0.0);
            let mut bids = bids;
            bids.sort_by(f64::total_cmp);
            let answers: Vec<(f64, f64)> = bids.iter().map(|&bid| curve.at(bid)).collect();
            for (one, next) in answers.iter().zip(answers.iter().skip(1)) {
                prop_assert!(one.0.is_finite() && one.1.is_finite() && one.0 >= 0.0);
                prop_assert!(next.0 >= one.0 && next.1 >= one.1 * (1.0 - 1e-12));
            }
            for bid in bids {
                let (clicks, spend) = curve.at(bid);
                let tail = 1e-5 * curve.rate * curve.price; // where the table ends
                prop_assert!(spend <= clicks * exp(bid) * 1.01 + tail, "no click above its bid");
                prop_assert!((0.0..1.2).contains(&curve.shade(bid)));
            }
        }

        #[test]
        fn what_was_learned_survives_a_snapshot(stretches in stretches()) {
            let mut response = Response::default();
            for stretch in &stretches {
                response.learn(stretch);
            }
            let mut out = Writer::default();
            response.write(&mut out);
            let read = Response::read(&mut Reader::new(&out.bytes));
            prop_assert_eq!(read, Some(response));
        }
    }
}
