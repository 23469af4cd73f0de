//! What the book keeps of one campaign and of each of its series, between rounds.

use crate::definition::Definition;
use crate::guard::Trail;
use crate::ledger::{APPLY_DELAY_MS, Account, Evidence};
use crate::money::Micros;
use crate::outlook::condition::Condition;
use crate::outlook::foresight::{Foresight, Glance};
use crate::pacing::Pacing;
use crate::price::{Basis, Common};
use crate::shadow::Solved;
use crate::traffic::{Clock, Traffic};
use crate::verdict::{Action, Binding};
use crate::watch::Watch;
use crate::window::since;
use crate::worth::Delays;

/// One campaign on one platform. Its window is in `Windows`, at the slot that this has in the book. A round
/// passes over all of them, so each is eight lines of memory and begins at one.
#[derive(Debug, Clone, Default, PartialEq)]
#[repr(align(64))]
pub(crate) struct Series {
    pub(crate) key: u64,
    /// The campaign's key.
    pub(crate) campaign: u64,
    pub(crate) unit_micros: u32,
    pub(crate) account: Account,
    /// Whether a row came since the round before.
    pub(crate) is_heard: bool,
    /// The newest tick reported since the round before by a producer that is whole, and the frames
    /// that the book had when it first heard of that.
    pub(crate) proof: Option<(u32, u64)>,
    /// The bid in force; 0: none.
    pub(crate) bid_micros: i64,
    pub(crate) trail: Trail,
    /// Settled spend when the round before was decided.
    pub(crate) settled_before: Micros,
    /// Spend of the last rounds, each round back weighing a fifth less.
    pub(crate) recent_spend: f64,
    /// Bid and cap as last reported changed.
    pub(crate) told: (i64, Micros),
    pub(crate) watch: Watch,
    /// Its choice of forecasters; `None` while it has too few reports to be worth one.
    pub(crate) foresight: Option<Box<Foresight>>,
    /// What is forecast until the next report, and what its price goes by: derived. The first is `None`
    /// where it has to be found anew, and so is the campaign's part of the second.
    pub(crate) glance: Option<Glance>,
    pub(crate) basis: Basis,
}

/// A campaign and its state.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Campaign {
    pub(crate) definition: Definition,
    /// Slots, in the definition's order.
    pub(crate) series: Vec<usize>,
    /// Slots of series that a later definition dropped: they bid no more, but what they spent and
    /// may still spend on caps given stays counted.
    pub(crate) dropped: Vec<usize>,
    /// Settled spend that the chain knows of and no series here does.
    pub(crate) carried: Micros,
    pub(crate) pacing: Pacing,
    pub(crate) rhythm: Rhythm,
    /// Apart, as it is asked for once an hour and where there is news.
    pub(crate) traffic: Box<Traffic>,
    pub(crate) delays: Delays,
    /// The price of money as last solved; `None` before the first report.
    pub(crate) solved: Option<Solved>,
    pub(crate) day_began_ms: i64,
    /// `carried` when the day began; what each series had settled is in its account.
    pub(crate) day_opened: Micros,
    /// What was last reported changed; `None` before the first round.
    pub(crate) told: Option<Told>,
    /// What its price goes by until something is learned: derived, `None` where it has to be found anew.
    pub(crate) common: Option<Common>,
    pub(crate) clock: Option<Clock>,
}

/// When reports come, and what happened since the last that did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rhythm {
    /// The round that last heard a report, or began to bid.
    pub(crate) heard_at_ms: i64,
    /// Rounds between reports, averaged.
    pub(crate) every_rounds: f64,
    /// The plan since pacing's last step, the rounds that it is for, and settled spend at it.
    pub(crate) planned: f64,
    pub(crate) rounds: f64,
    pub(crate) settled: Micros,
    /// What was reserved when caps were last given.
    pub(crate) reserved: Micros,
    pub(crate) is_bidding: bool,
    /// Whether some bid could follow the multiplier up, and down.
    pub(crate) can_rise: bool,
    pub(crate) can_fall: bool,
}

/// A campaign's decision as last reported changed; that of its series is with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) action: u8,
    pub(crate) binding: u8,
    pub(crate) best: i16,
    pub(crate) settled: Micros,
    pub(crate) reserved: Micros,
}

