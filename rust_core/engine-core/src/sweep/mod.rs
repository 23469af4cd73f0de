//! The closed-form sweep: many campaigns on a few platforms each, decided from their windows alone.
//!
//! Where a [`Book`](crate::book::Book) plans a budget over a flight and answers for every micro, a
//! sweep does what a bidder without a broker, a ledger or landscapes needs: samples in, and for
//! every campaign the platform with the best forecast return, a bid and a pacing factor. What it
//! computes is written down at [`Sweep::decide`]; nothing else goes into a decision.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined into `Work::run` is not compiled for wider registers"
)]

mod lanes;
mod moments;
mod plan;

use crate::error::CoreError;
use crate::forecast::{Forecast, forecast};
use crate::part::Part;
use crate::sample::Sample;
use crate::window::{Pushed, REACH, Windows, since};
use engine_memory::{Work, widest};
use lanes::Block;
use moments::Due;
use plan::Plans;
use rayon::{ThreadPool, ThreadPoolBuilder};

pub use plan::PLAN_BYTES;

/// Bytes of a row that is counted in: a slot (`u64`), eight bytes that are not read, a sample.
pub const ROW_BYTES: usize = 32;
/// Bytes of a decision.
pub const DECISION_BYTES: usize = 32;
/// Platforms that a campaign may have here.
pub const MOST_PLATFORMS: usize = 64;
/// More slots than any memory holds the windows of.
const MOST_SLOTS: usize = 1 << 32;
/// Threads that a sweep may have.
const MOST_THREADS: usize = 256;
/// Below so many campaigns to a thread, waking it costs more than it saves.
const WORTH_A_THREAD: usize = 25_000;
/// The same of rows to be counted in.
const ROWS_WORTH_A_THREAD: usize = 4096;

/// How a sweep is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// How many campaigns: they are numbered from 0.
    pub campaigns: usize,
    /// How many platforms each has. Campaign c on platform p is slot `c · platforms + p`.
    pub platforms: usize,
    /// How many samples a window holds.
    pub window: usize,
    /// The length of a tick.
    pub tick_ms: u32,
    /// What one unit of the samples' spend is worth.
    pub unit_micros: u32,
    /// How many threads may work at a time.
    pub threads: usize,
}

/// What became of the rows counted in: the five add up to the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// New samples.
    pub accepted: u64,
    /// Rows that restated an earlier report.
    pub replaced: u64,
    /// Rows older than their window: their spend counts, the window is unchanged.
    pub late: u64,
    /// Rows of slots that do not exist.
    pub unknown: u64,
    /// Rows out of range.
    pub refused: u64,
}

/// Many campaigns on a few platforms each, with windows, plans and spend.
#[derive(Debug)]
pub struct Sweep {
    layout: Layout,
    windows: Windows,
    plans: Plans,
    pool: Option<ThreadPool>,
    /// When old windows were last let go of.
    expired_at: Option<u32>,
}

impl Sweep {
    /// Returns a sweep of empty windows and without plans: every flight is over until it has one.
    ///
    /// # Errors
    /// `CoreError::Capacity` for the window, `CoreError::OutOfRange` for the rest.
    pub fn new(layout: Layout) -> Result<Self, CoreError> {
        let slots = layout.campaigns.saturating_mul(layout.platforms);
        for (what, wanted, most, found) in [
            ("platforms", "1 to 64", MOST_PLATFORMS, layout.platforms),
            ("threads", "1 to 256", MOST_THREADS, layout.threads),
            ("tick_ms", "1 to 60000", 60_000, layout.tick_ms as usize),
            (
                "unit_micros",
                "1 to 1000000",
                1_000_000,
                layout.unit_micros as usize,
            ),
            (
                "campaigns times platforms",
                "1 to 4294967296",
                MOST_SLOTS,
                slots,
            ),
        ] {
            if found == 0 || found > most {
                return Err(CoreError::OutOfRange {
                    what,
                    wanted,
                    found: found as i128,
                });
            }
        }
        let pool = ThreadPoolBuilder::new().num_threads(layout.threads);
        Ok(Self {
            windows: Windows::with_slots(layout.window, slots)?,
            plans: Plans::new(layout.campaigns, f64::from(layout.unit_micros)),
            // Without the threads asked for one does all: slower, and no less right.
            pool: (layout.threads > 1).then(|| pool.build().ok()).flatten(),
            expired_at: None,
            layout,
        })
    }

