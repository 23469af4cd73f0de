//! What a campaign's price of money goes by: its platforms' answers, its worth of a click on each,
//! and what is left of budget and flight. Everything here follows from the book and the time.

use crate::bid::{self, has_worth, most_multiplier, start_bid, worth_of};
use crate::campaign::{Campaign, Series};
use crate::definition::{Definition, Strategy};
use crate::guard;
use crate::money::Micros;
use crate::pacing::LEAST_MULTIPLIER;
use crate::real::{exp, ln};
use crate::response::Answer;
use crate::shadow::{Lane, Terms};
use crate::traffic::{Clock, Rounds, Times};
use crate::verdict::{Desk, Outlook};
use crate::worth::{self, Held, Rates};

/// Of an end that has come, so many rounds are held to be left.
const LEAST_ROUNDS: f64 = 0.1;
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
    /// Before it and after, of usual traffic.
    pub(crate) rounds: Rounds,
    /// Of the time, relative to usual.
    pub(crate) traffic: f64,
    /// What an even plan would spend in a round.
    pub(crate) a_round: f64,
}

/// What a campaign's price goes by until something is learned of it: it follows from the book, and is
/// kept so that a round need not find it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Common {
    /// CVRs of all its series together.
    pub(crate) rates: Rates,
    /// How old reports are when they come.
    pub(crate) lag_ms: i64,
    /// How far the answers are known, 0 to 1.
    trust: f64,
    won: f64,
    doubt: f64,
    allowed: f64,
    range: (f64, f64),
}

/// The same of one of its platforms.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Basis {
    answer: Answer,
    /// About what a click costs, times the platforms.
    usual_price: f64,
    /// Logarithm of the bid at a multiplier of 1, before it is shaded, and that bid.
    unit: f64,
    unit_bid: f64,
    /// Logarithms of the least and the most that may be bid.
    bounds: (f64, f64),
    /// What a click is expected to bring.
    brings: f64,
    /// What is held of its CVR, and one standard deviation above.
    pub(crate) held_cvr: f64,
    pub(crate) hoped_cvr: f64,
}

/// A campaign's platforms as its price sees them.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) terms: Terms,
    /// How far the answers are known, 0 to 1.
    pub(crate) trust: f64,
    /// Rounds of usual traffic since the flight began.
    pub(crate) passed: f64,
    /// Traffic of the time, relative to usual.
    pub(crate) traffic: f64,
}

impl Campaign {
    /// Returns the CVRs of its series together, and writes what prices make expect of each.
    pub(crate) fn rates(&self, series: &[Series], relatives: &mut Vec<f64>) -> Rates {
        let own = || self.series.iter().filter_map(|&slot| series.get(slot));
        let mids = own().map(|one| {
            let response = &one.watch.learned.response;
            (response.mid().unwrap_or(0.0), response.known())
        });
        worth::write_relatives(&mids, relatives);
        let conversions = own().map(|one| &one.watch.learned.conversions);
        worth::rates(&conversions.zip(relatives.iter().copied()))
    }

    /// Returns how old reports are when they come, on average over the platforms that report.
    fn lag_ms(&self, series: &[Series]) -> f64 {
        let own = self.series.iter().filter_map(|&slot| series.get(slot));
        let lags = own
            .map(|one| one.watch.lag_ms)
            .filter(|&lag_ms| lag_ms > 0.0);
        let (sum, count) = lags.fold((0.0, 0.0), |(sum, count), lag_ms| {
            (sum + lag_ms, count + 1.0)
        });
        if count > 0.0 { sum / count } else { 0.0 }
    }

    /// Returns the times that its traffic is asked for.
    pub(crate) fn times(&self, common: &Common, at_ms: i64, day_ends_ms: i64) -> Times {
        Times {
            at_ms,
            lag_ms: common.lag_ms,
            starts_at_ms: self.definition.starts_at_ms,
            day_ends_ms,
            ends_at_ms: self.definition.ends_at_ms,
        }
    }

    /// Returns the clock of a round: the one of the round before, while it shows the time.
    pub(crate) fn clock_at(&self, common: &Common, at_ms: i64, day_ends_ms: i64) -> Clock {
        let kept = self.clock.filter(|clock| clock.shows(at_ms));
        let times = || self.times(common, at_ms, day_ends_ms);
        kept.unwrap_or_else(|| Clock::new(&self.traffic, &times()))
    }

