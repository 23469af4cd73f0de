//! One campaign's decision: how much to bid, where, up to which cap, and why.
//!
//! A pure function of the definition, the forecasts and the ledger; `book` applies what it says.
//! A click on platform k is held to be worth `cvr_k · worth`, and the bid is that times the pacing
//! multiplier, which is the same on all platforms: equal marginal return. `worth` is the
//! conversion's value over the target ROAS, or the target CPA, whichever is less. The ROI reported
//! is the owner's formula, `cvr · value − cpc` per click.

use crate::definition::{Definition, Strategy};
use crate::money::Micros;

/// What a campaign does until the next round. Codes are those of `domain.decision.Action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Action {
    Hold,
    Bid,
    Fallback,
}

/// Names of actions by code.
pub const ACTIONS: [&str; 3] = ["HOLD", "BID", "FALLBACK"];

/// The constraint that bound a decision. Codes are those of `domain.decision.Binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Binding {
    None,
    NotActive,
    NotStarted,
    FlightOver,
    Budget,
    DailyCap,
    MinBid,
    MaxBid,
    MaxChange,
    Pacing,
    TargetCpa,
    TargetRoas,
    ThinData,
    StaleData,
    PoorRoi,
    TargetReach,
}

/// Names of bindings by code.
pub const BINDINGS: [&str; 16] = [
    "NONE",
    "NOT_ACTIVE",
    "NOT_STARTED",
    "FLIGHT_OVER",
    "BUDGET",
    "DAILY_CAP",
    "MIN_BID",
    "MAX_BID",
    "MAX_CHANGE",
    "PACING",
    "TARGET_CPA",
    "TARGET_ROAS",
    "THIN_DATA",
    "STALE_DATA",
    "POOR_ROI",
    "TARGET_REACH",
];

/// The CVR that a campaign without any clicks is held to have, and the clicks that this weighs.
const PRIOR_CVR: f64 = 0.02;
const PRIOR_CLICKS: f64 = 50.0;
/// The clicks that the campaign's pooled CVR weighs against a platform's own.
const POOL_CLICKS: f64 = 100.0;
/// A forecast less sure than this, or from fewer clicks, is thin: its platform is explored.
const THIN_CONFIDENCE: f64 = 0.1;
const THIN_CLICKS: u64 = 30;
/// What a platform is given that has not shown yet that it spends, in clicks at the bid.
const FEW_CLICKS: f64 = 4.0;
/// Pacing may bid this far above what a click is worth, never further.
const MOST_MULTIPLIER: f64 = 1.5;
/// Where clicks have no worth, the multiplier alone finds the bid: it may go far.
const MOST_WITHOUT_WORTH: f64 = 1000.0;
/// The bounds whose geometric mean is the start bid of a campaign that names neither worth nor bounds.
const USUAL_BIDS: (i64, i64) = (10_000, 100_000_000);

/// What is known of one platform when a round is decided.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Outlook {
    pub cpc_micros: Option<f64>,
    pub cvr: Option<f64>,
    pub confidence: f64,
    /// Clicks in the window.
    pub clicks: u64,
    /// Clicks, conversions and impressions in total.
    pub all_clicks: u64,
    pub all_conversions: f64,
    pub all_impressions: u64,
    pub settled: Micros,
    pub reserved: Micros,
    pub today: Micros,
    /// Spend of the last rounds, older ones weighing less.
    pub recent_spend: f64,
    /// The bid in force; 0: none.
    pub last_bid: i64,
}

/// The money that a round may hand out.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Purse {
    /// Neither settled nor reserved, of the budget and of the day.
    pub room: Micros,
    /// Of these, what the day's cap leaves.
    pub is_day_bound: bool,
    /// What the plan would have reserved by now for the rounds until the next report.
    pub wanted: f64,
    /// Whether the plan wants anything; else `wanted` is a probe.
    pub is_due: bool,
}

/// What is said to one platform.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub struct Offer {
    pub bid_micros: i64,
    /// To reserve in all; never beyond `Purse::room` in sum.
    pub allotment: Micros,
    pub cpc_micros: f64,
    pub cvr: f64,
    pub roi_micros: f64,
    pub confidence: f64,
    pub bound_by: Binding,
}

