//! What a series' reports teach: what is new in them, held against the bids that were in force.
//!
//! Reports come some time after what they tell of, so a series remembers its last bids, and how old
//! its newest sample usually is when it comes. Between two reports it keeps what it offered for how
//! long; a report settles that stretch. Silence for long is a report of nothing.

use crate::bytes::{Reader, Writer, learned_amount};
use crate::ledger::Account;
use crate::real::ln;
use crate::response::{Response, Stretch};
use crate::worth::{Conversions, Rates};

/// Bids remembered; a change below this part of a bid is none.
const BIDS: usize = 8;
const SAME_BID: f64 = 0.02;
/// The logarithm of the largest bid that 64 bits hold, and a little.
const LARGEST_BID: f64 = 44.0;
/// No report for so many rounds (and times as long as usual) is a report of nothing.
const SILENT_ROUNDS: f64 = 8.0;
const SILENT_TIMES: f64 = 4.0;

/// What one series has learned, and what it is waiting to hear of.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Watch {
    /// Apart, for it is asked for only where there is news: a round passes over the rest of all series.
    pub(crate) learned: Box<Learned>,
    /// Since the last report: rounds of usual traffic with a bid in force, the same times the bid's
    /// logarithm, and rounds.
    offered: f64,
    offered_bid: f64,
    rounds: f64,
    /// How old the newest sample is when it comes.
    pub(crate) lag_ms: f64,
    /// The newest of the bids that are remembered, with its time, and the one last asked for: derived.
    newest: (i64, i64),
    force: Force,
    /// Where the newest bid is among those that are remembered.
    head: usize,
}

/// What reports taught, and the bids that they are held against.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Learned {
    pub(crate) response: Response,
    pub(crate) conversions: Conversions,
    /// Clicks, thousandths of conversions and spend that were learned from.
    clicks: u64,
    milliconversions: u64,
    spend_micros: i64,
    /// Times and bids: a ring, the newest at its head and older ones after it.
    bids: [(i64, i64); BIDS],
}

/// The bid in force from one time to before another, with its logarithm. By default of no time at all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Force {
    from_ms: i64,
    until_ms: i64,
    bid: i64,
    log: f64,
}

/// A round, as a series learns from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) at_ms: i64,
    pub(crate) interval_ms: f64,
    /// Rounds since the one before.
    pub(crate) rounds: f64,
    /// How old the newest sample is, where one came since the round before.
    pub(crate) heard_ms: Option<f64>,
    /// Rounds between reports of the campaign.
    pub(crate) every_rounds: f64,
    /// Traffic of the time, relative to usual.
    pub(crate) traffic: f64,
    pub(crate) flight_ms: f64,
}

/// How a stretch between two reports ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    /// The bid in force.
    bid: i64,
    /// Whether the platform had come to its cap.
    is_stopped: bool,
}

/// What a report taught.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taught {
    /// How likely each delay curve held it.
    pub(crate) likely: Rates,
    /// Clicks, and those to be expected of the bids in force at usual traffic.
    pub(crate) clicks: f64,
    pub(crate) usual: f64,
}

