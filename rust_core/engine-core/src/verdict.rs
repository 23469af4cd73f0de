//! What a decision is made of: what is known, what may be spent, and what is said, with its reason.

use crate::money::Micros;
use crate::price::Basis;
use crate::shadow::Lane;

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
    AccountCap,
    DayPart,
    Blocked,
    HoldTime,
    Confidence,
    Halted,
    DailyChange,
    Infeasible,
    Dropped,
}

impl Binding {
    /// Returns whether it keeps a bid near the one in force: pacing cannot move it further now.
    #[must_use]
    pub fn keeps_bid(self) -> bool {
        matches!(
            self,
            Self::MaxChange | Self::DailyChange | Self::HoldTime | Self::Confidence
        )
    }
}

/// Names of bindings by code.
pub const BINDINGS: [&str; 25] = [
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
    "ACCOUNT_CAP",
    "DAY_PART",
    "BLOCKED",
    "HOLD_TIME",
    "CONFIDENCE",
    "HALTED",
    "DAILY_CHANGE",
    "INFEASIBLE",
    "DROPPED",
];

/// What is known of one platform when a round is decided.
#[derive(Debug, Clone, Copy, Default)]
#[allow(missing_docs)]
pub struct Outlook {
    /// No number where nothing is forecast.
    pub cpc_micros: f64,
    pub cvr: f64,
    pub confidence: f64,
    /// Clicks in the window.
    pub clicks: u64,
    /// Clicks and impressions in total.
    pub all_clicks: u64,
    pub all_impressions: u64,
    pub settled: Micros,
    /// What it may still spend on the cap it was given last.
    pub reserved: Micros,
    /// What it may have spent beyond that by a cap that was lowered since.
    pub held: Micros,
    pub today: Micros,
    /// Spend of the last rounds, older ones weighing less.
    pub recent_spend: f64,
    /// The bid in force; 0: none.
    pub last_bid: i64,
    /// The bid that the day began with; 0: none yet.
    pub day_bid: i64,
    /// Whether the bid in force is younger than the hold time.
    pub is_bid_held: bool,
    /// Conversions per click as they are held to be, and one standard deviation above.
    pub held_cvr: f64,
    pub hoped_cvr: f64,
    /// The bid at a multiplier of 1, before bounds.
    pub unit_bid: f64,
    /// What it is expected to spend in the next round, in micros.
    pub planned: f64,
}

/// The money that a round may hand out.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Purse {
    /// Neither settled nor reserved, of the budget and of the day.
    pub room: Micros,
    /// Reserved beyond these: one was lowered since, or a platform has passed its cap.
    pub excess: Micros,
    /// Of these, what the day's cap leaves.
    pub is_day_bound: bool,
    /// What the plan would have reserved by now for the rounds until the next report.
    pub wanted: f64,
    /// Whether the even plan wants anything; else `wanted` is a probe.
    pub is_planned: bool,
    /// Whether what is believed wants anything: the even plan, or the price of money where trusted.
    pub is_due: bool,
    /// How far the price of money is trusted, 0 to 1.
    pub trust: f64,
    /// Rounds that allotments are for.
    pub ahead: f64,
    /// The most to have reserved for them, but for a few clicks on each platform.
    pub most: f64,
    /// Of the budget.
    pub left: f64,
    /// What holds the price of money down.
    pub held_by: Option<Binding>,
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
    /// What it is expected to spend until the next round; 0 without a bid.
    pub planned_micros: f64,
    pub bound_by: Binding,
}

/// What was decided, with its reason; what is said to each platform is on the desk.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub struct Verdict {
    pub action: Action,
    pub binding: Binding,
    pub best: Option<usize>,
}

/// The desk that campaigns are decided at, one after the other: what is known of the platforms of the one
/// at hand, and what is said to them. Its room is used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) outlooks: Vec<Outlook>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) standings: Vec<Standing>,
    /// Of the plan, in micros.
    pub(crate) parts: Vec<f64>,
    /// What a platform's part goes by: what a micro brings there, and what was lately spent.
    pub(crate) scores: Vec<(f64, f64)>,
    /// What is newly asked for.
    pub(crate) asked: Vec<i64>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) bases: Vec<Basis>,
    /// What prices make expect of each platform's CVR.
    pub(crate) relatives: Vec<f64>,
    /// Whether the window of each series changed, those of dropped ones included.
    pub(crate) changed: Vec<bool>,
}

/// How a platform stands with a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Good,
    /// Forecast to lose money.
    Poor,
    /// Too little is known.
    Thin,
}
