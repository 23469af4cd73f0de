"""river: rolling covariances and variances, whose quotients are the lines; weighted by clicks.

A sample leaves by `revert`, which undoes its update in doubles.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import stats, utils

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work


class Slot:
    """What one campaign has on one platform."""

    def __init__(self, window: int) -> None:
        def rolling(kind: type) -> Any:
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
        self.work, self.terms = work, terms
        self.slots = [Slot(work.window) for _ in range(work.slots)]

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for slot, _, _, _, _, tick, clicks, conversions, spend in rows.tolist():
            cpc, cvr = spend * UNIT_MICROS / clicks, conversions / 1000 / clicks
            self.slots[slot].update(float(tick - START_TICK), clicks, cpc, cvr)

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
            slot = self.slots[campaign * self.work.platforms + platform]
            w, n = slot.t.mean.n, len(slot.t.window)
            cpc, cpc_agrees = _line(due, n, slot.t, slot.cpc, slot.t_cpc)
            cvr, cvr_agrees = _line(due, n, slot.t, slot.cvr, slot.t_cvr)
            cpc, cvr = max(cpc, 0.0), min(max(cvr, 0.0), 1.0)
            confidence = w / (w + 30) * (cpc_agrees + cvr_agrees) / 2
            score = (cvr * value - cpc) * confidence
            if score > best[0]:
                best = (score, cpc, cvr, confidence, platform)
        score, cpc, cvr, confidence, platform = best
        pacing = min(max(planned / max(spent, 1.0), 0.5), 1.5)
        bid = min(cvr * value * pacing, most) if score > 0 else 0.0
        return cpc, cvr, confidence, score, bid, platform


def _line(due: float, n: int, t: Any, rate: Any, together: Any) -> tuple[float, float]:
    """Return the line's value when due, and how far the samples agree with the line."""
    mean, slope = rate.mean.get(), together.get() / t.get()
    # Var and Cov divide by the clicks, so what is left is of one click; a sample has w / n of them.
    variance = max(rate.get() - slope * together.get(), 0.0) * n / (n - 2)
    return mean + slope * (due - t.mean.get()), mean * mean / (mean * mean + variance)
