"""river: rolling covariances and variances, whose quotients are the lines; weighted by clicks.

A sample leaves by `revert`, which undoes its update in doubles.
"""

from math import inf, sqrt

import numpy as np
from numpy.typing import NDArray
from river import stats, utils

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work


class Slot:
    """What one campaign has on one platform."""

    def __init__(self, window: int) -> None:
        def rolling(kind: type) -> utils.Rolling:
            return utils.Rolling(kind, window_size=window, ddof=0)

        self.t, self.cpc, self.cvr = (rolling(stats.Var) for _ in range(3))
        self.t_cpc, self.t_cvr = (rolling(stats.Cov) for _ in range(2))

    def update(self, t: float, clicks: int, cpc: float, cvr: float) -> None:
        """Take in a sample."""
        self.t.update(t, w=clicks)
        self.cpc.update(cpc, w=clicks)
        self.cvr.update(cvr, w=clicks)
        self.t_cpc.update(t, cpc, w=clicks)
        self.t_cvr.update(t, cvr, w=clicks)


class Peer:
    """Rolling statistics, one set a slot."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work = work
        columns = (column.tolist() for column in terms.columns())
        self.campaigns = list(zip(*columns, strict=True))
        self.spent = [0] * work.campaigns
        self.slots = [Slot(work.window) for _ in range(work.slots)]

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for slot, _, tick, clicks, conversions, spend in rows.tolist():
            cpc, cvr = spend * UNIT_MICROS / clicks, conversions / 1000 / clicks
            self.slots[slot].update(float(tick - START_TICK), clicks, cpc, cvr)
            self.spent[slot // self.work.platforms] += spend * UNIT_MICROS

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
            slot = self.slots[campaign * self.work.platforms + platform]
            n, w, c = len(slot.t.window), slot.t.mean.n, slot.cvr.mean.get() * slot.t.mean.n
            mean_t = slot.t.mean.get()
            ahead = now + self.work.step_ms - mean_t
            cpc, cpc_agrees = _line(ahead, n, slot.t, slot.cpc, slot.t_cpc)
            cvr, cvr_agrees = _line(ahead, n, slot.t, slot.cvr, slot.t_cvr)
            cadence = sqrt(12 / (n * n - 1) * slot.t.get())
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


def _line(
    ahead: float, n: int, t: utils.Rolling, rate: utils.Rolling, together: utils.Rolling
) -> tuple[float, float]:
    """Return the line's value so far after the mean time, and how far samples agree with it."""
    mean, slope = rate.mean.get(), together.get() / t.get()
    # Var and Cov divide by the clicks, so what is left is of one click; a sample has w / n of them.
    variance = max(rate.get() - slope * together.get(), 0.0) * n / (n - 2)
    return mean + slope * ahead, mean * mean / (mean * mean + variance)
