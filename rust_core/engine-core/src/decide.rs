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
use crate::verdict::{Action, Binding, Offer, Outlook, Purse, Standing, Verdict};

/// A forecast less sure than this, or from fewer clicks, is thin: its platform is explored.
const THIN_CONFIDENCE: f64 = 0.1;
const THIN_CLICKS: u64 = 30;

/// Returns a decision not to bid.
#[must_use]
pub fn hold(definition: &Definition, outlooks: &[Outlook], binding: Binding) -> Verdict {
    let mut offers: Vec<Offer> = offers(definition, outlooks);
    let best = best(definition, &offers);
    for (index, offer) in offers.iter_mut().enumerate() {
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
    let standings: Vec<Standing> = offers
        .iter()
        .zip(outlooks)
        .map(|(offer, outlook)| standing(definition, offer, outlook))
        .collect();
    let open = standings
        .iter()
        .enumerate()
        .filter(|&(index, _)| guard::is_open(definition, index));
    let is_poor = !is_stale
        && open
            .clone()
            .all(|(_, &standing)| standing == Standing::Poor);
    for (index, (offer, outlook)) in offers.iter_mut().zip(outlooks).enumerate() {
        if !guard::is_open(definition, index) {
            offer.bound_by = Binding::Blocked;
            continue;
        }
        if is_poor && best != Some(index) {
            offer.bound_by = Binding::PoorRoi; // no bid
            continue;
        }
        let standing = standings.get(index).copied().unwrap_or(Standing::Thin);
        let trust = purse.trust;
        let wanted = wanted_bid(definition, outlook, multiplier, trust, standing, is_stale);
        let wanted = if is_poor { wanted * 0.8 } else { wanted };
        let facts = Facts {
            last_bid: outlook.last_bid,
            day_bid: outlook.day_bid,
            is_held: outlook.is_bid_held,
            confidence: offer.confidence,
            fallback: wanted_bid(definition, outlook, 1.0, 0.0, Standing::Thin, true),
        };
        (offer.bid_micros, offer.bound_by) = guarded_bid(definition, index, &facts, wanted);
        offer.planned_micros = finite(Some(outlook.planned)).unwrap_or(0.0).max(0.0);
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
    let cut = cut_back(definition, &mut offers, outlooks, purse);
    let money = if cut == Binding::None { money } else { cut };
    let binding = if is_stale {
        Binding::StaleData
    } else if is_infeasible(definition, outlooks, &standings) {
        Binding::Infeasible
    } else if is_poor {
        Binding::PoorRoi
    } else if money != Binding::None {
        money
    } else {
        reason(definition, &offers, &standings, best, multiplier, purse)
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
        offers,
    }
}

/// Returns whether the goal is out of reach of the least bids, as far as data can say.
fn is_infeasible(definition: &Definition, outlooks: &[Outlook], standings: &[Standing]) -> bool {
    let cvrs: Vec<Option<f64>> = outlooks
        .iter()
        .zip(standings)
        .map(|(outlook, &standing)| (standing != Standing::Thin).then_some(outlook.hoped_cvr))
        .collect();
    feasible::is_min_bid_above_goal(definition, &cvrs)
}

fn standing(definition: &Definition, offer: &Offer, outlook: &Outlook) -> Standing {
    let is_thin = outlook.clicks < THIN_CLICKS || outlook.confidence < THIN_CONFIDENCE;
    let (worth, _) = worth_of(definition);
    if is_thin || outlook.cvr.is_none() {
        Standing::Thin
    } else if has_worth(definition) && outlook.hoped_cvr * worth < offer.cpc_micros {
        Standing::Poor
    } else {
        Standing::Good
    }
}

fn finite(forecast: Option<f64>) -> Option<f64> {
    forecast.filter(|found| found.is_finite())
}

fn offers(definition: &Definition, outlooks: &[Outlook]) -> Vec<Offer> {
    let (_, value) = worth_of(definition);
    outlooks
        .iter()
        .map(|outlook| {
            let cpc = finite(outlook.cpc_micros).map(|cpc| cpc.max(0.0));
            let cvr = finite(outlook.cvr).map(|_| outlook.held_cvr);
            let roi = match (cpc, cvr) {
                (Some(cpc), Some(cvr)) if value > 0.0 => Some(cvr * value - cpc),
                _ => None,
            };
            Offer {
                bid_micros: 0,
                allotment: outlook.reserved,
                cpc_micros: cpc.unwrap_or(f64::NAN),
                cvr: cvr.unwrap_or(f64::NAN),
                roi_micros: roi.unwrap_or(f64::NAN),
                confidence: finite(Some(outlook.confidence))
                    .unwrap_or(0.0)
                    .clamp(0.0, 1.0),
                planned_micros: 0.0,
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
    offers: &[Offer],
    standings: &[Standing],
    best: Option<usize>,
    multiplier: f64,
    purse: &Purse,
) -> Binding {
    if standings.iter().all(|&standing| standing == Standing::Thin) {
        return Binding::ThinData;
    }
    let bound_by = best
        .and_then(|best| offers.get(best))
        .map_or(Binding::None, |offer| offer.bound_by);
    if bound_by != Binding::None {
        bound_by
    } else if let Some(held_by) = purse.held_by.filter(|_| purse.trust >= 0.5) {
        held_by
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
