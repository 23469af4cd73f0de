//! What a click is worth in conversions: a CVR from few conversions, some of which are still to come.
//!
//! Three things keep it from being a bare quotient:
//!
//! * **Late conversions.** Clicks count by the share of their conversions that should have been seen.
//!   How late they come is not told by platforms that report a conversion when it comes, so a few
//!   delay curves are held against what came: each weighs by the likelihood that it gives the counts
//!   of every report (Gamma–Poisson). A platform that restates its reports is served as well, for only what
//!   is new in a report is looked at.
//! * **Few conversions.** A platform's CVR is drawn to what the campaign's platforms together have
//!   (Gamma–Poisson shrinkage), and that to a prior. What rivals pay for a click says half of what it
//!   is worth: between "all clicks convert alike" and "prices are right", the prior goes as the square
//!   root of the price at which half is won.
//! * **Curiosity.** Bids go by one standard deviation above the mean: who bids on the mean of a
//!   handful of clicks that have not converted stops winning, and never learns better. The more is
//!   known, the less it adds; plans and reports go by the mean.

use crate::bytes::{Reader, Writer, learned_amount};
use crate::real::{exp, ln};

/// The CVR that a campaign without any clicks is held to have, and the clicks that this weighs.
const PRIOR_CVR: f64 = 0.02;
const PRIOR_CLICKS: f64 = 50.0;
/// Conversions that the campaign's level weighs against a platform's own: platforms' CVRs differ by
/// about a factor of e either way.
const SHAPE: f64 = 1.0;
/// A platform's CVR is that of about its newest so many conversions.
const CONVERSIONS_KEPT: f64 = 200.0;
/// Delay curves: all at once, or a part at once and the rest after a mean of such a part of the flight.
const DELAYS: usize = 5;
const MEAN_DELAYS: [f64; DELAYS] = [0.0, 1.0 / 256.0, 1.0 / 64.0, 1.0 / 16.0, 1.0 / 4.0];
const AT_ONCE: f64 = 0.7;
/// Before anything is known, a curve with a delay is half as likely as the one without: for as long
/// as no data can tell them apart, they make a CVR more than what was seen.
const DELAYED: f64 = 0.5;
const Z_975: f64 = 1.959_963_984_540_054;
/// No curve is ever held to be less likely than this (as a logarithm), so that each may come back.
const LEAST_LIKELY: f64 = -12.0;

/// Clicks and conversions of one series.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Conversions {
    seen: f64,
    /// Under each delay curve: clicks whose conversions should have been seen, and others.
    matured: [f64; DELAYS],
    waiting: [f64; DELAYS],
}

/// The logarithm of how likely each delay curve is, up to a constant; of a campaign.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Delays {
    likely: [f64; DELAYS],
}

/// CVRs of all series together, under each delay curve.
pub(crate) type Rates = [f64; DELAYS];

/// What is held of a series' CVR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Held {
    pub(crate) mean: f64,
    /// One standard deviation above.
    pub(crate) hoped: f64,
    /// Conversions that it rests on, those of the prior included.
    pub(crate) shape: f64,
}

impl Held {
    /// Returns where the rate itself lies with 95 %: of the Gamma distribution with this mean and
    /// shape, by Wilson and Hilferty's cube (Abramowitz & Stegun 26.4.17).
    pub(crate) fn interval(&self) -> (f64, f64) {
        let end = |z: f64| {
            let root = 1.0 - 1.0 / (9.0 * self.shape) + z / (3.0 * self.shape.sqrt());
            self.mean * root.max(0.0).powi(3)
        };
        (end(-Z_975), end(Z_975).min(1.0))
    }
}