impl Watch {
    /// Notes the bid that comes into force.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn note_bid(&mut self, at_ms: i64, bid: i64) {
        let (_, newest) = self.newest;
        let is_same = (bid - newest).unsigned_abs() as f64 <= SAME_BID * newest as f64;
        if is_same && (bid > 0) == (newest > 0) {
            return;
        }
        self.newest = (at_ms, bid);
        self.head = (self.head + BIDS - 1) % BIDS;
        let mut force = self.force;
        if let Some(oldest) = self.learned.bids.get_mut(self.head) {
            let (from_ms, _) = std::mem::replace(oldest, self.newest);
            // What was in force stays so until now, unless it is the one forgotten for this.
            force.until_ms = if from_ms < force.from_ms {
                force.until_ms.min(at_ms)
            } else {
                force.from_ms
            };
        }
        self.force = force;
    }

    /// Returns the conversions as they will be once what is reported so far is learned from.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn conversions_now(&self, account: &Account, rates: &Rates) -> Conversions {
        let learned = &self.learned;
        let clicks = account.clicks.saturating_sub(learned.clicks) as f64;
        let new = account
            .milliconversions
            .saturating_sub(learned.milliconversions) as f64;
        let mut conversions = learned.conversions;
        conversions.learn(clicks, new / 1000.0, 0.0, rates);
        conversions
    }

    #[allow(clippy::cast_precision_loss)]
    fn force_at(&mut self, at_ms: i64) -> Force {
        if (self.force.from_ms..self.force.until_ms).contains(&at_ms) {
            return self.force;
        }
        let (newest_ms, bid) = self.newest;
        self.force = if newest_ms <= at_ms {
            Force {
                from_ms: newest_ms,
                until_ms: i64::MAX,
                bid,
                log: ln(bid as f64),
            }
        } else {
            self.learned.force_at(self.head, at_ms)
        };
        self.force
    }

    /// Counts a round in; returns the stretch that came to its end with it, if one did.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    pub(crate) fn count(&mut self, account: &Account, seen: &Seen) -> Option<Ended> {
        if let Some(age) = seen.heard_ms {
            let age = age.clamp(0.0, 1e10);
            let part = if self.lag_ms == 0.0 { 1.0 } else { 0.3 };
            self.lag_ms += part * (age - self.lag_ms);
        }
        let middle = self.lag_ms + 0.5 * seen.interval_ms * seen.rounds;
        let Force { bid, log, .. } = self.force_at(seen.at_ms - middle as i64);
        // On its cap a platform sells nothing, whatever is bid. One that has passed its cap sells on:
        // taken for stopped it would teach nothing, and its traffic would be held to be next to none.
        let is_stopped = account.open().0 < bid / 2 && !account.has_passed();
        self.rounds = learned_amount(self.rounds + seen.rounds);
        if bid > 0 && !is_stopped {
            let offered = seen.rounds * seen.traffic;
            self.offered = learned_amount(self.offered + offered);
            self.offered_bid = learned_amount(self.offered_bid + offered * log);
        }
        let silent = SILENT_ROUNDS.max(SILENT_TIMES * seen.every_rounds);
        let has_ended = seen.heard_ms.is_some() || self.rounds >= silent;
        has_ended.then_some(Ended { bid, is_stopped })
    }

    /// Learns from a stretch that has ended, given the campaign's rates.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn learn(
        &mut self,
        account: &Account,
        seen: &Seen,
        ended: Ended,
        rates: &Rates,
    ) -> Taught {
        let Ended { bid, is_stopped } = ended;
        let learned = &mut *self.learned;
        let clicks = account.clicks.saturating_sub(learned.clicks) as f64;
        let conversions = account
            .milliconversions
            .saturating_sub(learned.milliconversions) as f64
            / 1000.0;
        let spend_micros = (account.settled.0 - learned.spend_micros).max(0) as f64;
        learned.clicks = account.clicks;
        learned.milliconversions = account.milliconversions;
        learned.spend_micros = account.settled.0;
        let passed = self.rounds * seen.interval_ms / seen.flight_ms;
        let likely = learned
            .conversions
            .learn(clicks, conversions, passed, rates);
        let mut usual = 0.0;
        if self.offered > 0.0 || (clicks > 0.0 && bid > 0) {
            let offered_bid = if self.offered > 0.0 {
                (self.offered_bid / self.offered).min(LARGEST_BID)
            } else {
                ln(bid as f64)
            };
            usual = learned.response.learn(&Stretch {
                bid: offered_bid,
                rounds: self.offered,
                clicks,
                spend_micros,
                is_stopped,
            }) / seen.traffic.max(0.01);
        }
        (self.offered, self.offered_bid, self.rounds) = (0.0, 0.0, 0.0);
        Taught {
            likely,
            clicks,
            usual,
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        let learned = &self.learned;
        learned.response.write(out);
        learned.conversions.write(out);
        out.u64(learned.clicks);
        out.u64(learned.milliconversions);
        out.i64(learned.spend_micros);
        for part in [self.offered, self.offered_bid, self.rounds, self.lag_ms] {
            out.f64(part);
        }
        for (at_ms, bid) in learned.newest_first(self.head) {
            out.i64(at_ms);
            out.i64(bid);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let response = Response::read(reader)?;
        let conversions = Conversions::read(reader)?;
        let (clicks, milliconversions) = (reader.u64()?, reader.u64()?);
        let spend_micros = reader.i64().filter(|&spend| spend >= 0)?;
        let (offered, offered_bid) = (reader.learned_amount()?, reader.learned_amount()?);
        let (rounds, lag_ms) = (reader.learned_amount()?, reader.learned_amount()?);
        let mut bids = [(0, 0); BIDS];
        for (at_ms, bid) in &mut bids {
            *at_ms = reader.i64().filter(|&found| found >= 0)?;
            *bid = reader.i64().filter(|&found| found >= 0)?;
        }
        let [newest, ..] = bids;
        let learned = Learned {
            response,
            conversions,
            clicks,
            milliconversions,
            spend_micros,
            bids,
        };
        Some(Self {
            learned: Box::new(learned),
            offered,
            offered_bid,
            rounds,
            lag_ms,
            newest,
            force: Force::default(),
            head: 0,
        })
    }
}

impl Learned {
    fn newest_first(&self, head: usize) -> impl DoubleEndedIterator<Item = (i64, i64)> + '_ {
        let (after, from) = self.bids.split_at_checked(head).unwrap_or_default();
        from.iter().chain(after).copied()
    }

    /// Returns the bid in force at a time. Before the first that is remembered it is the oldest.
    #[allow(clippy::cast_precision_loss)]
    fn force_at(&self, head: usize, at_ms: i64) -> Force {
        let known = || self.newest_first(head);
        let in_force = known().find(|&(from, _)| from <= at_ms);
        let oldest = || known().rev().find(|&(from, _)| from > 0);
        let bid = in_force.or_else(oldest).map_or(0, |(_, bid)| bid);
        let times = || known().map(|(from, _)| from);
        Force {
            from_ms: times()
                .filter(|&from| from <= at_ms)
                .max()
                .unwrap_or(i64::MIN),
            until_ms: times()
                .filter(|&from| from > at_ms)
                .min()
                .unwrap_or(i64::MAX),
            bid,
            log: ln(bid as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Micros;

    const RATES: Rates = [0.02; 5];

    fn seen(at_ms: i64, heard_ms: Option<f64>) -> Seen {
        Seen {
            at_ms,
            interval_ms: 2000.0,
            rounds: 1.0,
            heard_ms,
            every_rounds: 1.0,
            traffic: 1.0,
            flight_ms: 600_000.0,
        }
    }

    impl Watch {
        fn bid_at(&mut self, at_ms: i64) -> i64 {
            self.force_at(at_ms).bid
        }
    }

    fn taught(watch: &mut Watch, account: &Account, seen: &Seen) -> Option<Taught> {
        let ended = watch.count(account, seen)?;
        Some(watch.learn(account, seen, ended, &RATES))
    }

    fn account(clicks: u64) -> Account {
        Account {
            cap: Micros(1_000_000_000),
            settled: Micros(i64::try_from(clicks).unwrap_or(0) * 300_000),
            clicks,
            ..Account::default()
        }
    }

    #[test]
    fn a_report_is_held_against_the_bid_of_its_time() {
        let mut watch = Watch::default();
        watch.note_bid(10_000, 400_000);
        watch.note_bid(20_000, 800_000);
        assert_eq!(watch.bid_at(19_999), 400_000);
        assert_eq!(watch.bid_at(20_000), 800_000);
        assert_eq!(watch.bid_at(5), 0, "none was in force before");
        for change in 3..20 {
            watch.note_bid(change * 10_000, 100_000 * change);
        }
        assert_eq!(watch.bid_at(5), 1_200_000, "the oldest remembered");
        let mut watch = Watch::default();
        watch.note_bid(10_000, 400_000);
        watch.note_bid(20_000, 800_000);
        // A report of 3 s ago, heard a second after the bid rose, is of the lower one.
        watch.lag_ms = 3000.0;
        let found = taught(&mut watch, &account(20), &seen(21_000, Some(3000.0)));
        assert!(found.is_some());
        // At a CPC of 300,000 half is won near the lower bid; it would be far below the higher one.
        let mid = watch.learned.response.mid();
        let mut other = Watch::default();
        other.note_bid(10_000, 800_000);
        taught(&mut other, &account(20), &seen(21_000, Some(3000.0)));
        assert!(mid > other.learned.response.mid(), "{mid:?}");
    }

    #[test]
    fn a_platform_that_passes_its_cap_teaches_how_much_it_sells() {
        // Told of caps late, a platform spends more than each of them allows, round by round.
        let is_known = |beyond: i64| {
            let mut watch = Watch::default();
            watch.note_bid(0, 400_000);
            for round in 1..=20_u32 {
                let mut account = account(20 * u64::from(round));
                account.cap = Micros(account.settled.0 - beyond);
                taught(
                    &mut watch,
                    &account,
                    &seen(i64::from(round) * 2000, Some(0.0)),
                );
            }
            watch.learned.response.own().is_some()
        };
        assert!(!is_known(0), "on its cap: nothing is known of the traffic");
        assert!(is_known(5_900_000));
    }

    #[test]
    fn what_was_learned_once_is_not_learned_again() {
        let mut watch = Watch::default();
        watch.note_bid(0, 400_000);
        let first = taught(&mut watch, &account(20), &seen(2000, Some(0.0)));
        let again = taught(&mut watch, &account(20), &seen(4000, Some(0.0)));
        let clicks = [first, again].map(|taught| taught.map_or(-1.0, |taught| taught.clicks));
        assert!(
            (clicks[0] - 20.0).abs() + clicks[1].abs() < 1e-9,
            "{clicks:?}"
        );
    }

    #[test]
    fn silence_is_waited_out_and_then_a_report_of_nothing() {
        let mut watch = Watch::default();
        watch.note_bid(0, 400_000);
        let found = (1..=8).map(|round| taught(&mut watch, &account(0), &seen(round * 2000, None)));
        let when: Vec<bool> = found.map(|taught| taught.is_some()).collect();
        assert_eq!(when.iter().position(|&is_taught| is_taught), Some(7));
    }
}
