"""A decision: a bid, or a no-bid, for one campaign in one round, with its reasons."""

from enum import IntEnum

import msgspec

__all__ = ["Action", "Binding", "Condition", "Decision", "PlatformDecision"]


class Action(IntEnum):
    """What a campaign does until the next round. Codes are the core's and the record's."""

    HOLD = 0  # no bid
    BID = 1
    FALLBACK = 2  # a cautious bid, because data are stale or every option is poor


class Binding(IntEnum):
    """The constraint that bound a decision. Codes are the core's and the record's."""

    NONE = 0
    NOT_ACTIVE = 1  # draft, scheduled, paused, or final
    NOT_STARTED = 2
    FLIGHT_OVER = 3
    BUDGET = 4
    DAILY_CAP = 5
    MIN_BID = 6
    MAX_BID = 7
    MAX_CHANGE = 8
    PACING = 9
    TARGET_CPA = 10
    TARGET_ROAS = 11
    THIN_DATA = 12
    STALE_DATA = 13
    POOR_ROI = 14  # every platform is forecast to lose money
    TARGET_REACH = 15
    ACCOUNT_CAP = 16  # of the account, or this partition's share of it
    DAY_PART = 17  # an hour in which the campaign does not bid
    BLOCKED = 18  # the platform is blocked, or all of them are
    HOLD_TIME = 19  # the bid in force is too young to change
    CONFIDENCE = 20  # below the floor a bid does not rise
    HALTED = 21  # the kill switch, of the fleet or the account
    DAILY_CHANGE = 22
    INFEASIBLE = 23  # constraints that cannot hold together: one has to be relaxed
    DROPPED = 24  # the campaign's definition names the platform no more


class Condition(IntEnum):
    """What a campaign's market on a platform is up to. Codes are the core's and the record's."""

    NORMAL = 0
    RISING = 1  # of CPC, and not by chance
    FALLING = 2
    VOLATILE = 3  # reports scatter by half their level and more
    THIN = 4  # too little is known to tell


class PlatformDecision(msgspec.Struct, frozen=True):
    """One platform's part of a decision."""

    platform: str
    bid_micros: int  # the most to pay for a click; 0 is no bid
    cap_micros: int  # what the platform may have spent in total, ever, before it must stop
    cpc_micros: float | None  # forecast; None where there is no answer yet
    cvr: float | None  # a fraction: drawn to what is usual while few have converted, late ones in
    roi_micros: float | None  # per click: cvr · value - cpc
    confidence: float  # 0 to 1
    bound_by: Binding = Binding.NONE  # of this platform's bid
    condition: Condition | None = None  # None in records of before there was such a column
    planned_micros: int | None = None  # what it is expected to spend until the next round


class Decision(msgspec.Struct, frozen=True):
    """What was decided for a campaign, as people and consumers read it."""

    campaign: str
    partition: int
    epoch: int
    round: int
    at: float  # epoch seconds
    action: Action
    binding: Binding
    best_platform: str | None  # the highest ROI
    pacing_multiplier: float
    settled_micros: int  # spend that reports have shown
    reserved_micros: int  # what platforms may still spend on caps given
    platforms: tuple[PlatformDecision, ...]
