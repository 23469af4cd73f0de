//! Allotments: how what the plan wants reserved is split over a campaign's platforms.

use crate::bid::has_worth;
use crate::definition::{Definition, Strategy};
use crate::ledger;
use crate::money::Micros;
use crate::verdict::{Binding, Desk, Offer, Outlook, Purse, Standing};

/// What a platform is given that has not shown yet that it spends, in clicks at the bid.
const FEW_CLICKS: f64 = 4.0;
/// Where the price of money is trusted: times what is planned, and so many clicks at the bid.
const TIMES_PLANNED: f64 = 3.0;
const SOME_CLICKS: f64 = 3.0;
/// And at most so many times what was lately spent, beside as many clicks.
const MOST_GROWTH: f64 = 3.0;
/// Who has lately spent so many clicks' worth tries a platform that sells nothing with at most such a
/// part of what is left.
const THICK_CLICKS: f64 = 5.0;
const TRIAL_PART: f64 = 0.02;

/// Splits what the plan wants reserved over the platforms. Writes the allotments, which are what is
/// to be reserved in all; returns `BUDGET` or `DAILY_CAP` where there was not room for them.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
pub(crate) fn allot(
    definition: &Definition,
    desk: &mut Desk,
    purse: &Purse,
    is_poor: bool,
) -> Binding {
    let wanted = if is_poor { 0.02 } else { 1.0 } * purse.wanted;
    split(definition, desk, wanted, purse.is_due && purse.is_planned);
    steer(desk, purse, is_poor);
    let Desk {
        outlooks,
        offers,
        parts,
        asked,
        ..
    } = desk;
    asked.clear();
    for ((offer, outlook), part) in offers.iter_mut().zip(outlooks).zip(parts) {
        let day_room = day_room(definition, asked.len(), outlook);
        let part = part.clamp(0.0, 1e15) as i64;
        offer.allotment = ledger::kept(outlook, offer.bid_micros > 0, part, purse.is_due);
        let more = (part - offer.allotment.0).max(0);
        // What is held for it is reserved already: to offer it again takes nothing from others.
        let again = more.min(outlook.held.0);
        if offer.bid_micros > 0 {
            offer.allotment = offer.allotment.saturating_add(Micros(again));
            if more - again > day_room && offer.bound_by == Binding::None {
                offer.bound_by = Binding::DailyCap;
            }
            asked.push((more - again).clamp(0, day_room));
        } else {
            asked.push(0);
        }
    }
    let total: i64 = asked.iter().sum(); // each at most 1e15, as its part is
    let room = purse.room.0.max(0);
    for (offer, &more) in offers.iter_mut().zip(asked.iter()) {
        let granted = if total > room {
            let granted = i128::from(more) * i128::from(room) / i128::from(total);
            i64::try_from(granted).unwrap_or(0)
        } else {
            more
        };
        offer.allotment = offer.allotment.saturating_add(Micros(granted));
    }
    match (total > room, purse.is_day_bound) {
        (false, _) => Binding::None,
        (true, true) => Binding::DailyCap,
        (true, false) => Binding::Budget,
    }
}

/// Lowers what was given beyond a budget or a daily cap that was lowered since, or that another platform
/// has used up: each platform in proportion. Returns `BUDGET` or `DAILY_CAP` where that is so. What
/// platforms may have spent by the caps before stays reserved, as `ledger` says.
pub(crate) fn cut_back(definition: &Definition, desk: &mut Desk, purse: &Purse) -> Binding {
    let Desk {
        outlooks, offers, ..
    } = desk;
    for (index, (offer, outlook)) in offers.iter_mut().zip(outlooks.iter()).enumerate() {
        let Some(day_cap) = day_cap(definition, index) else {
            continue;
        };
        let today_left = day_cap.left_after(outlook.today);
        if offer.allotment > today_left {
            (offer.allotment, offer.bound_by) = (today_left, Binding::DailyCap);
        }
    }
    if purse.excess == Micros::ZERO {
        return Binding::None;
    }
    let sum = |amounts: &mut dyn Iterator<Item = i64>| amounts.map(i128::from).sum::<i128>();
    let given = &mut outlooks.iter().flat_map(|one| [one.reserved.0, one.held.0]);
    let most = (sum(given) - i128::from(purse.excess.0)).max(0);
    let total = sum(&mut offers.iter().map(|offer| offer.allotment.0));
    if total > most {
        for offer in offers.iter_mut() {
            let part = i128::from(offer.allotment.0) * most / total;
            offer.allotment = Micros(i64::try_from(part).unwrap_or(0));
        }
    }
    if purse.is_day_bound {
        Binding::DailyCap
    } else {
        Binding::Budget
    }
}

