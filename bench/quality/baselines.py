"""Simple rules that most engines of this kind follow, tuned as well as they can be."""

import math
from collections.abc import Sequence

import numpy as np

from bench.quality.seen import Brief, Floats, PastDay, Seen, Shown

DUAL_STEP_BUDGET, DUAL_STEP_TARGET, DUAL_START = 0.02, 0.003, 0.9
PI_GAIN, PI_SWING, PI_SILENT = 0.3, 2.0, 1.3
PI_CEILING, PI_CORRECTION = 1.2, (0.6, 1.6)


def traffic_profile(past: Sequence[PastDay], rounds: int) -> Floats:
    """Share of a day's opportunities in each round, mean of the past days; even without them."""
    if not past:
        return np.full(rounds, 1 / rounds)
    counts = np.array([np.diff(day.bounds) for day in past], float)
    return np.asarray((counts / counts.sum(axis=1, keepdims=True)).mean(axis=0))


class FixedBid:
    """Bids what a conversion may cost, times its probability, whatever happens."""

    def start(self, brief: Brief) -> None:
        self._target = brief.target_cpa

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        return [self._target * one.p for one in seen]

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        pass


class DualMirrorDescent:
    """Dual mirror descent on budget and target (Balseiro, Lu, Mirrokni 2023; steps tuned here).

    One step a round: the budget's price multiplicatively, the target's additively.
    """

    def __init__(self, *, profile: Floats) -> None:
        self._profile = profile

    def start(self, brief: Brief) -> None:
        self._brief = brief
        self._budget_price = 1 / (DUAL_START * brief.target_cpa)
        self._target_price = 0.0
        self._spend = self._worth = 0.0

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        target, budget = self._brief.target_cpa, self._brief.budget
        if t > 0:
            plan = max(budget * float(self._profile[t - 1]), 1e-3 * budget)
            short = min(1.0, max(-3.0, (plan - self._spend) / plan))
            self._budget_price *= math.exp(-DUAL_STEP_BUDGET * short)
            slack = (self._worth * target - self._spend) / plan / target
            self._target_price = max(0.0, self._target_price - DUAL_STEP_TARGET * slack)
            self._spend = self._worth = 0.0
        factor = (1 + self._target_price * target) / (self._budget_price + self._target_price)
        return [factor * one.p for one in seen]

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        self._spend += shown.cost
        self._worth += float(shown.p[shown.exposed].sum())


class ProportionalPacing:
    """Proportional control of spend on its plan, each platform an equal share, capped by CPA."""

    def __init__(self, *, profile: Floats) -> None:
        self._profile = profile

    def start(self, brief: Brief) -> None:
        count = len(brief.platforms)
        self._brief = brief
        self._factor = np.full(count, brief.target_cpa)
        self._spent, self._worth = np.zeros(count), np.zeros(count)
        self._last: list[float | None] = [None] * count

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        return [self._paced(t, k) * one.p for k, one in enumerate(seen)]

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        self._spent[platform] += shown.cost
        self._worth[platform] += float(shown.p[shown.exposed].sum())
        self._last[platform] = shown.cost

    def _paced(self, t: int, k: int) -> float:
        target, last = self._brief.target_cpa, self._last[k]
        if last is not None:
            left = self._brief.budget / len(self._factor) - self._spent[k]
            rest = max(float(self._profile[t:].sum()), 1e-9)
            plan = left * float(self._profile[t - 1]) / rest
            wish = np.clip(plan / last, 1 / PI_SWING, PI_SWING) ** PI_GAIN if last else PI_SILENT
            self._factor[k] *= wish
        correction = 1.0
        if self._worth[k] > 0:
            gain = target * self._worth[k] / max(self._spent[k], 1e-9)
            correction = float(np.clip(gain, *PI_CORRECTION))
        return float(min(self._factor[k], PI_CEILING * target * correction))