    /// Returns what its price goes by until something is learned, and writes the same of each platform.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // at most 2^53
    pub(crate) fn common(&self, series: &[Series], desk: &mut Desk) -> Common {
        let definition = &self.definition;
        let Desk {
            bases, relatives, ..
        } = desk;
        let rates = self.rates(series, relatives);
        let weights = self.delays.weights();
        let shows = shown_per_click(self, series);
        let platforms = self.series.len().max(1) as f64;
        let (mut known, mut won, mut seen) = (0.0, 0.0, 0.0);
        bases.clear();
        for (index, (&slot, &mut relative)) in self.series.iter().zip(relatives).enumerate() {
            let Some(one) = series.get(slot) else {
                continue;
            };
            let learned = &one.watch.learned;
            let cvr = worth::held(&learned.conversions, relative, &rates, &weights);
            let (brings, unit) = unit_of(definition, index, &cvr, one, shows);
            let usual_price = unit * USUAL_PART;
            let (low, high) = bid::bounds(definition, index);
            let log = ln(unit);
            bases.push(Basis {
                answer: learned.response.answer(ln(usual_price)),
                usual_price: (platforms * usual_price).max(1.0),
                unit: log,
                unit_bid: exp(log),
                bounds: (ln(low as f64), ln(high as f64)),
                brings,
                held_cvr: cvr.mean,
                hoped_cvr: cvr.hoped,
            });
            known += learned.response.known();
            won += if definition.strategy == Strategy::MaximiseReach {
                one.account.impressions as f64
            } else {
                one.account.clicks as f64 * brings
            };
            seen += one.account.milliconversions as f64 / 1000.0;
        }
        let has_target = definition.target_cpa_micros > 0 || definition.target_roas > 0.0;
        Common {
            rates,
            lag_ms: self.lag_ms(series) as i64,
            trust: known / (known + HALF_TRUSTED_CLICKS),
            won,
            // Few conversions say little of what a conversion cost.
            doubt: 1.0 / f64::sqrt(seen + 1.0),
            allowed: if has_target && has_worth(definition) {
                worth_of(definition).0
            } else {
                f64::INFINITY
            },
            range: (ln(LEAST_MULTIPLIER), ln(most_multiplier(definition))),
        }
    }
}

impl View {
    /// Returns the view of a campaign at a time. `lanes`: room for them, whatever is there.
    #[allow(clippy::cast_precision_loss)] // at most 2^53
    pub(crate) fn new<'a>(
        campaign: &Campaign,
        common: &Common,
        bases: impl Iterator<Item = &'a Basis>,
        money: &Money,
        mut lanes: Vec<Lane>,
    ) -> Self {
        let definition = &campaign.definition;
        let rounds = money.rounds;
        let mut price = None;
        lanes.clear();
        lanes.extend(bases.enumerate().map(|(index, basis)| {
            let usual_clicks = 2.0 * money.a_round / basis.usual_price;
            let curve = basis.answer.curve(usual_clicks);
            let (mut unit, mut unit_bid) = (basis.unit, basis.unit_bid);
            if curve.is_shaded() {
                let multiplier = campaign.pacing.multiplier.max(LEAST_MULTIPLIER);
                let price = *price.get_or_insert_with(|| ln(multiplier));
                unit -= curve.shade(unit + price);
                unit_bid = exp(unit);
            }
            Lane {
                curve,
                unit,
                unit_bid,
                bounds: basis.bounds,
                brings: basis.brings,
                is_open: guard::is_open(definition, index),
            }
        }));
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
            rounds: rounds.flight.max(LEAST_ROUNDS),
            day_left,
            day_rounds: rounds.day.max(LEAST_ROUNDS),
            spent: money.settled.0 as f64,
            won: common.won,
            doubt: common.doubt,
            allowed: common.allowed,
            is_soft: has_target && !is_target,
            range: common.range,
        };
        Self {
            lanes,
            terms,
            trust: common.trust,
            passed: rounds.passed,
            traffic: money.traffic,
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

    /// Writes what the price of money says of each platform into what is known of it.
    pub(crate) fn look(&self, outlooks: &mut [Outlook], multiplier: f64) {
        let price = ln(multiplier.max(LEAST_MULTIPLIER));
        for (outlook, lane) in outlooks.iter_mut().zip(&self.lanes) {
            outlook.unit_bid = lane.unit_bid;
            outlook.planned = lane.spends(price) * self.traffic;
        }
    }
}
