"""What no adapter lets through: changes that would be refused, ignored, or cost the wrong one."""

import math

from engine.domain.money import LARGEST_MICROS
from engine.platforms.port import Lever, Mutation, Standing

__all__ = ["amount_refused", "mutation_refused"]


def mutation_refused(mutation: Mutation, standing: Standing | None) -> str:
    """Return why a mutation is not sent, given how its entity stands; "" where it may be."""
    if standing is None:
        return f"{mutation.target.entity}: there is no such entity"
    lever = mutation.lever
    if lever is Lever.DAILY_BUDGET and standing.is_budget_shared:
        return "the budget is shared: others spend from it"
    if lever is Lever.DAILY_BUDGET and standing.daily_budget_micros is None:
        return "a daily budget of its own wanted, found none"
    if lever not in (Lever.DAILY_BUDGET, Lever.SERVING, standing.steered_by):
        return f"{lever.value} does not count here: {standing.steered_by.value} does"
    return amount_refused(mutation)


def amount_refused(mutation: Mutation) -> str:
    """Return why a value is none for its lever; "" where it may be."""
    value = mutation.value
    if mutation.lever is Lever.SERVING:
        return "" if value in (0, 1) else f"serving: 0 or 1 wanted, found {value}"
    if mutation.lever is Lever.TARGET_ROAS:
        is_good = math.isfinite(value) and value > 0
        return "" if is_good else f"a ratio above 0 wanted, found {value}"
    is_good = math.isfinite(value) and value == int(value) and 0 < value <= LARGEST_MICROS
    return "" if is_good else f"whole micros above 0 wanted, found {value}"