impl Told {
    /// Returns what is told of a campaign before its first round.
    pub(crate) fn nothing() -> Self {
        Self {
            action: 0,
            binding: 0,
            best: -1,
            settled: Micros::ZERO,
            reserved: Micros::ZERO,
        }
    }

    pub(crate) fn new(
        action: Action,
        binding: Binding,
        best: i16,
        settled: Micros,
        reserved: Micros,
    ) -> Self {
        Self {
            action: action as u8,
            binding: binding as u8,
            best,
            settled,
            reserved,
        }
    }
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            heard_at_ms: 0,
            every_rounds: 1.0,
            planned: 0.0,
            rounds: 0.0,
            settled: Micros::ZERO,
            reserved: Micros::ZERO,
            is_bidding: false,
            can_rise: true,
            can_fall: true,
        }
    }
}

impl Series {
    pub(crate) fn new(key: u64, campaign: u64, unit_micros: u32) -> Self {
        Self {
            key,
            campaign,
            unit_micros,
            ..Self::default()
        }
    }
}

impl Series {
    /// Returns what its market is up to; thin while it has too few reports to tell.
    pub(crate) fn condition(&self) -> Condition {
        let glance = self.glance.as_ref();
        glance.map_or(Condition::Thin, |glance| glance.condition)
    }

    /// Takes the evidence that came since the round before, as of this round. A report of a time to
    /// come is of now at best; one further ahead than clocks may be proves nothing.
    pub(crate) fn take_evidence(
        &mut self,
        at_ms: i64,
        tick: u32,
        tick_ms: u32,
    ) -> Option<Evidence> {
        let (newest, began) = self.proof.take()?;
        let age = i64::from(since(tick, newest)) * i64::from(tick_ms);
        (age >= -APPLY_DELAY_MS).then_some(Evidence {
            reported_ms: at_ms - age.max(0),
            began,
        })
    }
}

impl Campaign {
    pub(crate) fn new(definition: Definition) -> Self {
        Self {
            definition,
            series: Vec::new(),
            dropped: Vec::new(),
            carried: Micros::ZERO,
            pacing: Pacing::default(),
            rhythm: Rhythm::default(),
            traffic: Box::default(),
            delays: Delays::default(),
            solved: None,
            day_began_ms: i64::MIN,
            day_opened: Micros::ZERO,
            told: None,
            common: None,
            clock: None,
        }
    }

    /// Returns the slots of all its series, those it dropped included.
    pub(crate) fn slots(&self) -> impl Iterator<Item = usize> + '_ {
        self.series.iter().chain(&self.dropped).copied()
    }

    /// Returns the slot of one of these.
    pub(crate) fn slot(&self, index: usize) -> Option<usize> {
        let dropped = index.checked_sub(self.series.len());
        let slot = dropped.map_or_else(|| self.series.get(index), |at| self.dropped.get(at));
        slot.copied()
    }

    /// Returns the spend of the day.
    pub(crate) fn today(&self, series: &[Series]) -> Micros {
        let accounts = self.slots().filter_map(|slot| series.get(slot));
        accounts.fold(self.carried.left_after(self.day_opened), |sum, found| {
            sum.saturating_add(found.account.today())
        })
    }

    /// Returns what the platforms it has may still spend on the caps given last, and what is
    /// reserved on those that it has left.
    pub(crate) fn open(&self, series: &[Series]) -> (Micros, Micros) {
        let sum = |slots: &[usize], amount: fn(&Account) -> Micros| {
            let found = slots.iter().filter_map(|&slot| series.get(slot));
            found.fold(Micros::ZERO, |sum, one| {
                sum.saturating_add(amount(&one.account))
            })
        };
        (
            sum(&self.series, Account::open),
            sum(&self.dropped, Account::reserved),
        )
    }

    /// Returns what is settled, and what is reserved.
    pub(crate) fn totals(&self, series: &[Series]) -> (Micros, Micros) {
        let accounts = self
            .slots()
            .filter_map(|slot| series.get(slot))
            .map(|found| &found.account);
        accounts.fold(
            (self.carried, Micros::ZERO),
            |(settled, reserved), account| {
                (
                    settled.saturating_add(account.settled),
                    reserved.saturating_add(account.reserved()),
                )
            },
        )
    }
}