impl Conversions {
    /// Learns what is new in a report: clicks and conversions of `passed` (a part of the flight).
    /// Returns how likely each delay curve holds it, as logarithms, given the campaign's rates.
    pub(crate) fn learn(
        &mut self,
        clicks: f64,
        conversions: f64,
        passed: f64,
        rates: &Rates,
    ) -> Rates {
        // Curve by curve in short loops without branches, which become vector code.
        let mut due = [clicks; DELAYS];
        let ([_, late @ ..], [_, waiting @ ..], [_, delays @ ..]) =
            (&mut due, &mut self.waiting, &MEAN_DELAYS);
        for ((due, waiting), &delay) in late.iter_mut().zip(waiting).zip(delays) {
            let came = *waiting * (1.0 - exp(-passed / delay));
            *waiting = learned_amount(*waiting + ((1.0 - AT_ONCE) * clicks - came));
            *due = came + AT_ONCE * clicks;
        }
        // Of a Gamma–Poisson mixture, less what is the same for all curves: how many conversions
        // came, whatever their rate, against how many clicks then and before should have shown.
        let mut likely = [0.0; DELAYS];
        let curves = self.matured.iter_mut().zip(&due).zip(rates);
        for (likely, ((matured, &due), &rate)) in likely.iter_mut().zip(curves) {
            let before = *matured + SHAPE / rate;
            let all = before + due.max(1e-6);
            *likely =
                (self.seen + SHAPE) * ln(before / all) + conversions * ln(due.max(1e-6) / all);
            *matured = learned_amount(*matured + due);
        }
        self.seen = learned_amount(self.seen + conversions);
        if self.seen > CONVERSIONS_KEPT {
            let keep = CONVERSIONS_KEPT / self.seen;
            self.seen *= keep;
            self.matured.iter_mut().for_each(|matured| *matured *= keep);
        }
        likely
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.f64(self.seen);
        for part in self.matured.iter().chain(&self.waiting) {
            out.f64(*part);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self {
            seen: reader.learned_amount()?,
            ..Self::default()
        };
        for part in read.matured.iter_mut().chain(&mut read.waiting) {
            *part = reader.learned_amount()?;
        }
        Some(read)
    }
}

impl Delays {
    /// Learns how likely each curve held what came.
    pub(crate) fn learn(&mut self, likely: &Rates) {
        let sums = self.likely.iter_mut().zip(likely);
        sums.for_each(|(sum, new)| *sum += new);
        let most = self.likely.iter().copied().fold(f64::MIN, f64::max);
        for sum in &mut self.likely {
            *sum = (*sum - most).max(LEAST_LIKELY);
        }
    }

