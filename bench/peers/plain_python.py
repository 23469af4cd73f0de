"""Python and its standard library: a deque for each slot, and `statistics.linear_regression`.

`linear_regression` does not weigh: a sample of one click counts as much as one of a hundred. With
the same clicks in every sample it is the same line, and that is where the answers are compared.
"""

from collections import deque
from math import inf, sqrt
from statistics import linear_regression, pvariance

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

Point = tuple[float, int, float, float, float]  # time, clicks, CPC in micros, CVR, conversions


class Peer:
    """Windows of rates in deques."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work = work
        columns = (column.tolist() for column in terms.columns())
        self.campaigns = list(zip(*columns, strict=True))
        self.spent = [0] * work.campaigns
        self.windows: list[deque[Point]] = [deque(maxlen=work.window) for _ in range(work.slots)]

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for slot, _, tick, clicks, conversions, spend in rows.tolist():
            spent, c = spend * UNIT_MICROS, conversions / 1000
            self.windows[slot].append((tick - START_TICK, clicks, spent / clicks, c / clicks, c))
            self.spent[slot // self.work.platforms] += spent

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        now = float(tick - START_TICK)
        answers = [self._choose(campaign, now, *one) for campaign, one in enumerate(self.campaigns)]
        return np.array(answers, ANSWER)

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times: this peer is given no more."""

    def _choose(
        self,
        campaign: int,
        now: float,
        value: float,
        most: float,
        budget: float,
        starts: float,
        ends: float,
    ) -> tuple[int, float, float, float, float, float, int]:
        best = (-inf, 0.0, 0.0, 0.0, 0)
        for platform in range(self.work.platforms):
            window = self.windows[campaign * self.work.platforms + platform]
            times, clicks, cpcs, cvrs, conversions = zip(*window, strict=True)
            n, w, c = len(window), sum(clicks), sum(conversions)
            mean_t = sum(times) / n
            ahead = now + self.work.step_ms
            cpc, cpc_agrees = _line(ahead, times, cpcs)
            cvr, cvr_agrees = _line(ahead, times, cvrs)
            cadence = sqrt(12 / (n * n - 1) * pvariance(times, mean_t))
            cpc, cvr = max(cpc, 0.0), min(max(cvr, 0.0), 1.0)
            size = n / (n + 3) * w / (w + 30) * (1 + c / (c + 10)) / 2
            missed = max((now - mean_t) / cadence - (n + 1) / 2, 0.0) / 8
            confidence = size / (1 + missed * missed) * (cpc_agrees + cvr_agrees) / 2
            score = confidence * (cvr * value - cpc)
            if score > best[0]:
                best = (score, cpc, cvr, confidence, platform)
        score, cpc, cvr, confidence, platform = best
        left = budget - self.spent[campaign]
        flight_left = (ends - START_TICK - now) / (ends - starts)
        pacing = 0.0
        if left > 0 and flight_left > 0:
            pacing = min(left / (budget * flight_left), 1.0)
        bid = int(min(cvr * value * pacing, most)) if score > 0 else 0
        return bid, score, cpc, cvr, confidence, pacing, platform


def _line(due: float, times: tuple[float, ...], rates: tuple[float, ...]) -> tuple[float, float]:
    """Return the line's value when due, and how far the samples agree with the line."""
    slope, intercept = linear_regression(times, rates)
    mean = sum(rates) / len(rates)
    squares = sum((rate - intercept - slope * t) ** 2 for t, rate in zip(times, rates, strict=True))
    variance = squares / (len(rates) - 2)
    return intercept + slope * due, mean * mean / (mean * mean + variance)
