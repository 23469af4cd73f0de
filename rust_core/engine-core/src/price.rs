//! What a campaign's price of money goes by: its platforms' answers, its worth of a click on each,
//! and what is left of budget and flight. Everything here follows from the book and the time.

use crate::bid::{has_worth, most_multiplier, start_bid, worth_of};
use crate::campaign::{Campaign, Series};
use crate::definition::{Definition, Strategy};
use crate::guard;
use crate::money::Micros;
use crate::pacing::LEAST_MULTIPLIER;
use crate::plan::Now;
use crate::real::{exp, ln};
use crate::shadow::{Lane, Terms};
use crate::worth::{self, Held, Rates};

/// Clicks known that make an answer half trusted.
const HALF_TRUSTED_CLICKS: f64 = 4.0;
/// Before any clicks, this part of a bid at a multiplier of 1 is held to win half of them.
const USUAL_PART: f64 = 0.37;
/// Clicks that the campaign's impressions per click weigh against a platform's own.
const PRIOR_CLICKS: f64 = 20.0;

/// The money that a price is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Money {
    pub(crate) settled: Micros,
    /// Reserved on platforms that the campaign has left.
    pub(crate) lost: Micros,
    pub(crate) today: Micros,
    pub(crate) day_ends: i64,
    /// What an even plan would spend in a round.
    pub(crate) a_round: f64,
}

/// A campaign's platforms as its price sees them.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) held: Vec<Held>,
    pub(crate) terms: Terms,
    /// How far the answers are known, 0 to 1.
    pub(crate) trust: f64,
    /// Rounds of usual traffic since the flight began.
    pub(crate) passed: f64,
    /// Traffic of the time, relative to usual.
    pub(crate) traffic: f64,
}

impl Campaign {
    /// Returns the CVRs of its series together, and what prices make expect of each.
    pub(crate) fn rates(&self, series: &[Series]) -> (Rates, Vec<f64>) {
        let own = || self.series.iter().filter_map(|&slot| series.get(slot));
        let mids: Vec<(f64, f64)> = own()
            .map(|one| {
                let response = &one.watch.response;
                (response.mid().unwrap_or(0.0), response.known())
            })
            .collect();
        let relatives = worth::relatives(&mids);
        let conversions = own().map(|one| &one.watch.conversions);
        let rates = worth::rates(&conversions.zip(relatives.iter().copied()));
        (rates, relatives)
    }

    /// Returns how old reports are when they come, on average over the platforms that report.
    pub(crate) fn lag_ms(&self, series: &[Series]) -> f64 {
        let own = self.series.iter().filter_map(|&slot| series.get(slot));
        let lags = own
            .map(|one| one.watch.lag_ms)
            .filter(|&lag_ms| lag_ms > 0.0);
        let (sum, count) = lags.fold((0.0, 0.0), |(sum, count), lag_ms| {
            (sum + lag_ms, count + 1.0)
        });
        if count > 0.0 { sum / count } else { 0.0 }
    }

    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // at most 2^53
    pub(crate) fn view(&self, series: &[Series], now: &Now, money: &Money) -> View {
        let definition = &self.definition;
        let (rates, relatives) = self.rates(series);
        let unit_price = ln(self.pacing.multiplier.max(LEAST_MULTIPLIER));
        let shows = shown_per_click(self, series);
        let mut lanes = Vec::with_capacity(self.series.len());
        let mut held = Vec::with_capacity(self.series.len());
        let mut known = 0.0;
        let (mut won, mut seen) = (0.0, 0.0);
        for (index, (&slot, &relative)) in self.series.iter().zip(&relatives).enumerate() {
            let Some(one) = series.get(slot) else {
                continue;
            };
            let cvr = worth::held(&one.watch.conversions, relative, &rates, &self.delays);
            let (brings, unit) = unit_of(definition, index, &cvr, one, shows);
            let usual_price = unit * USUAL_PART;
            #[allow(clippy::cast_precision_loss)]
            let platforms = self.series.len().max(1) as f64;
            let usual_clicks = 2.0 * money.a_round / (platforms * usual_price).max(1.0);
            let curve = one.watch.response.curve(ln(usual_price), usual_clicks);
            let unit = ln(unit);
            let (low, high) = definition
                .series
                .get(index)
                .map_or((1, 1), |series| definition.bid_bounds(series));
            lanes.push(Lane {
                curve,
                unit: unit - curve.shade(unit + unit_price),
                bounds: (ln(low as f64), ln(high as f64)),
                brings,
                is_open: guard::is_open(definition, index),
            });
            known += one.watch.response.known();
            won += if definition.strategy == Strategy::MaximiseReach {
                one.account.impressions as f64
            } else {
                one.account.clicks as f64 * brings
            };
            seen += one.account.milliconversions as f64 / 1000.0;
            held.push(cvr);
        }
        let profile = self.traffic.profile();
        let lag_ms = self.lag_ms(series) as i64;
        let from_ms = (now.at_ms - lag_ms).max(definition.starts_at_ms);
        let rounds = |to_ms: i64| {
            let rounds = profile.rounds(from_ms, to_ms, now.interval_ms);
            rounds.max(0.1)
        };
        let spent = money.settled.saturating_add(money.lost);
        let day_left = if definition.daily_cap_micros > 0 {
            Micros(definition.daily_cap_micros)
                .left_after(money.today)
                .0 as f64
        } else {
            f64::INFINITY
        };
        let is_target = matches!(
            definition.strategy,
            Strategy::TargetCpa | Strategy::TargetRoas
        );
        let has_target = definition.target_cpa_micros > 0 || definition.target_roas > 0.0;
        let terms = Terms {
            left: Micros(definition.budget_micros).left_after(spent).0 as f64,
            rounds: rounds(definition.ends_at_ms),
            day_left,
            day_rounds: rounds(money.day_ends.min(definition.ends_at_ms)),
            spent: money.settled.0 as f64,
            won,
            // Few conversions say little of what a conversion cost.
            doubt: 1.0 / f64::sqrt(seen + 1.0),
            allowed: if has_target && has_worth(definition) {
                worth_of(definition).0
            } else {
                f64::INFINITY
            },
            is_soft: has_target && !is_target,
            range: (ln(LEAST_MULTIPLIER), ln(most_multiplier(definition))),
        };
        View {
            lanes,
            held,
            terms,
            trust: known / (known + HALF_TRUSTED_CLICKS),
            passed: profile.rounds(definition.starts_at_ms, from_ms, now.interval_ms),
            traffic: profile.at(now.at_ms),
        }
    }
}

