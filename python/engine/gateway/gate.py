"""The change gate: which of all wanted changes are sent now, which wait, and why.

Ten thousand campaigns decided every two seconds are 432 million decisions a day; a platform takes
fifteen thousand operations. So what is wanted is only looked at when something may be sent (that
coalesces to the newest), what differs by less than a dead band is left, what was just moved stays
for a hold time, and what is left queues by its worth an hour. Stops go before everything.
"""

from enum import Enum
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.gateway.columns import BUDGET, HOURLY, MOVES, SERVING, STEER, Columns
from engine.gateway.desire import Desires, Why
from engine.gateway.worth import Curve, budget_worth, move_worth

__all__ = ["Gate", "GateSettings", "HeldBack", "Picked", "pick", "settle"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

REFUSED_S = 3600.0
"""A change that was refused for good is not tried again for so long, doubled each time in a row."""
FAILED_S = 15.0
LONGEST_S = 86_400.0


class HeldBack(Enum):
    """Why a wanted change is not sent now."""

    DEAD_BAND = "dead-band"  # too little to matter
    HOLD_TIME = "hold-time"  # moved a short while ago
    LEARNING = "learning"  # the platform's bidding is in its learning phase
    NOT_READY = "not-ready"  # too little is known of it to steer it
    HOURLY = "hourly-limit"  # of one entity
    REFUSED = "refused"  # lately, by the platform
    STOPPED = "stopped-by-others"  # somebody paused it on the platform
    UNKNOWN = "not-inspected"  # how it stands is not known
    NO_FORECAST = "no-forecast"  # a target cannot be told without one
    PURSE = "purse"  # the day's operations are spent for now
    RATE = "rate"  # the platform takes no more this second
    BREAKER = "breaker"  # the platform is left alone for a while


_BEFORE_ORDERS = (HeldBack.UNKNOWN, HeldBack.REFUSED)
"""What keeps even that from being sent which a person ordered."""


_Positive = Annotated[float, Meta(gt=0, description="a number above 0")]
_AtLeast0 = Annotated[float, Meta(ge=0, description="a number from 0")]
_Share = Annotated[float, Meta(ge=0, le=1, description="a fraction from 0 to 1")]


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a change is worth sending."""

    dead_band: Annotated[_Share, Meta(title="Least change of a bid or target, a fraction")] = 0.05
    budget_dead_band: Annotated[_Share, Meta(title="The same of a daily budget")] = 0.1
    hold_s: Annotated[_AtLeast0, Meta(title="Seconds between changes of bid, target, serving")] = (
        900.0
    )
    budget_hold_s: Annotated[_AtLeast0, Meta(title="The same of a daily budget")] = 3600.0
    largest_rise: Annotated[_Positive, Meta(title="Of a bid at once: 2 lets it treble")] = 2.0
    largest_fall: Annotated[_Share, Meta(title="Of a bid at once: with 0.75 a quarter stays")] = (
        0.75
    )
    largest_target_step: Annotated[_Positive, Meta(title="Of a target at once, either way")] = 0.2
    largest_budget_rise: Annotated[_Positive, Meta(title="Of a daily budget at once")] = 0.5


class Gate(GateSettings, frozen=True, kw_only=True):
    """What holds at one ad account: the settings, and what follows from the account itself."""

    step: float = 10_000.0  # micros that amounts are multiples of
    least_readiness: float = 0.5


class Picked(msgspec.Struct):
    """Changes to send now, the most pressing first, and what is behind them."""

    place: NDArray[np.int64]
    move: NDArray[np.int64]
    value: Floats
    before: Floats
    worth: Floats
    why: NDArray[np.int8]
    is_emergency: Flags
    waiting: int  # beside them
    waiting_worth: float  # micros an hour
    held: dict[str, int]


def pick(
    columns: Columns,
    desired: Desires,
    *,
    now: float,
    day_left_s: float,
    curve: Curve,
    most: int,
    most_urgent: int,
    short_of: HeldBack,
    settings: Gate,
    hourly: int | None = None,
) -> Picked:
    """Return the changes to send now: `most` of them, or `most_urgent` counting stops first.

    `short_of` is what bounds `most`, for the count of those that wait. `hourly`: most budget
    changes of an entity an hour.
    """
    n = columns.count
    have = np.stack([columns.serving[:n], columns.steer[:n], columns.budget[:n]], axis=1)
    is_order = desired.why == Why.ORDER
    want = np.where(is_order, desired.want, _within_steps(columns, desired.want, have, settings))
    held: dict[str, int] = {}
    is_stop = np.zeros((n, MOVES), np.bool_)
    is_stop[:, SERVING] = (want[:, SERVING] == 0.0) & (desired.why[:, SERVING] >= Why.STOP)

    open_ = columns.is_linked[:n, None] & ~np.isnan(want) & ~columns.in_flight[:n]
    with np.errstate(invalid="ignore"):
        open_ &= ~(have == want)
        is_close = np.abs(want - have) < _band(settings) * np.abs(have)
    is_close[:, SERVING] = False
    lacks_forecast = columns.is_linked[:n] & (desired.want[:, SERVING] == 1.0)
    lacks_forecast &= np.isnan(desired.want[:, STEER]) & (columns.steered_by[:n] > 0)
    _count(held, HeldBack.NO_FORECAST, lacks_forecast)
    for reason, mask in _obstacles(columns, want, have, is_close, is_stop, now, settings, hourly):
        blocked = open_ & mask
        if reason not in _BEFORE_ORDERS:
            blocked &= ~is_order
        _count(held, reason, blocked)
        open_ &= ~blocked

    # By where it is to go, not by how far it may at once: else what is far off would come last.
    worth = _worths(columns, desired.want, have, curve, day_left_s)
    place, move = np.nonzero(open_)
    urgent = (is_stop[place, move] & desired.is_emergency[place]) | is_order[place, move]
    order = np.lexsort((move, -worth[place, move], ~is_stop[place, move], ~urgent))
    chosen = order[: _how_many(urgent, most=most, most_urgent=most_urgent)]
    rest = order[len(chosen) :]
    if len(rest):
        held[short_of.value] = held.get(short_of.value, 0) + len(rest)
    place_, move_ = place[chosen], move[chosen]
    return Picked(
        place=place_,
        move=move_,
        value=want[place_, move_],
        before=have[place_, move_],
        worth=worth[place_, move_],
        why=desired.why[place_, move_],
        is_emergency=urgent[chosen],
        waiting=len(rest),
        waiting_worth=float(worth[place[rest], move[rest]].sum()),
        held=held,
    )


def settle(
    columns: Columns, place: int, move: int, *, value: float, result: str, now: float
) -> None:
    """Note what became of a change: applied, rejected, failed, or lost on the way."""
    columns.in_flight[place, move] = False
    if result == "lost":
        return  # nothing speaks against sending it again at once
    if result == "applied":
        (columns.serving, columns.steer, columns.budget)[move][place] = value
        columns.moved_at[place, move] = now
        columns.refusals[place, move] = 0
        columns.not_before[place, move] = -1e18
        if move == SERVING:
            columns.is_ours[place] = value == 0.0
        if move == BUDGET:
            oldest = int(columns.hour[place].argmin())
            columns.hour[place, oldest] = now
        return
    refusals = int(columns.refusals[place, move])
    first = REFUSED_S if result == "rejected" else FAILED_S
    columns.not_before[place, move] = now + min(LONGEST_S, first * 2.0 ** min(refusals, 12))
    columns.refusals[place, move] = min(refusals + 1, 1000)


def _obstacles(
    c: Columns,
    want: Floats,
    have: Floats,
    is_close: Flags,
    is_stop: Flags,
    now: float,
    settings: Gate,
    hourly: int | None,
) -> list[tuple[HeldBack, Flags]]:
    """Return what may keep changes from being sent, each with where it does. Stops pass most."""
    n = c.count
    is_unready = (c.readiness[:n] < settings.least_readiness)[:, None] & np.ones(MOVES, np.bool_)
    # Less is always safe: a bid, a budget or a target CPA may fall, a target ROAS may rise.
    with np.errstate(invalid="ignore"):
        falls = want < have
        falls[:, STEER] ^= c.steered_by[:n] == 2
    is_held = (now - c.moved_at[:n]) < np.array(
        [settings.hold_s, settings.hold_s, settings.budget_hold_s]
    )
    is_held[:, SERVING] &= want[:, SERVING] == 1.0
    stopped = np.zeros((n, MOVES), np.bool_)
    stopped[:, SERVING] = (want[:, SERVING] == 1.0) & ~c.is_ours[:n]
    # What does not serve is not steered: it would cost operations and bring nothing.
    stopped[:, STEER] = stopped[:, BUDGET] = (c.serving[:n] == 0.0) & ~c.is_ours[:n]
    sleeps = np.zeros((n, MOVES), np.bool_)
    sleeps[:, STEER] = sleeps[:, BUDGET] = (c.serving[:n] == 0.0) & (want[:, SERVING] != 1.0)
    learning = np.repeat(c.is_learning[:n, None], MOVES, axis=1)
    learning[:, SERVING] = False
    over = np.zeros((n, MOVES), np.bool_)
    if hourly is not None:
        newest = np.sort(c.hour[:n], axis=1)[:, HOURLY - min(hourly, HOURLY)]
        over[:, BUDGET] = now - newest < 3600.0
    return [
        (HeldBack.UNKNOWN, np.repeat(~c.is_known[:n, None], MOVES, axis=1) & ~is_stop),
        (HeldBack.DEAD_BAND, is_close | sleeps),
        (HeldBack.STOPPED, stopped & ~is_stop),
        (HeldBack.REFUSED, c.not_before[:n] > now),
        (HeldBack.NOT_READY, is_unready & ~is_stop & ~falls),
        (HeldBack.LEARNING, learning),
        (HeldBack.HOLD_TIME, is_held & ~is_stop),
        (HeldBack.HOURLY, over),
    ]


def _within_steps(c: Columns, wanted: Floats, have: Floats, settings: Gate) -> Floats:
    """Return what is wanted, no further from what is in force than one change may go."""
    want = wanted.copy()
    n = c.count
    steer, now = want[:, STEER], have[:, STEER]
    is_bid = c.steered_by[:n] == 0
    rise = np.where(is_bid, settings.largest_rise, settings.largest_target_step)
    fall = np.where(is_bid, settings.largest_fall, 1 - 1 / (1.0 + settings.largest_target_step))
    least = now * (1.0 - fall)
    near = np.clip(steer, least, now * (1.0 + rise))
    near = np.where(c.steered_by[:n] == 2, near, _to_step(near, settings.step))
    want[:, STEER] = np.where(np.isnan(now), steer, near)
    budget, now = want[:, BUDGET], have[:, BUDGET]
    most = _to_step(now * (1.0 + settings.largest_budget_rise), settings.step)
    want[:, BUDGET] = np.where(np.isnan(now), budget, np.minimum(budget, most))
    return want


def _to_step(amount: Floats, step: float) -> Floats:
    return np.asarray(np.maximum(np.floor(amount / step + 1e-9), 1.0) * step, np.float64)


def _worths(c: Columns, want: Floats, have: Floats, curve: Curve, day_left_s: float) -> Floats:
    n = c.count
    worth = np.zeros((n, MOVES))
    in_force, wanted = _as_bid(c, have[:, STEER]), _as_bid(c, want[:, STEER])
    in_force = np.where(np.isnan(in_force), 0.0, in_force)
    confidence = c.confidence[:n]
    worth[:, STEER] = np.nan_to_num(move_worth(in_force, wanted, curve, confidence))
    bid = np.where(np.isnan(c.bid[:n]), 0.0, c.bid[:n])
    starts = move_worth(np.zeros(n), bid, curve, confidence)
    stops = np.maximum(
        move_worth(in_force, np.zeros(n), curve, np.ones(n)), 3600.0 * c.spend_per_s[:n]
    )
    worth[:, SERVING] = np.where(want[:, SERVING] == 1.0, starts, stops)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.nan_to_num(np.clip(c.roi[:n] / c.cpc[:n], 0.0, 10.0))
    worth[:, BUDGET] = np.nan_to_num(
        budget_worth(have[:, BUDGET], want[:, BUDGET], c.spend_per_s[:n], day_left_s, gain)
    )
    return worth


def _as_bid(c: Columns, steer: Floats) -> Floats:
    """Return what a lever comes to as a bid."""
    n = c.count
    with np.errstate(divide="ignore", invalid="ignore"):
        from_roas = c.value[:n] * c.cvr[:n] / steer
    return np.select(
        [c.steered_by[:n] == 0, c.steered_by[:n] == 1], [steer, steer * c.cvr[:n]], from_roas
    )


def _how_many(urgent: Flags, *, most: int, most_urgent: int) -> int:
    """Return how many of the ordered changes are sent: the urgent ones are the first of them."""
    stops = min(int(urgent.sum()), most_urgent)
    return max(stops, most)


def _band(settings: Gate) -> Floats:
    return np.array([0.0, settings.dead_band, settings.budget_dead_band])


def _count(held: dict[str, int], reason: HeldBack, mask: Flags) -> None:
    found = int(mask.sum())
    if found:
        held[reason.value] = held.get(reason.value, 0) + found
