//! Past days: what is kept of each.
//!
//! A day is reduced to sums when it is added, and what all days teach (`lessons`) is drawn from those: a
//! day more is cheap, and the oldest of [`MOST_DAYS`] makes room for it. Worths alone are kept one by
//! one, as scenarios of the rest of a day need their whole distribution.

use crate::error::CoreError;
use crate::planner::checks;
use crate::planner::landscape::{SLOT_BINS, SlotRates};
use crate::planner::lattice::{Grid, POINTS, STEP, coordinate, count, number};
use crate::planner::lessons::Lessons;
use crate::real::{exp, ln};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Rounds of a day at most: one a minute.
pub const MOST_ROUNDS: usize = 1440;
/// Days remembered; one more, and the oldest is forgotten.
pub const MOST_DAYS: usize = 60;
/// Campaigns of a day at most.
pub const MOST_CAMPAIGNS: usize = 1024;

const LEAST_LEVEL: f64 = 1e-6;
/// Auctions that a campaign-day adds to the slot rates, about.
const SLOT_SAMPLES: usize = 6000;
/// The golden ratio's fraction: its multiples fill an interval evenly.
const GOLDEN: f64 = 0.618_033_988_7;

/// One campaign's past day: its opportunities in the order of time.
#[derive(Debug, Clone, Copy)]
pub struct PastCampaign<'a> {
    /// Who it was; the same campaign has the same identity on other days.
    pub identity: u64,
    /// Forecast conversions of an exposure (or value over the target), one an opportunity.
    pub worths: &'a [f32],
    /// The three highest competing bids, highest first, units of money: three an opportunity, or
    /// none at all where they are not known.
    pub prices: &'a [f64],
    /// Where rounds begin in these, and at the end their number: one more than rounds.
    pub bounds: &'a [u32],
}

/// Past days, and what they teach.
///
/// ```
/// use engine_core::planner::{History, PastCampaign};
///
/// let mut history = History::new(2, [1.0, 0.8, 0.48])?;
/// let prices = [0.5, 0.4, 0.3, 0.6, 0.5, 0.2, 0.5, 0.2, 0.1];
/// let day = PastCampaign { identity: 7, worths: &[0.01, 0.02, 0.01], prices: &prices, bounds: &[0, 2, 3] };
/// history.add_day(&[day])?;
/// assert_eq!(history.days(), 1);
/// assert_eq!(history.profile(), [2.0 / 3.0, 1.0 / 3.0]);
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) rounds: usize,
    pub(crate) exposures: [f64; 3],
    pub(crate) days: Vec<Day>,
    pub(crate) lessons: Arc<Lessons>,
}

impl History {
    /// Returns an empty history. `exposures`: how likely a bid is exposed on the first, second and
    /// third slot, above the first, second and third price.
    ///
    /// # Errors
    /// `CoreError` for no rounds or more than [`MOST_ROUNDS`], and for exposures outside 0 to 1.
    pub fn new(rounds: usize, exposures: [f64; 3]) -> Result<Self, CoreError> {
        checks::count("rounds", "1 to 1440", rounds, 1..=MOST_ROUNDS)?;
        for exposure in exposures {
            checks::number("exposures", "0 to 1", exposure, 0.0..=1.0)?;
        }
        Ok(Self {
            rounds,
            exposures,
            days: Vec::new(),
            lessons: Arc::new(Lessons::none(rounds)),
        })
    }

