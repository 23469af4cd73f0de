"""Python and its standard library: a deque for each slot, and `statistics.linear_regression`.

`linear_regression` does not weigh, so a sample of one click counts as much as one of a hundred: with the
same clicks in every sample it is the same line, and that is where the answers are compared.
"""

from collections import deque
from statistics import linear_regression

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

Point = tuple[float, int, float, float]  # time, clicks, CPC in micros, CVR


class Peer:
    """Windows of rates in deques."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.terms = work, terms
        self.windows: list[deque[Point]] = [deque(maxlen=work.window) for _ in range(work.slots)]

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for slot, _, _, _, _, tick, clicks, conversions, spend in rows.tolist():
            cpc, cvr = spend * UNIT_MICROS / clicks, conversions / 1000 / clicks
            self.windows[slot].append((tick - START_TICK, clicks, cpc, cvr))

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        due, terms = float(tick + self.work.step_ms - START_TICK), self.terms
        columns = (terms.value_micros, terms.most_micros, terms.planned_micros, terms.spent_micros)
        answers = [
            self._choose(campaign, due, *one)
            for campaign, one in enumerate(zip(*(c.tolist() for c in columns), strict=True))
        ]
        return np.array(answers, ANSWER)

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times: this peer is given no more."""

    def _choose(
        self, campaign: int, due: float, value: float, most: float, planned: float, spent: float
    ) -> tuple[float, float, float, float, float, int]:
        best = (-float("inf"), 0.0, 0.0, 0.0, 0)
        for platform in range(self.work.platforms):
            window = self.windows[campaign * self.work.platforms + platform]
            times, clicks, cpcs, cvrs = zip(*window, strict=True)
            w = sum(clicks)
            cpc, cpc_agrees = _line(due, times, cpcs)
            cvr, cvr_agrees = _line(due, times, cvrs)
            cpc, cvr = max(cpc, 0.0), min(max(cvr, 0.0), 1.0)
            confidence = w / (w + 30) * (cpc_agrees + cvr_agrees) / 2
            score = (cvr * value - cpc) * confidence
            if score > best[0]:
                best = (score, cpc, cvr, confidence, platform)
        score, cpc, cvr, confidence, platform = best
        pacing = min(max(planned / max(spent, 1.0), 0.5), 1.5)
        bid = min(cvr * value * pacing, most) if score > 0 else 0.0
        return cpc, cvr, confidence, score, bid, platform


def _line(due: float, times: tuple[float, ...], rates: tuple[float, ...]) -> tuple[float, float]:
    """Return the line's value when due, and how far the samples agree with the line."""
    slope, intercept = linear_regression(times, rates)
    mean = sum(rates) / len(rates)
    squares = sum(
        (rate - intercept - slope * t) ** 2 for t, rate in zip(times, rates, strict=True)
    )
    variance = squares / (len(rates) - 2)
    return intercept + slope * due, mean * mean / (mean * mean + variance)
