"""The hindsight optimum: what a campaign could have had, knowing every price and true value.

Each opportunity offers its three slots at (expected cost, expected value). The upper concave hulls
of all, sorted by value per money, are the frontier of a fractional multiple-choice knapsack
(Sinha and Zoltners 1979): no policy does better in expectation by more than one opportunity.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.auction import EXPOSURE
from bench.quality.days import CampaignDay

Floats = NDArray[np.float64]
TINY = 1e-12


class Frontier(msgspec.Struct, frozen=True, eq=False):
    """The cheapest way to every value: cumulative `value` and `cost`, best opportunities first."""

    value: Floats
    cost: Floats

    def cheapest(self, value: float) -> float:
        """Returns the least money that brings at least this value (all of it: the last cost)."""
        if value <= 0 or not len(self.value):
            return 0.0
        at = min(int(np.searchsorted(self.value, value)), len(self.value) - 1)
        return float(self.cost[at])


def frontier_of(lines: Sequence[CampaignDay]) -> Frontier:
    """Returns the frontier of a campaign over all its platforms."""
    parts = [_hulls(line.true_value[line.p > 0], line.others[line.p > 0]) for line in lines]
    cost, value = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    best = np.argsort(-value / (cost + TINY), kind="stable")
    return Frontier(value=np.cumsum(value[best]), cost=np.cumsum(cost[best]))


def optimum(frontier: Frontier, budget: float, target: float) -> tuple[float, float]:
    """Returns the best soft score, and the most value with cost per value within the target."""
    within = frontier.cost <= budget
    value, cost = frontier.value[within], frontier.cost[within]
    if not len(value):
        return 0.0, 0.0
    ratio = cost / np.maximum(value, TINY)
    soft = value * np.minimum(1.0, target / np.maximum(ratio, TINY)) ** 2
    hard = value[ratio <= target]
    return float(soft.max()), float(hard.max()) if len(hard) else 0.0


def _hulls(true_value: Floats, others: Floats) -> tuple[Floats, Floats]:
    """The hull steps (extra cost, extra value) of every opportunity worth anything."""
    worth = true_value > 0
    true_value, others = true_value[worth], others[worth]
    n = len(true_value)
    exposure = np.array(EXPOSURE[::-1])  # from the cheapest slot up
    cost = np.concatenate([np.zeros((n, 1)), others[:, ::-1] * exposure], axis=1)
    share = np.concatenate([[0.0], exposure])
    costs, values = [], []
    current = np.zeros(n, np.int64)
    for _ in range(len(EXPOSURE)):
        rows = np.flatnonzero(current < len(EXPOSURE))
        at = current[rows]
        extra_cost = cost[rows] - cost[rows, at][:, None]
        extra_share = share[None, :] - share[at][:, None]
        slope = np.where(np.arange(4) > at[:, None], extra_share / (extra_cost + TINY), -1.0)
        best = 3 - np.argmax(slope[:, ::-1], axis=1)  # of equals the farthest
        costs.append(extra_cost[np.arange(len(rows)), best])
        values.append(true_value[rows] * extra_share[np.arange(len(rows)), best])
        current[rows] = best
    return np.concatenate(costs), np.concatenate(values)
