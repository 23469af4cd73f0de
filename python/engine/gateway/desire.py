"""What decisions want of each lever: pure, in columns.

* Serving: on where there is a bid, off where the campaign must not run, where its spend has come to
  its cap, or where it has not bid for a while; a bid of 0 for a moment changes nothing.
* The lever that counts (`Standing.steered_by`): the bid; or the CPA at which clicks cost that bid,
  bid / cvr; or the ROAS at which they do, value · cvr / bid.
* The daily budget: what is spent today, and what caps let it spend in the rest of the day. A cap
  reaches a report or two ahead, so it is a rate: room to the cap over the time until the next
  report can tell, smoothed over an hour.

Spend that runs ahead of its cap is shifted down in proportion (`downshift`) before it is stopped. A
cap that is reached stops it only beyond a tolerance: caps move with every round, so to stop at each
and start again would use up what a platform allows and lose more than it saves. What must not go on
(a budget that is spent, a pause, a halt) has a bid of 0, and is stopped at once.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.decision import Binding
from engine.gateway.columns import BUDGET, MOVES, SERVING, STEER, Columns

__all__ = [
    "DesireSettings",
    "Desires",
    "Why",
    "desires",
    "downshift",
    "follow_bid",
    "follow_rate",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

AT_ONCE = np.array(
    [
        Binding.NOT_ACTIVE, Binding.FLIGHT_OVER, Binding.BUDGET, Binding.DAILY_CAP,
        Binding.ACCOUNT_CAP, Binding.BLOCKED, Binding.HALTED, Binding.TARGET_REACH,
        Binding.DAY_PART,
    ],
    np.int16,
)  # fmt: skip
"""What keeps a campaign from bidding for longer than a moment."""
URGENT = np.array(
    [
        Binding.NOT_ACTIVE, Binding.FLIGHT_OVER, Binding.BUDGET, Binding.DAILY_CAP,
        Binding.ACCOUNT_CAP, Binding.HALTED,
    ],
    np.int16,
)  # fmt: skip
"""What of it is worth the reserve of operations: money goes that nobody allowed."""
SMOOTHED_S = 3600.0
LEAST_SHIFT = 0.2
LEAST_CVR = 1e-6


class Why:
    """Why a lever is to move, as codes and in words."""

    BID, BUDGET, START, IDLE, CAP, STOP, RUNAWAY, HALT, ORDER = range(9)
    WORDS = ("bid", "budget", "start", "idle", "cap", "stop", "runaway", "halt", "order")


class DesireSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How decisions are read."""

    off_after_s: float = 300.0  # without a bid
    lag_s: float = 1800.0  # until a report tells of spend that begins now
    tolerance: float = 0.02  # spend beyond its cap, of the whole budget, until it is stopped
    runaway: float = 0.1  # and until it is stopped before anything else
    moves_budgets: bool = True
    least_budget: float = 1_000_000.0
    step: float = 10_000.0  # bids and targets are multiples of it, as budgets are


class Desires(msgspec.Struct):
    """What is wanted, three rows a place; NaN: nothing."""

    want: Floats
    why: NDArray[np.int8]
    is_emergency: Flags  # of a place: its stop goes before everything


