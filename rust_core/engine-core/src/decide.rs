//! One campaign's decision: how much to bid, where, up to which cap, and why.
//!
//! A pure function of the definition, the forecasts and the ledger; `book` applies what it says.
//! A click on platform k is held to be worth `cvr_k · worth`, and the bid is that times the price of
//! money (the pacing multiplier), which is the same on all platforms: equal marginal return. `worth` is the
//! conversion's value over the target ROAS, or the target CPA, whichever is less. The ROI reported
//! is the owner's formula, `cvr · value − cpc` per click.

use crate::allot::{allot, cut_back};
use crate::bid::{MOST_MULTIPLIER, MOST_WITHOUT_WORTH, has_worth, wanted_bid, worth_of};
use crate::definition::Definition;
use crate::feasible;
use crate::guard::{self, Facts, guarded_bid};
use crate::money::Micros;
use crate::verdict::{Action, Binding, Desk, Offer, Outlook, Purse, Standing, Verdict};

/// A forecast less sure than this, or from fewer clicks, is thin: its platform is explored.
const THIN_CONFIDENCE: f64 = 0.1;
const THIN_CLICKS: u64 = 30;

/// Decides not to bid.
pub(crate) fn hold(definition: &Definition, desk: &mut Desk, binding: Binding) -> Verdict {
    let worth = Worth::of(definition);
    offer(&worth, desk);
    let best = best(definition, &worth, &desk.offers);
    for (index, offer) in desk.offers.iter_mut().enumerate() {
        // Who must not bid needs no money: what is open is taken back.
        offer.allotment = Micros::ZERO;
        offer.bound_by = if guard::is_open(definition, index) {
            binding
        } else {
            Binding::Blocked
        };
    }
    Verdict {
        action: Action::Hold,
        binding,
        best,
    }
}

/// Decides for a campaign that may bid. `is_stale`: nothing was heard for so long that
/// forecasts mean little; caps then stay as they are, so that what platforms may spend unseen is
/// bounded, and bids go to what the campaign would explore with.
pub(crate) fn decide(
    definition: &Definition,
    desk: &mut Desk,
    multiplier: f64,
    purse: &Purse,
    is_stale: bool,
) -> Verdict {
    let worth = Worth::of(definition);
    offer(&worth, desk);
    let best = best(definition, &worth, &desk.offers);
    let platforms = desk.offers.iter().zip(&desk.outlooks);
    desk.standings.clear();
    desk.standings
        .extend(platforms.map(|(offer, outlook)| standing(&worth, offer, outlook)));
    let open = desk
        .standings
        .iter()
        .enumerate()
        .filter(|&(index, _)| guard::is_open(definition, index));
    let is_poor = !is_stale
        && open
            .clone()
            .all(|(_, &standing)| standing == Standing::Poor);
    let platforms = desk.offers.iter_mut().zip(&desk.outlooks);
    for (index, ((offer, outlook), &standing)) in platforms.zip(&desk.standings).enumerate() {
        if !guard::is_open(definition, index) {
            offer.bound_by = Binding::Blocked;
            continue;
        }
        if is_poor && best != Some(index) {
            offer.bound_by = Binding::PoorRoi; // no bid
            continue;
        }
        let wanted = |multiplier, trust, standing, is_stale| {
            wanted_bid(
                worth.is_known,
                outlook,
                multiplier,
                trust,
                standing,
                is_stale,
            )
        };
        let bid = wanted(multiplier, purse.trust, standing, is_stale);
        let bid = if is_poor { bid * 0.8 } else { bid };
        let facts = Facts {
            last_bid: outlook.last_bid,
            day_bid: outlook.day_bid,
            is_held: outlook.is_bid_held,
            confidence: offer.confidence,
            fallback: wanted(1.0, 0.0, Standing::Thin, true),
        };
        (offer.bid_micros, offer.bound_by) = guarded_bid(definition, index, &facts, bid);
        offer.planned_micros = finite(outlook.planned).unwrap_or(0.0).max(0.0);
    }
    let money = if is_stale {
        Binding::None
    } else {
        allot(definition, desk, purse, is_poor)
    };
    let cut = cut_back(definition, desk, purse);
    let money = if cut == Binding::None { money } else { cut };
    let binding = if is_stale {
        Binding::StaleData
    } else if is_infeasible(definition, desk) {
        Binding::Infeasible
    } else if is_poor {
        Binding::PoorRoi
    } else if money != Binding::None {
        money
    } else {
        reason(definition, &worth, desk, best, multiplier, purse)
    };
    let action = if is_stale || is_poor || binding == Binding::Infeasible {
        Action::Fallback
    } else {
        Action::Bid
    };
    Verdict {
        action,
        binding,
        best,
    }
}

