"""What hindsight would have bought on the simulated market, and how a flight stands against it."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.campaign import Campaign, Definition, Strategy
from engine.market.auction import auction
from engine.market.market import Market
from engine.market.naive import worth_of

__all__ = ["STEP_MS", "Curves", "Flight", "flight_seconds", "hindsight", "is_reach", "judge"]

Floats = NDArray[np.float64]

STEP_MS = 1000


class Flight(msgspec.Struct, frozen=True):
    """What came of one campaign. Money in micros; what is won, as expected."""

    campaign: str
    strategy: str
    budget: float  # the part of it that falls into the run
    whole_budget: float
    spend: float
    conversions: float
    value: float
    best_value: float  # the hindsight optimum under the same budget and goal
    cheapest: float  # the least that would have bought as much, in hindsight
    allowed_cost: float  # of one conversion, by the goal; inf: no bound
    pace_error: float  # root mean square of spend share against time share


class Curves(msgspec.Struct, frozen=True):
    """What one campaign could have bought under one price of money, ascending by price."""

    cost: Floats
    won: Floats  # conversions; impressions where the goal is reach
    conversions: Floats


_PRICES = np.exp(np.linspace(math.log(0.01), math.log(4.0), 48))


def hindsight(campaigns: Sequence[Campaign], market: Market, steps: Sequence[int]) -> list[Curves]:
    """Return each campaign's frontier under the true market of its flight.

    With second prices and one price of money a bid in proportion to what a click is worth is
    optimal: every expected micro beyond it would buy less than elsewhere.
    """
    stride = max(len(steps) // 150, 1)
    cost, won, conversions = (np.zeros((len(_PRICES), len(market.series))) for _ in range(3))
    owner = {one.definition.id: one.definition for one in campaigns}
    of = [owner[one.campaign] for one in market.series]
    is_reach = np.array([one.strategy is Strategy.MAXIMISE_REACH for one in of])
    worth = np.array([worth_of(one) for one in of])
    reach_unit = np.array([float(one.guardrails.max_bid_micros) for one in of])
    most = np.array([one.guardrails.max_bid_micros for one in of], np.float64)
    begins = np.array([one.flight.starts_at for one in of]) * 1000
    ends = np.array([one.flight.ends_at for one in of]) * 1000
    for step in steps[stride // 2 :: stride]:
        truth = market.truth(step)
        middle = (step - 0.5) * STEP_MS
        inside = (begins <= middle) & (middle < ends)
        per_step = truth.opportunities_a_day * STEP_MS / 1000 / market.day_seconds * stride
        unit = np.where(is_reach, reach_unit * truth.ctr.min() / truth.ctr, worth * truth.cvr)
        for i, price in enumerate(_PRICES):
            odds = auction(truth, np.minimum(unit * price, most))
            shown = per_step * odds.share * inside
            clicks = shown * truth.ctr
            cost[i] += clicks * odds.cpc_micros
            conversions[i] += clicks * truth.cvr
            won[i] += np.where(is_reach, shown, clicks * truth.cvr)
    found = []
    for one in campaigns:
        places = [market.place_of(one.definition.id, name) for name in one.definition.platforms]
        here = [place for place in places if place is not None]
        found.append(Curves(*(table[:, here].sum(axis=1) for table in (cost, won, conversions))))
    return found


def is_reach(definition: Definition) -> bool:
    return definition.strategy is Strategy.MAXIMISE_REACH


def flight_seconds(definition: Definition, end: float) -> float:
    return min(definition.flight.ends_at, end) - definition.flight.starts_at


def judge(
    definition: Definition,
    curves: Curves,
    *,
    end: float,
    spend: float,
    conversions: float,
    spent: Floats,
    when: Floats,
) -> Flight:
    """Set what a campaign won against the frontier of its flight."""
    flight = definition.flight
    length = flight.ends_at - flight.starts_at
    part = min(flight_seconds(definition, end) / length, 1.0)
    budget = definition.budget_micros * part
    daily = definition.guardrails.daily_cap_micros
    budget = min(budget, float(daily)) if daily is not None else budget
    allowed = worth_of(definition) or math.inf
    inside = (when >= flight.starts_at) & (when <= flight.ends_at)
    due = np.clip((when - flight.starts_at) / length, 0.0, 1.0) * definition.budget_micros
    error = (spent - due)[inside] / budget
    worth = float(definition.conversion_value_micros or worth_of(definition))
    value = 1.0 if is_reach(definition) else worth
    return Flight(
        campaign=definition.id,
        strategy=definition.strategy.value,
        budget=budget,
        whole_budget=float(definition.budget_micros),
        spend=spend,
        conversions=conversions,
        value=conversions * value,
        best_value=_best(curves, budget, allowed) * value,
        cheapest=float(np.interp(conversions, curves.won, curves.cost)),
        allowed_cost=allowed,
        pace_error=float(np.sqrt(np.mean(error**2))) if inside.any() else 0.0,
    )


def _best(curves: Curves, budget: float, allowed: float) -> float:
    """Return the most that could have been won within the budget and the goal."""
    is_kept = curves.cost <= allowed * np.maximum(curves.conversions, 1e-12)
    fits = np.flatnonzero((curves.cost <= budget) & is_kept)
    last = int(fits.max(initial=0))
    if last + 1 < len(curves.cost) and is_kept[last + 1]:
        return float(np.interp(budget, curves.cost, curves.won))
    return float(curves.won[last])
