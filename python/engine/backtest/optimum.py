"""The hindsight optimum of a fitted model: exact, by one price for every stretch and platform.

With clicks going as spend^g in each stretch, a stretch that brings v at spend s brings v·x^g at
s·x. Most is got where the last unit of money brings the same everywhere, one price m: x =
(g·v·m/s)^(1/(1-g)), up to where the model goes. A budget and a target CPA both only choose m (their
multipliers enter as a ratio), so m rises until the first of them binds: the Lagrangian's solution,
which for concave answers is the optimum.
"""

import math
from collections.abc import Callable

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "Point", "best", "cheapest", "front", "gains"]

Floats = NDArray[np.float64]

STEPS = 60  # of bisection: the price is then known to 1e-16
POINTS = 40


class Answers(msgspec.Struct, frozen=True):
    """What each stretch of a campaign brings: `gain` at `spend_micros`, at most `most` times it."""

    gain: Floats
    spend_micros: Floats
    concavity: Floats  # g, between 0 and 1
    most: Floats


class Point(msgspec.Struct, frozen=True):
    """What a price for a unit of gain buys."""

    spend_micros: float
    gain: float
    price: float = 0.0


def gains(answers: Answers, price: float) -> Floats:
    """Return what each stretch brings where a unit of gain may cost `price` at the margin."""
    found: Floats = answers.gain * _times(answers, price) ** answers.concavity
    return found


def best(answers: Answers, *, budget_micros: float, most_cost_micros: float | None) -> Point:
    """Return the most gain within a budget and, where given, a cost for each unit of gain."""
    low, high = _range(answers)

    def fits(point: Point) -> bool:
        dear = most_cost_micros is not None and point.spend_micros > most_cost_micros * point.gain
        return point.spend_micros <= budget_micros and not dear

    if not len(answers.gain) or not answers.gain.any():
        return Point(0.0, 0.0)
    if fits(everything := _at(answers, math.exp(high))):
        return everything
    return _bisect(answers, low, high, fits)


def cheapest(answers: Answers, gain: float) -> float | None:
    """Return the least spend (micros) that brings a gain; None where nothing brings as much."""
    if gain <= 0:
        return 0.0
    low, high = _range(answers)
    if not len(answers.gain) or _at(answers, math.exp(high)).gain < gain * (1 - 1e-9):
        return None
    return _bisect(answers, low, high, lambda point: point.gain <= gain).spend_micros


def front(answers: Answers) -> list[Point]:
    """Return the Pareto front of spend and gain, ascending: no other split brings more for less."""
    low, high = _range(answers)
    if not len(answers.gain) or not answers.gain.any():
        return []
    prices = np.exp(np.linspace(low, high, 4 * POINTS))
    points = [_at(answers, float(price)) for price in prices]
    most = points[-1].spend_micros
    kept, last = [Point(0.0, 0.0)], 0.0
    for point in points:  # even steps of spend: prices are no scale that people read
        if point.spend_micros >= last + most / POINTS or point is points[-1]:
            kept.append(point)
            last = point.spend_micros
    return kept


def _bisect(answers: Answers, low: float, high: float, fits: Callable[[Point], bool]) -> Point:
    found = Point(0.0, 0.0)
    for _ in range(STEPS):
        middle = (low + high) / 2
        point = _at(answers, math.exp(middle))
        if fits(point):
            low, found = middle, point
        else:
            high = middle
    return found


def _at(answers: Answers, price: float) -> Point:
    """Return what is bought at a price."""
    times = _times(answers, price)
    spend = float((answers.spend_micros * times).sum())
    return Point(spend, float((answers.gain * times**answers.concavity).sum()), price)


def _times(answers: Answers, price: float) -> Floats:
    """Return how many times its spend each stretch is given where the last gain costs `price`."""
    g = answers.concavity
    spend = np.maximum(answers.spend_micros, 1e-9)
    with np.errstate(over="ignore"):  # beyond what the model believes anyway
        times = np.minimum((g * answers.gain * price / spend) ** (1 / (1 - g)), answers.most)
    found: Floats = np.where(answers.gain > 0, times, 0.0)
    return found


def _range(answers: Answers) -> tuple[float, float]:
    """Return log prices at which next to nothing and everything is bought."""
    some = (answers.gain > 0) & (answers.spend_micros > 0)
    if not some.any():
        return 0.0, 1.0
    g, most = answers.concavity[some], answers.most[some]
    full = np.log(answers.spend_micros[some] / (g * answers.gain[some])) + (1 - g) * np.log(most)
    return float(full.min()) - 14.0, float(full.max()) + 1e-9