/// What was decided, with its reasons.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Verdict {
    pub action: Action,
    pub binding: Binding,
    pub best: Option<usize>,
    pub offers: Vec<Offer>,
}

/// Returns what one conversion may cost (`worth`) and what it brings (`value`); 0: unknown.
#[must_use]
#[allow(clippy::cast_precision_loss)] // at most 2^53
pub fn worth_of(definition: &Definition) -> (f64, f64) {
    let roas = if definition.target_roas > 0.0 {
        definition.target_roas
    } else {
        1.0
    };
    let (brings, cpa) = (
        definition.conversion_value_micros as f64 / roas,
        definition.target_cpa_micros as f64,
    );
    let value = if brings > 0.0 { brings } else { cpa };
    let worth = if cpa > 0.0 && cpa < value { cpa } else { value };
    (worth, value)
}

/// Returns the highest multiplier that the goal allows.
#[must_use]
pub fn most_multiplier(definition: &Definition) -> f64 {
    if has_worth(definition) {
        MOST_MULTIPLIER
    } else {
        MOST_WITHOUT_WORTH
    }
}

fn has_worth(definition: &Definition) -> bool {
    definition.strategy != Strategy::MaximiseReach && worth_of(definition).0 > 0.0
}

/// Returns a decision not to bid.
#[must_use]
pub fn hold(definition: &Definition, outlooks: &[Outlook], binding: Binding) -> Verdict {
    let offers: Vec<Offer> = offers(definition, outlooks);
    let best = best(definition, &offers);
    Verdict {
        action: Action::Hold,
        binding,
        best,
        offers,
    }
}

/// Returns the decision for a campaign that may bid. `is_stale`: nothing was heard for so long that
/// forecasts mean little; caps then stay as they are, so that what platforms may spend unseen is
/// bounded, and bids go to what the campaign would explore with.
#[must_use]
pub fn decide(
    definition: &Definition,
    outlooks: &[Outlook],
    multiplier: f64,
    purse: &Purse,
    is_stale: bool,
) -> Verdict {
    let mut offers = offers(definition, outlooks);
    let best = best(definition, &offers);
    let pool = Pool::of(outlooks);
    let standings: Vec<Standing> = offers
        .iter()
        .zip(outlooks)
        .map(|(offer, outlook)| standing(definition, offer, outlook, &pool))
        .collect();
    let is_poor = !is_stale && standings.iter().all(|&standing| standing == Standing::Poor);
    for (index, (offer, outlook)) in offers.iter_mut().zip(outlooks).enumerate() {
        if is_poor && best != Some(index) {
            continue; // no bid
        }
        let standing = standings.get(index).copied().unwrap_or(Standing::Thin);
        let wanted = wanted_bid(
            definition, outlook, index, &pool, multiplier, standing, is_stale,
        );
        let wanted = if is_poor { wanted * 0.8 } else { wanted };
        (offer.bid_micros, offer.bound_by) =
            bounded_bid(definition, index, outlook.last_bid, wanted);
    }
    let money = if is_stale {
        Binding::None
    } else {
        allot(
            definition,
            &mut offers,
            outlooks,
            &standings,
            purse,
            is_poor,
        )
    };
    let binding = if is_stale {
        Binding::StaleData
    } else if is_poor {
        Binding::PoorRoi
    } else if money != Binding::None {
        money
    } else {
        reason(definition, &offers, &standings, best, multiplier)
    };
    let action = if is_stale || is_poor {
        Action::Fallback
    } else {
        Action::Bid
    };
    Verdict {
        action,
        binding,
        best,
        offers,
    }
}

/// How a platform stands with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    /// Forecast to lose money.
    Poor,
    /// Too little is known.
    Thin,
}