    /// Adds a past day, the newest.
    ///
    /// # Errors
    /// `CoreError` for the first number that no day can have; the history is then as it was.
    pub fn add_day(&mut self, campaigns: &[PastCampaign<'_>]) -> Result<(), CoreError> {
        let day = Day::new(campaigns, self.rounds, &self.exposures)?;
        if self.days.len() >= MOST_DAYS {
            self.days.remove(0);
        }
        self.days.push(day);
        self.lessons = Arc::new(Lessons::of(&self.days, self.rounds));
        Ok(())
    }

    /// Returns how many days are remembered.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// Returns how many rounds a day has.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Returns each round's share of a day's traffic; even shares while no day is known.
    #[must_use]
    pub fn profile(&self) -> &[f64] {
        &self.lessons.profile
    }

    /// Returns the mean opportunities of a campaign's day, 0 while no day is known.
    #[must_use]
    pub fn opportunities(&self) -> f64 {
        self.lessons.opportunities
    }

    /// Returns the rounds at which dayparts begin, and at the end the number of rounds.
    #[must_use]
    pub fn dayparts(&self) -> &[usize] {
        &self.lessons.cuts
    }
}

/// What is kept of a past day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Day {
    /// Opportunities of each round, of the day's first campaign.
    pub(crate) traffic: Vec<u32>,
    pub(crate) slots: SlotSums,
    /// Histograms of the least price to beat, by round; none where the day has no prices.
    pub(crate) prices: Vec<Grid>,
    pub(crate) campaigns: Vec<CampaignDay>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CampaignDay {
    pub(crate) identity: u64,
    pub(crate) worths: Vec<f32>,
    pub(crate) bounds: Vec<u32>,
}

/// Sums of what bids just so far above the least price would have brought and cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotSums {
    pub(crate) auctions: [f64; SLOT_BINS],
    pub(crate) exposure: [f64; SLOT_BINS],
    pub(crate) cost: [f64; SLOT_BINS],
}

impl Day {
    fn new(
        campaigns: &[PastCampaign<'_>],
        rounds: usize,
        exposures: &[f64; 3],
    ) -> Result<Self, CoreError> {
        checks::count(
            "campaigns",
            "1 to 1024",
            campaigns.len(),
            1..=MOST_CAMPAIGNS,
        )?;
        let mut identities = BTreeSet::new();
        for campaign in campaigns {
            campaign.check(rounds)?;
            if !identities.insert(campaign.identity) {
                return Err(CoreError::KeyTaken {
                    what: "campaign",
                    found: campaign.identity,
                });
            }
        }
        let mut slots = SlotSums::default();
        for campaign in campaigns {
            slots.add(campaign.prices, exposures);
        }
        let has_prices = campaigns.iter().any(|campaign| !campaign.prices.is_empty());
        let prices = 0..if has_prices { rounds } else { 0 };
        let first = campaigns
            .first()
            .map_or(&[][..], |campaign| campaign.bounds);
        Ok(Self {
            traffic: widths(first).collect(),
            slots,
            prices: prices.map(|round| prices_of(campaigns, round)).collect(),
            campaigns: campaigns.iter().map(CampaignDay::of).collect(),
        })
    }
}

impl PastCampaign<'_> {
    fn check(&self, rounds: usize) -> Result<(), CoreError> {
        let worths = self.worths.len();
        checks::length("bounds", rounds + 1, self.bounds.len())?;
        if !self.prices.is_empty() {
            checks::length("prices", 3 * worths, self.prices.len())?;
        }
        checks::bounds(self.bounds, worths)?;
        for &worth in self.worths {
            checks::number("worths", "0 to 1e6", f64::from(worth), 0.0..=1e6)?;
        }
        for &price in self.prices {
            checks::number("prices", "1e-9 to 1e9", price, 1e-9..=1e9)?;
        }
        Ok(())
    }

    /// Returns the least prices to beat of a round.
    fn least_prices(&self, round: usize) -> impl Iterator<Item = f64> {
        let (start, end) = self.bounds.get(round..).map_or((0, 0), |rest| match rest {
            [start, end, ..] => (*start as usize, *end as usize),
            _ => (0, 0),
        });
        let prices = self.prices.get(3 * start..3 * end).unwrap_or_default();
        prices
            .chunks_exact(3)
            .filter_map(|three| three.last().copied())
    }
}