    /// Returns how it is laid out.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Sets the plans of the campaigns from `first` on, one row of [`PLAN_BYTES`] each.
    ///
    /// # Errors
    /// `CoreError::Rows` where they are no whole rows, or more than there are campaigns from there;
    /// `CoreError::Definition` (its key is the campaign's number) for what no plan can have. Nothing
    /// is changed then.
    pub fn set_plans(&mut self, first: usize, rows: &[u8]) -> Result<(), CoreError> {
        self.plans.set(first, rows, self.layout.unit_micros)
    }

    /// Returns what the reports of a campaign have shown to be spent, in units.
    #[must_use]
    pub fn spent_units(&self, campaign: usize) -> Option<u64> {
        self.plans.spent(campaign)
    }

    /// Counts rows of [`ROW_BYTES`] in, in their order. One that cannot be is counted as such, and
    /// does not cost its neighbours. Where there are many, each thread counts those of its own
    /// campaigns: what comes out is the same for any number of them.
    ///
    /// # Errors
    /// `CoreError::Rows` where they are no whole rows; nothing is counted then.
    pub fn ingest(&mut self, rows: &[u8]) -> Result<Counted, CoreError> {
        let (rows, rest) = rows.as_chunks::<ROW_BYTES>();
        if !rest.is_empty() {
            let found = (rows.len() * ROW_BYTES + rest.len()) as u64;
            return Err(CoreError::Rows {
                what: "sweep rows",
                wanted: (rows.len() * ROW_BYTES) as u64,
                found,
            });
        }
        let Layout {
            campaigns,
            platforms,
            ..
        } = self.layout;
        let threads = self.threads_for(rows.len() / ROWS_WORTH_A_THREAD);
        let share = campaigns.div_ceil(threads);
        let parts = self.windows.parts(share * platforms);
        let mut parts = parts.zip(self.plans.spent_mut().chunks_mut(share));
        let pool = self.pool.as_ref().filter(|_| threads > 1);
        let Some(pool) = pool else {
            return Ok(parts.next().map_or_else(Counted::default, |(part, spent)| {
                count_in(part, spent, platforms, rows, read)
            }));
        };
        let mut counts = vec![Counted::default(); threads];
        pool.scope(|scope| {
            for (number, ((part, spent), counted)) in parts.zip(&mut counts).enumerate() {
                let first = number * share * platforms;
                let slots = first..first + part.headers.len();
                scope.spawn(move |_| {
                    // Rows of no slot are the first part's to count.
                    let is_ours = |slot| {
                        slots.contains(&slot) || number == 0 && slot >= campaigns * platforms
                    };
                    let ours = rows.iter().filter(|row| is_ours(read(row).0));
                    let ours: Vec<&[u8; ROW_BYTES]> = ours.collect();
                    *counted = count_in(part, spent, platforms, &ours, |row| {
                        let (slot, sample) = read(row);
                        (slot.wrapping_sub(first), sample)
                    });
                });
            }
        });
        Ok(counts.iter().fold(Counted::default(), Counted::and))
    }