fn standing(definition: &Definition, offer: &Offer, outlook: &Outlook, pool: &Pool) -> Standing {
    let is_thin = outlook.clicks < THIN_CLICKS || outlook.confidence < THIN_CONFIDENCE;
    let (worth, _) = worth_of(definition);
    if is_thin || outlook.cvr.is_none() {
        Standing::Thin
    } else if has_worth(definition) && pool.cvr(outlook) * worth < offer.cpc_micros {
        Standing::Poor
    } else {
        Standing::Good
    }
}

fn offers(definition: &Definition, outlooks: &[Outlook]) -> Vec<Offer> {
    let (_, value) = worth_of(definition);
    let finite = |forecast: Option<f64>| forecast.filter(|found| found.is_finite());
    outlooks
        .iter()
        .map(|outlook| {
            let cpc = finite(outlook.cpc_micros).map(|cpc| cpc.max(0.0));
            let cvr = finite(outlook.cvr).map(|cvr| cvr.max(0.0));
            let roi = match (cpc, cvr) {
                (Some(cpc), Some(cvr)) if value > 0.0 => Some(cvr * value - cpc),
                _ => None,
            };
            Offer {
                bid_micros: 0,
                allotment: Micros::ZERO,
                cpc_micros: cpc.unwrap_or(f64::NAN),
                cvr: cvr.unwrap_or(f64::NAN),
                roi_micros: roi.unwrap_or(f64::NAN),
                confidence: finite(Some(outlook.confidence))
                    .unwrap_or(0.0)
                    .clamp(0.0, 1.0),
                bound_by: Binding::None,
            }
        })
        .collect()
}

/// Returns the platform with the highest ROI, the first of equals; where conversions have no value,
/// the one with the cheapest clicks. `None` where nothing is forecast.
fn best(definition: &Definition, offers: &[Offer]) -> Option<usize> {
    let (_, value) = worth_of(definition);
    let scores = offers
        .iter()
        .map(|offer| {
            if value > 0.0 {
                offer.roi_micros
            } else {
                -offer.cpc_micros
            }
        })
        .enumerate()
        .filter(|(_, score)| score.is_finite());
    let best = scores.fold(
        None,
        |best: Option<(usize, f64)>, (index, score)| match best {
            Some((_, highest)) if highest >= score => best,
            _ => Some((index, score)),
        },
    );
    best.map(|(index, _)| index)
}

/// What a campaign's platforms together say about CVR. Conversions are few and come late, so what one
/// platform's window says is drawn to the campaign's level, and that to a prior (Beta–Gamma
/// shrinkage), and all is taken one standard deviation above the mean: who bids on the mean of a
/// handful of clicks that have not converted yet stops winning, and never learns better.
struct Pool {
    /// Mean of the campaign.
    mean: f64,
    /// How far above the mean to go, as a factor.
    optimism: f64,
}

#[allow(clippy::cast_precision_loss)]
impl Pool {
    fn of(outlooks: &[Outlook]) -> Self {
        let clicks: f64 = outlooks
            .iter()
            .map(|outlook| outlook.all_clicks as f64)
            .sum();
        let conversions: f64 = outlooks.iter().map(|outlook| outlook.all_conversions).sum();
        let shape = conversions + PRIOR_CVR * PRIOR_CLICKS;
        Self {
            mean: shape / (clicks + PRIOR_CLICKS),
            optimism: 1.0 + 1.0 / shape.sqrt(),
        }
    }

    /// Returns the CVR to bid with: a platform's own forecast weighs as its clicks, and as far as it
    /// can be trusted.
    fn cvr(&self, outlook: &Outlook) -> f64 {
        let weight = outlook.clicks as f64 * outlook.confidence.clamp(0.0, 1.0);
        let own = outlook
            .cvr
            .filter(|cvr| cvr.is_finite())
            .unwrap_or(self.mean)
            .clamp(0.0, 1.0);
        let mean = (own * weight + self.mean * POOL_CLICKS) / (weight + POOL_CLICKS);
        (mean * self.optimism).min(1.0)
    }
}