    /// Returns how likely each curve is; in sum 1.
    pub(crate) fn weights(&self) -> Rates {
        let mut weights = self.likely.map(exp);
        let delayed = weights.iter_mut().zip(MEAN_DELAYS);
        delayed
            .filter(|&(_, delay)| delay > 0.0)
            .for_each(|(weight, _)| *weight *= DELAYED);
        let all: f64 = weights.iter().sum();
        weights.map(|weight| weight / all)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        self.likely.iter().for_each(|&sum| out.f64(sum));
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::default();
        for sum in &mut read.likely {
            *sum = reader
                .f64()
                .filter(|found| (LEAST_LIKELY..=0.0).contains(found))?;
        }
        Some(read)
    }
}

/// Returns the rates of a campaign's series together, each with what its price makes expect of it
/// (relative to the others). Series differ, so one with very many clicks says of the others no more
/// than one with enough: its counts weigh 1 / (1 + expected conversions / SHAPE).
pub(crate) fn rates<'a, S>(series: &S) -> Rates
where
    S: Iterator<Item = (&'a Conversions, f64)> + Clone,
{
    let sum = |bare: Option<&Rates>| {
        let (mut seen, mut matured) = ([PRIOR_CVR * PRIOR_CLICKS; DELAYS], [PRIOR_CLICKS; DELAYS]);
        for (one, relative) in series.clone() {
            let sums = seen.iter_mut().zip(&mut matured).zip(&one.matured);
            for (curve, ((seen, sum), clicks)) in sums.enumerate() {
                let clicks = clicks * relative;
                let rate = bare.and_then(|bare| bare.get(curve)).copied();
                let weight = 1.0 / (1.0 + rate.unwrap_or(0.0) * clicks / SHAPE);
                *seen += one.seen * weight;
                *sum += clicks * weight;
            }
        }
        let mut rates = [0.0; DELAYS];
        for ((rate, seen), clicks) in rates.iter_mut().zip(seen).zip(matured) {
            *rate = seen / clicks;
        }
        rates
    };
    let bare = sum(None);
    sum(Some(&bare))
}

/// Returns what is held of the CVR of one series. `weights`: of the delay curves.
pub(crate) fn held(one: &Conversions, relative: f64, rates: &Rates, weights: &Rates) -> Held {
    let mut mean = 0.0;
    for ((weight, rate), matured) in weights.iter().zip(rates).zip(&one.matured) {
        mean += weight * (one.seen + SHAPE) / (matured + SHAPE / (rate * relative));
    }
    Held {
        mean: mean.min(1.0),
        hoped: (mean * (1.0 + 1.0 / (one.seen + SHAPE).sqrt())).min(1.0),
        shape: one.seen + SHAPE,
    }
}

/// Writes what prices make expect of each series' CVR, relative to the others'. A price that is not
/// known is as the others'. `mids`: logarithms of the price at which half is won, and the clicks that
/// each is known from.
pub(crate) fn write_relatives<M>(mids: &M, relatives: &mut Vec<f64>)
where
    M: Iterator<Item = (f64, f64)> + Clone,
{
    relatives.clear();
    let clicks: f64 = mids.clone().map(|(_, known)| known).sum();
    if clicks <= 0.0 {
        relatives.extend(mids.clone().map(|_| 1.0));
        return;
    }
    let usual = mids.clone().map(|(mid, known)| mid * known).sum::<f64>() / clicks;
    let few = 2.0;
    let drawn = mids.clone();
    relatives.extend(drawn.map(|(mid, known)| (mid * known + usual * few) / (known + few)));
    #[allow(clippy::cast_precision_loss, reason = "at most 256")]
    let middle = relatives.iter().sum::<f64>() / relatives.len().max(1) as f64;
    for relative in relatives {
        *relative = exp((0.5 * (*relative - middle)).clamp(-2.0, 2.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn conversions_that_come_late_are_waited_for() {
        // A CVR of 10 %: half at once, half after a sixteenth of the flight on average.
        let (mut one, mut delays) = (Conversions::default(), Delays::default());
        let mut waiting = 0.0;
        for _ in 0..12 {
            let came = waiting * (1.0 - exp(-16.0 / 100.0)) + 10.0;
            waiting += 20.0 - came;
            let rates = rates(&[(&one, 1.0)].into_iter());
            let likely = one.learn(200.0, came, 0.01, &rates);
            delays.learn(&likely);
        }
        let rates = rates(&[(&one, 1.0)].into_iter());
        let held = held(&one, 1.0, &rates, &delays.weights());
        let bare = one.seen / one.matured[0];
        assert!(
            bare < 0.083 && (0.08..0.12).contains(&held.mean),
            "{bare} {held:?}"
        );
        assert!(held.hoped > held.mean);
    }

    #[test]
    fn the_dearer_platform_is_held_to_be_the_better_until_it_is_known() {
        let mids = [(13.0, 100.0), (15.0, 100.0), (0.0, 0.0)];
        let mut relatives = Vec::new();
        write_relatives(&mids.into_iter(), &mut relatives);
        assert!((relatives[1] / relatives[0] - exp(1.0 * 100.0 / 102.0)).abs() < 1e-9);
        assert!(relatives[0] < relatives[2] && relatives[2] < relatives[1]);
    }

    proptest! {
        #[test]
        fn a_rate_is_one_whatever_was_reported(
            reports in prop::collection::vec((0..3000_u32, 0..3000_u32, 0.0..0.2_f64), 0..60),
            relative in 0.1..10.0_f64,
        ) {
            let (mut one, mut delays) = (Conversions::default(), Delays::default());
            for (clicks, conversions, passed) in reports {
                let rates = rates(&[(&one, relative)].into_iter());
                let likely = one.learn(clicks.into(), conversions.into(), passed, &rates);
                delays.learn(&likely);
            }
            let rates = rates(&[(&one, relative)].into_iter());
            let found = held(&one, relative, &rates, &delays.weights());
            prop_assert!(0.0 < found.mean && found.mean <= found.hoped && found.hoped <= 1.0);
            let weights: f64 = delays.weights().iter().sum();
            prop_assert!((weights - 1.0).abs() < 1e-9);
            let mut out = Writer::default();
            one.write(&mut out);
            delays.write(&mut out);
            let reader = &mut Reader::new(&out.bytes);
            prop_assert_eq!(Conversions::read(reader), Some(one));
            prop_assert_eq!(Delays::read(reader), Some(delays));
        }
    }
}