def desires(
    columns: Columns, *, now: float, day_left_s: float, is_halted: Flags, settings: DesireSettings
) -> Desires:
    """Return what is wanted now. `is_halted`: of each place, the kill switch is on."""
    c, n = columns, columns.count
    bid = c.bid[:n]
    want = np.full((n, MOVES), np.nan)
    why = np.zeros((n, MOVES), np.int8)
    is_decided = ~np.isnan(bid)
    has_bid = is_decided & (bid > 0)
    is_idle = is_decided & (bid <= 0)

    room = c.cap[:n] - c.spent[:n]
    has_cap = is_decided & (c.cap[:n] > 0)
    over = -room / np.maximum(c.whole[:n], 1.0)
    is_at_cap = has_cap & (room <= 0) & (over >= settings.tolerance)
    is_runaway = has_cap & (room < 0) & (over > settings.runaway)
    must_not = is_idle & np.isin(c.bound_by[:n], AT_ONCE)
    # Of a flight that is over no worker has to tell: none may be alive.
    may_not = c.is_linked[:n] & (~c.may_run[:n] | (now >= c.ends_at[:n]))
    lasts = is_idle & (now - c.idle_since[:n] >= settings.off_after_s)

    serving = np.where(has_bid, 1.0, np.nan)
    reason = np.full(n, Why.START, np.int8)
    for mask, code in (
        (lasts, Why.IDLE),
        (is_at_cap, Why.CAP),
        (must_not | may_not, Why.STOP),
        (is_runaway, Why.RUNAWAY),
        (is_halted, Why.HALT),
    ):
        serving[mask], reason[mask] = 0.0, code
    want[:, SERVING], why[:, SERVING] = serving, reason

    spare = room + settings.tolerance * c.whole[:n]
    shifted = bid * downshift(spare, c.spend_per_s[:n], settings.lag_s, has_cap)
    want[:, STEER] = np.where(has_bid & (serving == 1.0), _steer(c, shifted, settings.step), np.nan)
    why[:, STEER] = Why.BID
    if settings.moves_budgets:
        want[:, BUDGET] = np.where(has_bid, _budget(c, day_left_s, settings), np.nan)
        why[:, BUDGET] = Why.BUDGET

    is_pinned = (c.pinned_until[:n] > now) & ~np.isnan(c.pinned[:n])
    stops = (serving == 0.0) & (reason >= Why.STOP)
    is_pinned[:, SERVING] &= ~(stops & (c.pinned[:n, SERVING] == 1.0))  # an order starts no stop
    want[is_pinned] = c.pinned[:n][is_pinned]
    why[is_pinned] = Why.ORDER
    is_urgent = is_halted | is_runaway | may_not | (is_idle & np.isin(c.bound_by[:n], URGENT))
    return Desires(want, why, is_urgent)


def downshift(room: Floats, spend_per_s: Floats, lag_s: float, has_cap: Flags) -> Floats:
    """Return by what to multiply bids so that spend does not pass its cap before a report tells."""
    coming = spend_per_s * lag_s
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(room / coming, LEAST_SHIFT, 1.0)
    shift: Floats = np.where(has_cap & (coming > 0), share, 1.0)
    return shift


def follow_bid(columns: Columns, places: NDArray[np.int64], bid: Floats, *, at: float) -> None:
    """Note the bids of new decisions, and since when there was none."""
    c = columns
    was_idle = c.bid[places] == 0.0
    c.idle_since[places] = np.where(bid > 0, np.nan, np.where(was_idle, c.idle_since[places], at))
    c.bid[places], c.decided_at[places] = bid, at


def follow_rate(
    columns: Columns, places: NDArray[np.int64], *, seconds: Floats, lag_s: float
) -> None:
    """Follow, for places just decided, the rate at which their caps let them spend."""
    c = columns
    rate = np.maximum(c.cap[places] - c.spent[places], 0.0) / max(lag_s, 1.0)
    weight = 1.0 - 0.5 ** (np.maximum(seconds, 0.0) / SMOOTHED_S)
    old = c.rate[places]
    c.rate[places] = np.where(np.isnan(old), rate, old + weight * (rate - old))


def _steer(c: Columns, bid: Floats, step: float) -> Floats:
    """Return bids in terms of the lever that counts, within what the campaign allows."""
    n = c.count
    bid = np.clip(bid, c.least_bid[:n], c.most_bid[:n])
    cvr = np.where(c.cvr[:n] > LEAST_CVR, c.cvr[:n], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        cpa = np.fmin(bid / cvr, c.most_cpa[:n])
        cpa = np.where(np.isnan(cvr), np.nan, cpa)
        roas = np.fmax(c.value[:n] * cvr / bid, c.least_roas[:n])
        roas = np.where(np.isnan(cvr) | np.isnan(c.value[:n]), np.nan, roas)
    steered = np.select(
        [c.steered_by[:n] == 0, c.steered_by[:n] == 1, c.steered_by[:n] == 2],
        [_to_step(bid, step), _to_step(cpa, step), np.round(roas, 4)],
        np.nan,  # nothing to steer it by
    )
    return np.asarray(steered, np.float64)


def _budget(c: Columns, day_left_s: float, settings: DesireSettings) -> Floats:
    n = c.count
    open_ended = c.today[:n] + c.rate[:n] * day_left_s
    wanted = np.fmin(open_ended, c.day_cap[:n])
    wanted = _to_step(np.maximum(wanted, settings.least_budget), settings.step)
    return np.where(np.isnan(c.budget[:n]) | np.isnan(c.rate[:n]), np.nan, wanted)


def _to_step(amount: Floats, step: float) -> Floats:
    """Return amounts as multiples of a step, rounded down, at least one."""
    stepped: Floats = np.maximum(np.floor(amount / step + 1e-9) * step, step)
    return np.where(np.isnan(amount), np.nan, stepped)