/// Returns the bid before bounds: what a click is held to be worth, times the multiplier.
fn wanted_bid(
    definition: &Definition,
    outlook: &Outlook,
    index: usize,
    pool: &Pool,
    multiplier: f64,
    standing: Standing,
    is_stale: bool,
) -> f64 {
    if !has_worth(definition) {
        return start_bid(definition, index) * multiplier;
    }
    let (worth, _) = worth_of(definition);
    // Above worth only where the platform is known to be good.
    let is_bold = standing == Standing::Good && !is_stale;
    let multiplier = if is_bold {
        multiplier
    } else {
        multiplier.min(1.0)
    };
    pool.cvr(outlook) * worth * multiplier
}

/// Returns the bid to start from where clicks have no worth: the geometric mean of the bounds.
#[allow(clippy::cast_precision_loss)]
fn start_bid(definition: &Definition, index: usize) -> f64 {
    let (low, high) = bounds(definition, index);
    let low = if low > 1 { low } else { USUAL_BIDS.0.min(high) };
    let high = if high < crate::definition::MOST_MICROS {
        high
    } else {
        USUAL_BIDS.1.max(low)
    };
    (low as f64 * high as f64).sqrt()
}

fn bounds(definition: &Definition, index: usize) -> (i64, i64) {
    definition
        .series
        .get(index)
        .map_or((1, 1), |series| definition.bid_bounds(series))
}

/// Returns a bid within every bound, and the bound that held it. The change is bounded relative to
/// the bid in force; a platform's and the campaign's bounds come last, for they are absolute.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn bounded_bid(definition: &Definition, index: usize, last: i64, wanted: f64) -> (i64, Binding) {
    let (low, high) = bounds(definition, index);
    let mut bid = if wanted.is_finite() {
        wanted.clamp(0.0, 1e15).round() as i64
    } else {
        low
    };
    let mut bound_by = Binding::None;
    if last > 0 {
        let most = (last as f64 * definition.max_change).clamp(1.0, 1e15) as i64;
        if (bid - last).abs() > most {
            bid = if bid > last { last + most } else { last - most };
            bound_by = Binding::MaxChange;
        }
    }
    if bid < low {
        (low, Binding::MinBid)
    } else if bid > high {
        (high, Binding::MaxBid)
    } else {
        (bid, bound_by)
    }
}

/// Splits what the plan wants reserved over the platforms. Writes the allotments, which are what is
/// to be reserved in all; returns `BUDGET` or `DAILY_CAP` where there was not room for them.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn allot(
    definition: &Definition,
    offers: &mut [Offer],
    outlooks: &[Outlook],
    standings: &[Standing],
    purse: &Purse,
    is_poor: bool,
) -> Binding {
    let wanted = if is_poor { 0.02 } else { 1.0 } * purse.wanted;
    let parts = split(
        definition,
        offers,
        outlooks,
        standings,
        wanted,
        purse.is_due,
    );
    let mut asked: Vec<i64> = Vec::with_capacity(offers.len());
    for ((offer, outlook), part) in offers.iter_mut().zip(outlooks).zip(parts) {
        offer.allotment = outlook.reserved;
        let day_cap = Micros(day_cap(definition, asked.len()));
        let day_room = day_cap
            .left_after(outlook.today)
            .left_after(outlook.reserved)
            .0;
        let more = part.clamp(0.0, 1e15) as i64 - outlook.reserved.0;
        asked.push(if offer.bid_micros > 0 {
            more.clamp(0, day_room)
        } else {
            0
        });
    }
    let total: i128 = asked.iter().map(|&more| i128::from(more)).sum();
    let room = i128::from(purse.room.0.max(0));
    for (offer, &more) in offers.iter_mut().zip(&asked) {
        let granted = if total > room {
            i128::from(more) * room / total.max(1)
        } else {
            more.into()
        };
        let granted = Micros(i64::try_from(granted).unwrap_or(0));
        offer.allotment = offer.allotment.saturating_add(granted);
    }
    match (total > room, purse.is_day_bound) {
        (false, _) => Binding::None,
        (true, true) => Binding::DailyCap,
        (true, false) => Binding::Budget,
    }
}