    /// Decides all campaigns, one row of [`DECISION_BYTES`] each, written over `out`.
    ///
    /// For each campaign, at a time `at_ms`, for `horizon_ms` after it:
    ///
    /// - CPC and CVR of each platform are the values of the click-weighted least-squares lines through
    ///   its window ([`crate::forecast`]), CPC held at 0 and above, CVR at 0 to 1.
    /// - confidence is that of [`crate::forecast::Confidence`] without completeness, which sums do
    ///   not tell: size · age · spread. Its cadence and newest sample are those that evenly spaced
    ///   samples with the window's mean and variance of time would have; good to 6 digits.
    /// - score = confidence · (CVR · value − CPC); the platform with the highest is the best, the first
    ///   of equals.
    /// - pacing = (budget left / budget) / (flight left / flight), held at 0 to 1: ahead of plan bids
    ///   are held back, and behind it no click is worth more than it brings.
    /// - bid = min(pacing · CVR · value, greatest bid) of the best, in whole micros, rounded down (a
    ///   thousandth of one is forgiven, as products are rounded too); 0 outside the flight, without
    ///   budget left, without a forecast or where the score is not above 0.
    ///
    /// Forecasts agree with [`Sweep::forecast`] to 1e-12 of the level plus the slope's part; decisions
    /// are the same to the bit on every machine, for any number of threads.
    ///
    /// # Errors
    /// `CoreError::Rows` unless `out` has room for exactly one row a campaign; `CoreError::OutOfRange`
    /// unless the time is 0 to 2^53 and the horizon at most a day.
    pub fn decide(&mut self, at_ms: i64, horizon_ms: u32, out: &mut [u8]) -> Result<(), CoreError> {
        let wanted = self.layout.campaigns * DECISION_BYTES;
        if out.len() != wanted {
            return Err(CoreError::Rows {
                what: "sweep decisions",
                wanted: wanted as u64,
                found: out.len() as u64,
            });
        }
        let (due, _) = self.due(at_ms, horizon_ms)?;
        self.expire(due.tick);
        let campaigns = self.layout.campaigns;
        let threads = self.threads_for(campaigns / WORTH_A_THREAD);
        let (rows, _) = out.as_chunks_mut::<DECISION_BYTES>();
        let share = campaigns.div_ceil(threads).next_multiple_of(lanes::LANES);
        let work = |first: usize, rows| {
            widest(Stretch {
                sweep: self,
                due: &due,
                first,
                rows,
            });
        };
        match &self.pool {
            Some(pool) if threads > 1 => pool.scope(|scope| {
                for (part, rows) in rows.chunks_mut(share).enumerate() {
                    let work = &work;
                    scope.spawn(move |_| work(part * share, rows));
                }
            }),
            _ => work(0, rows),
        }
        Ok(())
    }

    /// Returns the forecast of one campaign on one platform, with all that a window tells.
    ///
    /// # Errors
    /// `CoreError::UnknownSlot`, and `CoreError::OutOfRange` as for [`Sweep::decide`].
    pub fn forecast(
        &self,
        campaign: usize,
        platform: usize,
        at_ms: i64,
        horizon_ms: u32,
    ) -> Result<Forecast, CoreError> {
        let (due, horizon) = self.due(at_ms, horizon_ms)?;
        let slots = self.windows.slots();
        let slot = campaign
            .checked_mul(self.layout.platforms)
            .and_then(|first| first.checked_add(platform))
            .filter(|&slot| slot < slots && platform < self.layout.platforms);
        let slot = slot.ok_or(CoreError::UnknownSlot {
            slots,
            found: campaign,
        })?;
        let unit = self.layout.unit_micros;
        Ok(forecast(&self.windows, slot, due.tick, horizon, unit))
    }

    /// Recounts every window's header from its samples.
    ///
    /// # Errors
    /// `CoreError::HeaderDiffers` for the first that differs: the memory or the code is broken.
    pub fn verify(&self) -> Result<(), CoreError> {
        (0..self.windows.slots()).try_for_each(|slot| self.windows.verify(slot))
    }