/// What a conversion may cost and what it brings, found once for all platforms.
struct Worth {
    /// Whether bids go by it.
    is_known: bool,
    costs: f64,
    value: f64,
}

impl Worth {
    fn of(definition: &Definition) -> Self {
        let (costs, value) = worth_of(definition);
        Self {
            is_known: has_worth(definition),
            costs,
            value,
        }
    }
}

/// Returns whether the goal is out of reach of the least bids, as far as data can say.
fn is_infeasible(definition: &Definition, desk: &Desk) -> bool {
    let platforms = desk.outlooks.iter().zip(&desk.standings);
    let cvrs = platforms
        .map(|(outlook, &standing)| (standing != Standing::Thin).then_some(outlook.hoped_cvr));
    feasible::is_min_bid_above_goal(definition, cvrs)
}

fn standing(worth: &Worth, offer: &Offer, outlook: &Outlook) -> Standing {
    let is_thin = outlook.clicks < THIN_CLICKS || outlook.confidence < THIN_CONFIDENCE;
    if is_thin || outlook.cvr.is_nan() {
        Standing::Thin
    } else if worth.is_known && outlook.hoped_cvr * worth.costs < offer.cpc_micros {
        Standing::Poor
    } else {
        Standing::Good
    }
}

fn finite(forecast: f64) -> Option<f64> {
    forecast.is_finite().then_some(forecast)
}

/// Lays an offer of nothing on the desk for each platform, with what is forecast there.
fn offer(worth: &Worth, desk: &mut Desk) {
    desk.offers.clear();
    desk.offers.extend(desk.outlooks.iter().map(|outlook| {
        let cpc = finite(outlook.cpc_micros).map(|cpc| cpc.max(0.0));
        let cvr = finite(outlook.cvr).map(|_| outlook.held_cvr);
        let roi = match (cpc, cvr) {
            (Some(cpc), Some(cvr)) if worth.value > 0.0 => Some(cvr * worth.value - cpc),
            _ => None,
        };
        Offer {
            bid_micros: 0,
            allotment: outlook.reserved,
            cpc_micros: cpc.unwrap_or(f64::NAN),
            cvr: cvr.unwrap_or(f64::NAN),
            roi_micros: roi.unwrap_or(f64::NAN),
            confidence: finite(outlook.confidence).unwrap_or(0.0).clamp(0.0, 1.0),
            planned_micros: 0.0,
            bound_by: Binding::None,
        }
    }));
}

/// Returns the platform with the highest ROI, the first of equals; where conversions have no value,
/// the one with the cheapest clicks. `None` where nothing is forecast.
fn best(definition: &Definition, worth: &Worth, offers: &[Offer]) -> Option<usize> {
    let scores = offers
        .iter()
        .map(|offer| {
            if worth.value > 0.0 {
                offer.roi_micros
            } else {
                -offer.cpc_micros
            }
        })
        .enumerate()
        .filter(|&(index, score)| score.is_finite() && guard::is_open(definition, index));
    let best = scores.fold(
        None,
        |best: Option<(usize, f64)>, (index, score)| match best {
            Some((_, highest)) if highest >= score => best,
            _ => Some((index, score)),
        },
    );
    best.map(|(index, _)| index)
}

/// Returns why the best platform's bid is what it is.
fn reason(
    definition: &Definition,
    worth: &Worth,
    desk: &Desk,
    best: Option<usize>,
    multiplier: f64,
    purse: &Purse,
) -> Binding {
    let mut standings = desk.standings.iter();
    if standings.all(|&standing| standing == Standing::Thin) {
        return Binding::ThinData;
    }
    let bound_by = best
        .and_then(|best| desk.offers.get(best))
        .map_or(Binding::None, |offer| offer.bound_by);
    if bound_by != Binding::None {
        bound_by
    } else if let Some(held_by) = purse.held_by.filter(|_| purse.trust >= 0.5) {
        held_by
    } else if multiplier < 0.98 || (!worth.is_known && multiplier < MOST_WITHOUT_WORTH) {
        Binding::Pacing
    } else if multiplier < MOST_MULTIPLIER {
        Binding::None
    } else if definition.target_cpa_micros > 0 && worth.costs < worth.value
        || definition.conversion_value_micros == 0
    {
        Binding::TargetCpa
    } else if definition.target_roas > 0.0 {
        Binding::TargetRoas
    } else {
        Binding::None
    }
}
