"""The last look at a change before it leaves: money in range, in steps, and no wild jump.

Everything before this is meant to bring about what is checked here; a change that fails is a fault
of this program, or of the data that it was given, and is not sent.
"""

import math

from engine.domain.money import LARGEST_MICROS, from_micros
from engine.messaging.changes import Change
from engine.platforms.port import Lever, Limits

__all__ = ["problem_of"]

LARGEST_ROAS = 1_000.0
LARGEST_JUMP = 10.0
"""Times what is in force, upwards, of bids, targets and budgets."""


def problem_of(
    change: Change, *, limits: Limits, step_micros: int, most_micros: float = LARGEST_MICROS
) -> str:
    """Return what is wrong with a change, "" where it may be sent.

    `step_micros`: what amounts are multiples of; `most_micros`: what the campaign allows.
    """
    lever, value = Lever(change.lever), change.value
    if not math.isfinite(value):
        return f"{change.lever}: a number, found {value}"
    if lever is Lever.SERVING:
        return "" if value in (0.0, 1.0) else f"serving: 0 or 1, found {value:g}"
    if lever is Lever.TARGET_ROAS:
        if not 0.01 <= value <= LARGEST_ROAS:
            return f"target-roas: 0.01 to {LARGEST_ROAS:.0f}, found {value:g}"
        return _jump(change)
    if value != int(value) or int(value) % step_micros:
        return f"{change.lever}: a multiple of {from_micros(step_micros)}, found {value / 1e6:g}"
    least = limits.min_daily_budget_micros if lever is Lever.DAILY_BUDGET else limits.min_bid_micros
    if value < least:
        return f"{change.lever}: at least {from_micros(least)}, found {from_micros(int(value))}"
    if value > min(most_micros, LARGEST_MICROS):
        most = from_micros(int(min(most_micros, LARGEST_MICROS)))
        return f"{change.lever}: at most {most}, found {from_micros(int(value))}"
    return _jump(change)


def _jump(change: Change) -> str:
    before = change.before
    if change.why == "order" or before is None or before <= 0:
        return ""
    if change.value > before * LARGEST_JUMP:
        return f"{change.lever}: up to {LARGEST_JUMP:g} times {before:g}, found {change.value:g}"
    return ""