/// Returns each platform's part of what is to be reserved: by what a micro brings there, by where
/// money has lately been spent, and a little for each. What is reserved comes free only by being
/// spent, so a platform that spends little is given a few clicks' worth and three times what it
/// spends; what that leaves goes to those that do spend.
#[allow(clippy::cast_precision_loss)]
fn split(
    definition: &Definition,
    offers: &[Offer],
    outlooks: &[Outlook],
    standings: &[Standing],
    wanted: f64,
    is_due: bool,
) -> Vec<f64> {
    let platforms = || offers.iter().zip(outlooks).zip(standings);
    let scores: Vec<f64> = platforms()
        .map(|((offer, outlook), &standing)| score(definition, offer, outlook, standing))
        .collect();
    let recent: Vec<f64> = platforms()
        .map(|((_, outlook), &standing)| {
            if standing == Standing::Poor {
                0.0
            } else {
                outlook.recent_spend.max(0.0)
            }
        })
        .collect();
    let even = 1.0 / offers.len().max(1) as f64;
    let (all_scores, all_recent): (f64, f64) = (scores.iter().sum(), recent.iter().sum());
    let share = |of: f64, all: f64| if all > 0.0 { of / all } else { even };
    let mut parts: Vec<f64> = Vec::with_capacity(offers.len());
    for ((offer, &score), &spent) in offers.iter().zip(&scores).zip(&recent) {
        let part = 0.45 * share(score, all_scores) + 0.45 * share(spent, all_recent) + 0.1 * even;
        let few_clicks = if is_due { FEW_CLICKS } else { 0.0 } * offer.bid_micros as f64;
        parts.push((part * wanted).min(3.0 * spent + few_clicks.max(0.1 * even * wanted)));
    }
    let left = (wanted - parts.iter().sum::<f64>()).max(0.0);
    for ((part, &spent), offer) in parts.iter_mut().zip(&recent).zip(offers) {
        if all_recent > 0.0 {
            *part += left * spent / all_recent;
        }
        // Less than two clicks' worth buys nothing; but ahead of the plan, waiting is the plan.
        if is_due {
            *part = part.max(2.0 * offer.bid_micros as f64);
        }
    }
    parts
}

fn day_cap(definition: &Definition, index: usize) -> i64 {
    let cap = definition
        .series
        .get(index)
        .map_or(0, |series| series.daily_cap_micros);
    if cap == 0 { i64::MAX } else { cap }
}

/// Returns what a micro spent brings on a platform, squared: half as good gets a quarter.
#[allow(clippy::cast_precision_loss)]
fn score(definition: &Definition, offer: &Offer, outlook: &Outlook, standing: Standing) -> f64 {
    let cpc = offer.cpc_micros;
    if standing != Standing::Good || !(cpc.is_finite() && cpc >= 1.0) {
        return 0.0;
    }
    let brought = if definition.strategy == Strategy::MaximiseReach {
        outlook.all_impressions as f64 / (outlook.settled.0.max(1) as f64)
    } else if has_worth(definition) {
        offer.cvr / cpc
    } else {
        1.0 / cpc
    };
    brought * brought
}

/// Returns why the best platform's bid is what it is.
fn reason(
    definition: &Definition,
    offers: &[Offer],
    standings: &[Standing],
    best: Option<usize>,
    multiplier: f64,
) -> Binding {
    if standings.iter().all(|&standing| standing == Standing::Thin) {
        return Binding::ThinData;
    }
    let bound_by = best
        .and_then(|best| offers.get(best))
        .map_or(Binding::None, |offer| offer.bound_by);
    if bound_by != Binding::None {
        bound_by
    } else if multiplier < 0.98 || (!has_worth(definition) && multiplier < MOST_WITHOUT_WORTH) {
        Binding::Pacing
    } else if multiplier < MOST_MULTIPLIER {
        Binding::None
    } else if definition.target_cpa_micros > 0 && worth_of(definition).0 < worth_of(definition).1
        || definition.conversion_value_micros == 0
    {
        Binding::TargetCpa
    } else if definition.target_roas > 0.0 {
        Binding::TargetRoas
    } else {
        Binding::None
    }
}