/// Mixes the parts with those of the price of money, as far as that is trusted: what each platform is
/// expected to spend under it.
#[allow(clippy::cast_precision_loss)]
fn steer(desk: &mut Desk, purse: &Purse, is_poor: bool) {
    let Desk {
        outlooks,
        offers,
        parts,
        ..
    } = desk;
    let (planned, recent) = outlooks
        .iter()
        .fold((0.0, 0.0), |(planned, recent), outlook| {
            (planned + outlook.planned, recent + outlook.recent_spend)
        });
    let times = (TIMES_PLANNED * purse.ahead).min(purse.most / f64::max(planned, 1.0));
    let part_of_plan = if is_poor { 0.02 } else { 1.0 };
    for ((part, offer), outlook) in parts.iter_mut().zip(offers).zip(outlooks) {
        let planned = times * outlook.planned * part_of_plan;
        // Spend comes in whole clicks; one that nothing is expected of is tried with one, unless that
        // is dear to a campaign that spends elsewhere.
        let click = offer.bid_micros as f64;
        let is_thick = recent >= THICK_CLICKS * click;
        let trial = if is_thick {
            click.min(TRIAL_PART * purse.left)
        } else {
            click
        };
        let few = if purse.is_due {
            (trial + planned).min(SOME_CLICKS * click)
        } else {
            0.0
        };
        // What is planned may be wrong: it grows from what was truly spent.
        let most = MOST_GROWTH * outlook.recent_spend + SOME_CLICKS * click;
        let steered = (planned + few).min(most).min(1e15);
        *part += (steered - *part) * purse.trust;
    }
}

/// Writes each platform's part of what is to be reserved: by what a micro brings there, by where
/// money has lately been spent, and a little for each. What is reserved comes free only by being
/// spent, so a platform that spends little is given a few clicks' worth and three times what it
/// spends; what that leaves goes to those that do spend.
#[allow(clippy::cast_precision_loss)]
fn split(definition: &Definition, desk: &mut Desk, wanted: f64, is_due: bool) {
    let Desk {
        outlooks,
        offers,
        standings,
        scores,
        parts,
        ..
    } = desk;
    let bids_by_worth = has_worth(definition);
    let platforms = offers.iter().zip(outlooks.iter()).zip(standings.iter());
    let (mut all_scores, mut all_recent) = (0.0, 0.0);
    scores.clear();
    for ((offer, outlook), &standing) in platforms {
        let score = score(definition, bids_by_worth, offer, outlook, standing);
        let recent = if standing == Standing::Poor {
            0.0
        } else {
            outlook.recent_spend.max(0.0)
        };
        (all_scores, all_recent) = (all_scores + score, all_recent + recent);
        scores.push((score, recent));
    }
    let even = 1.0 / offers.len().max(1) as f64;
    let share = |of: f64, all: f64| if all > 0.0 { of / all } else { even };
    parts.clear();
    for (offer, &(score, spent)) in offers.iter().zip(scores.iter()) {
        let part = 0.45 * share(score, all_scores) + 0.45 * share(spent, all_recent) + 0.1 * even;
        let few_clicks = if is_due { FEW_CLICKS } else { 0.0 } * offer.bid_micros as f64;
        parts.push((part * wanted).min(3.0 * spent + few_clicks.max(0.1 * even * wanted)));
    }
    let left = (wanted - parts.iter().sum::<f64>()).max(0.0);
    for ((part, &(_, spent)), offer) in parts.iter_mut().zip(scores.iter()).zip(offers) {
        if all_recent > 0.0 {
            *part += left * spent / all_recent;
        }
        // Less than two clicks' worth buys nothing; but ahead of the plan, waiting is the plan.
        if is_due {
            *part = part.max(2.0 * offer.bid_micros as f64);
        }
    }
}

fn day_cap(definition: &Definition, index: usize) -> Option<Micros> {
    let series = definition.series.get(index);
    let cap = series.map_or(0, |series| series.daily_cap_micros);
    (cap != 0).then_some(Micros(cap))
}

/// Returns what may newly be asked for a platform, by the cap of its day.
fn day_room(definition: &Definition, index: usize, outlook: &Outlook) -> i64 {
    day_cap(definition, index).map_or(i64::MAX, |cap| {
        let left = cap.left_after(outlook.today);
        left.left_after(outlook.reserved.saturating_add(outlook.held))
            .0
    })
}

/// Returns what a micro spent brings on a platform, squared: half as good gets a quarter.
#[allow(clippy::cast_precision_loss)]
fn score(
    definition: &Definition,
    has_worth: bool,
    offer: &Offer,
    outlook: &Outlook,
    standing: Standing,
) -> f64 {
    let cpc = offer.cpc_micros;
    if standing != Standing::Good || !(cpc.is_finite() && cpc >= 1.0) {
        return 0.0;
    }
    let brought = if definition.strategy == Strategy::MaximiseReach {
        outlook.all_impressions as f64 / (outlook.settled.0.max(1) as f64)
    } else if has_worth {
        offer.cvr / cpc
    } else {
        1.0 / cpc
    };
    brought * brought
}