    /// Returns how many bytes its state takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.windows.bytes() + self.plans.bytes()
    }

    /// Returns how many threads to work with where the work is worth waking so many.
    fn threads_for(&self, worth: usize) -> usize {
        let most = self
            .pool
            .as_ref()
            .map_or(1, ThreadPool::current_num_threads);
        most.min(worth).min(self.layout.campaigns).max(1)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo is what is meant
    fn due(&self, at_ms: i64, horizon_ms: u32) -> Result<(Due, u32), CoreError> {
        for (what, wanted, most, found) in [
            ("at_ms", "0 to 2^53", 1 << 53, at_ms),
            ("horizon_ms", "0 to 86400000", 86_400_000, horizon_ms.into()),
        ] {
            if !(0..=most).contains(&found) {
                let found = found.into();
                return Err(CoreError::OutOfRange {
                    what,
                    wanted,
                    found,
                });
            }
        }
        let horizon = horizon_ms / self.layout.tick_ms;
        let tick = at_ms.div_euclid(i64::from(self.layout.tick_ms)) as u32;
        Ok((Due::new(at_ms, tick, horizon), horizon))
    }

    /// Lets go of windows too old to tell the past from the future, seldom: that reads all of them.
    fn expire(&mut self, tick: u32) {
        let is_due = |&before: &u32| since(tick, before).unsigned_abs() >= REACH / 2;
        if self.expired_at.as_ref().is_none_or(is_due) {
            self.expired_at = Some(tick);
            for slot in 0..self.windows.slots() {
                self.windows.expire(slot, tick);
            }
        }
    }
}

impl Counted {
    fn count(&mut self, pushed: Result<&Pushed, &CoreError>) {
        let place = match pushed {
            Ok(Pushed::Accepted) => &mut self.accepted,
            Ok(Pushed::Replaced { .. }) => &mut self.replaced,
            Ok(Pushed::Late) => &mut self.late,
            Err(CoreError::UnknownSlot { .. }) => &mut self.unknown,
            Err(_) => &mut self.refused,
        };
        *place += 1;
    }

    fn and(self, other: &Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            replaced: self.replaced + other.replaced,
            late: self.late + other.late,
            unknown: self.unknown + other.unknown,
            refused: self.refused + other.refused,
        }
    }
}

/// Counts rows into windows, and what they show to be spent into the columns of their campaigns.
fn count_in<R>(
    mut part: Part<'_>,
    spent: &mut [u64],
    platforms: usize,
    rows: &[R],
    read: impl Fn(&R) -> (usize, Sample),
) -> Counted {
    let mut counted = Counted::default();
    part.push_all(rows, read, |slot, sample, pushed| {
        counted.count(pushed.as_ref());
        let before = match pushed {
            Ok(Pushed::Replaced { before }) => before.spend_units,
            Ok(_) => 0,
            Err(_) => return,
        };
        if let Some(spent) = spent.get_mut(slot / platforms) {
            let added = spent.saturating_add(u64::from(sample.spend_units));
            *spent = added.saturating_sub(u64::from(before));
        }
    });
    counted
}

/// Reads a row: slot, eight bytes of somebody else's, sample.
#[inline]
#[allow(clippy::cast_possible_truncation)] // a slot that does not fit does not exist either
fn read(row: &[u8; ROW_BYTES]) -> (usize, Sample) {
    let ([slot, ..], [_, sample]) = (row.as_chunks::<8>().0, row.as_chunks::<16>().0) else {
        return (usize::MAX, Sample::default());
    };
    (
        u64::from_le_bytes(*slot) as usize,
        Sample::from_bytes(*sample),
    )
}

/// A stretch of campaigns to be decided.
struct Stretch<'a> {
    sweep: &'a Sweep,
    due: &'a Due,
    first: usize,
    rows: &'a mut [[u8; DECISION_BYTES]],
}

impl Work for Stretch<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Sweep {
            layout,
            windows,
            plans,
            ..
        } = self.sweep;
        let mut block = Block::new(layout.platforms);
        let mut first = self.first;
        for rows in self.rows.chunks_mut(lanes::LANES) {
            let Some(values) = plans.values(first) else {
                break;
            };
            block.choose(
                windows,
                first * layout.platforms,
                rows.len(),
                values,
                self.due,
            );
            plans.decide(&block, first, self.due, rows);
            first += rows.len();
        }
    }
}