/// Returns what a click brings, and the bid in micros at a multiplier of 1.
#[allow(clippy::cast_precision_loss)]
fn unit_of(
    definition: &Definition,
    index: usize,
    cvr: &Held,
    one: &Series,
    shows: f64,
) -> (f64, f64) {
    if has_worth(definition) {
        let (worth, _) = worth_of(definition);
        return (cvr.mean, (cvr.hoped * worth).max(1.0));
    }
    let start = start_bid(definition, index).max(1.0);
    if definition.strategy != Strategy::MaximiseReach {
        return (1.0, start);
    }
    // Who pays by the click for being shown pays the more for a click, the rarer clicks are.
    let own = (one.account.impressions as f64 + PRIOR_CLICKS * shows)
        / (one.account.clicks as f64 + PRIOR_CLICKS);
    (own, (start * own / shows).max(1.0))
}

/// Returns impressions per click of the campaign.
#[allow(clippy::cast_precision_loss)]
fn shown_per_click(campaign: &Campaign, series: &[Series]) -> f64 {
    let own = campaign.series.iter().filter_map(|&slot| series.get(slot));
    let (shown, clicks) = own.fold((100.0, 1.0), |(shown, clicks), one| {
        let account = &one.account;
        (
            shown + account.impressions as f64,
            clicks + account.clicks as f64,
        )
    });
    (shown / clicks).max(1.0)
}

/// Where the price of money is trusted, allotments are at most so many times what is left for their
/// rounds, and in sum so little ahead of what traffic so far makes due: the budget times such a part of
/// p·(1 − p), p being the part of the flight's traffic by then. So nothing is ahead at the end.
const MOST_TIMES_PACE: f64 = 2.0;
const AHEAD_OF_DUE: f64 = 0.25;
const AHEAD_OF_EVEN: f64 = 0.05;

/// What allotments may come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limit {
    /// The most to have reserved, in micros.
    pub(crate) most: f64,
    /// Whether that is more than a probe.
    pub(crate) is_due: bool,
}

impl View {
    /// Returns the most to have reserved for some rounds of the present traffic.
    pub(crate) fn limit(&self, definition: &Definition, ahead: f64) -> Limit {
        let terms = &self.terms;
        let all_rounds = self.passed + terms.rounds;
        let coming = ahead * self.traffic;
        let budget = terms.left + terms.spent;
        let slack = if definition.strategy == Strategy::EvenPacing {
            AHEAD_OF_EVEN
        } else {
            AHEAD_OF_DUE
        };
        let part = ((self.passed + coming) / all_rounds).min(1.0);
        let due = budget * (part + slack * part * (1.0 - part)) - terms.spent;
        let pace = terms.left * coming / terms.rounds;
        let probe = 0.01 * pace;
        Limit {
            most: (MOST_TIMES_PACE * pace).min(due).max(probe),
            is_due: due > probe,
        }
    }

    /// Returns what each platform is expected to spend in a round of usual traffic.
    pub(crate) fn spends(&self, multiplier: f64) -> Vec<f64> {
        let price = ln(multiplier.max(LEAST_MULTIPLIER));
        self.lanes.iter().map(|lane| lane.at(price).1).collect()
    }

    /// Returns the bid at a multiplier of 1 on each platform, before bounds, in micros.
    pub(crate) fn unit_bids(&self) -> impl Iterator<Item = f64> + '_ {
        self.lanes.iter().map(|lane| exp(lane.unit))
    }
}