/// Returns the histogram of a round's least prices, of all campaigns; its shares sum to 1 at most.
fn prices_of(campaigns: &[PastCampaign<'_>], round: usize) -> Grid {
    let mut histogram = [0.0; POINTS];
    let mut prices = 0.0;
    for price in campaigns
        .iter()
        .flat_map(|campaign| campaign.least_prices(round))
    {
        count(&mut histogram, coordinate(price), 1.0);
        prices += 1.0;
    }
    if prices > 0.0 {
        for share in &mut histogram {
            *share /= prices;
        }
    }
    histogram
}

fn widths(bounds: &[u32]) -> impl Iterator<Item = u32> {
    bounds.windows(2).map(|pair| match pair {
        [start, end] => end.saturating_sub(*start),
        _ => 0,
    })
}

impl CampaignDay {
    fn of(campaign: &PastCampaign<'_>) -> Self {
        Self {
            identity: campaign.identity,
            worths: campaign.worths.to_vec(),
            bounds: campaign.bounds.to_vec(),
        }
    }

    /// Returns the worths of a stretch of rounds.
    pub(crate) fn worths(&self, from: usize, to: usize) -> &[f32] {
        let at = |round: usize| self.bounds.get(round).map_or(0, |bound| *bound as usize);
        self.worths.get(at(from)..at(to)).unwrap_or_default()
    }

    /// Returns the logarithm of the mean worth of each round, no number where it had none.
    pub(super) fn levels(&self, rounds: usize) -> Vec<f64> {
        let level = |round| {
            let worths = self.worths(round, round + 1);
            let sum: f64 = worths.iter().copied().map(f64::from).sum();
            match number(worths.len()) {
                0.0 => f64::NAN,
                count => ln((sum / count).max(LEAST_LEVEL)),
            }
        };
        (0..rounds).map(level).collect()
    }
}

impl Default for SlotSums {
    fn default() -> Self {
        Self {
            auctions: [0.0; SLOT_BINS],
            exposure: [0.0; SLOT_BINS],
            cost: [0.0; SLOT_BINS],
        }
    }
}

impl SlotSums {
    /// Bids in each auction (of some, evenly spread) at one bin above the least price, each bin in
    /// turn and evenly within it, and adds what that would have brought and cost.
    fn add(&mut self, prices: &[f64], exposures: &[f64; 3]) {
        let apart = (prices.len() / 3 / SLOT_SAMPLES).max(1);
        let mut index = 0_u32;
        for auction in prices.chunks_exact(3).step_by(apart) {
            let [_, _, least] = auction else { continue };
            let bin = index as usize % SLOT_BINS;
            let within = (f64::from(index) * GOLDEN).fract() - 0.5;
            let bid = least * exp(STEP * (number(bin) + within));
            index += 1;
            let slot = auction
                .iter()
                .zip(exposures)
                .find(|(price, _)| bid > **price);
            let sums = (
                self.auctions.get_mut(bin),
                self.exposure.get_mut(bin),
                self.cost.get_mut(bin),
            );
            if let (Some(auctions), Some(exposure_sum), Some(cost)) = sums {
                *auctions += 1.0;
                if let Some((price, exposure)) = slot {
                    *exposure_sum += exposure;
                    *cost += exposure * price / least;
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let add = |(sum, one): (&mut f64, &f64)| *sum += one;
        self.auctions.iter_mut().zip(&other.auctions).for_each(add);
        self.exposure.iter_mut().zip(&other.exposure).for_each(add);
        self.cost.iter_mut().zip(&other.cost).for_each(add);
    }

    /// Returns the rates, none of which falls with the bid.
    pub(crate) fn rates(&self) -> SlotRates {
        let rising = |sums: &[f64; SLOT_BINS]| {
            let mut rates = [0.0; SLOT_BINS];
            let mut highest = 0.0;
            for (rate, (sum, auctions)) in rates.iter_mut().zip(sums.iter().zip(&self.auctions)) {
                if *auctions > 0.0 {
                    highest = f64::max(highest, sum / auctions);
                }
                *rate = highest;
            }
            rates
        };
        SlotRates {
            exposure: rising(&self.exposure),
            cost: rising(&self.cost),
        }
    }
}
