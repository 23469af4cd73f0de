"""numpy: the same sums, a column each, updated and read whole columns at a time.

In pieces of 16,384, so that what is between two steps stays in the cache. A batch must hold at most one
sample of a slot, which the others do not ask for.
"""

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

PIECE = 16_384
Floats = NDArray[np.float64]


class Peer:
    """Sums and rings as columns."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.terms = work, terms
        # Of a column: samples, clicks w, w t, w t^2, then for conversions and spend y, y t, y^2 / w.
        self.sums = [np.zeros(work.pool) for _ in range(10)]
        self.rings = np.zeros((work.pool, work.window, 4), np.uint32)
        self.heads = np.zeros(work.pool, np.uint32)
        self.answers = np.zeros(work.campaigns, ANSWER)

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for begin in range(0, len(rows), PIECE):
            piece = rows[begin : begin + PIECE]
            slots = piece["series"].astype(np.intp)
            heads = self.heads[slots]
            places = heads % np.uint32(self.work.window)
            old = self.rings[slots, places]
            new = np.empty_like(old)
            for column, part in enumerate(_PARTS):
                new[:, column] = piece[part]
            self.rings[slots, places] = new
            self.heads[slots] = heads + np.uint32(1)
            is_full = heads >= self.work.window
            coming, going = _counted(new, np.ones(len(new))), _counted(old, is_full.astype(float))
            for column, come, go in zip(self.sums, coming, going, strict=True):
                column[slots] += come - go

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        due = float(tick + self.work.step_ms - START_TICK)
        step = PIECE // self.work.platforms
        for begin in range(0, self.work.campaigns, step):
            part = slice(begin, min(begin + step, self.work.campaigns))
            slots = slice(part.start * self.work.platforms, part.stop * self.work.platforms)
            choose([column[slots] for column in self.sums], due, self.terms, part, self.answers)
        return self.answers

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        self.sums = [np.tile(column, times) for column in self.sums]
        self.rings = np.tile(self.rings, (times, 1, 1))
        self.heads = np.tile(self.heads, times)


_PARTS = ("tick", "clicks", "milliconversions", "spend_units")


def _counted(samples: NDArray[np.uint32], n: Floats) -> tuple[Floats, ...]:
    """Return what samples add to the sums; nothing where n is 0."""
    t = samples[:, 0] - float(START_TICK)
    w, c, s = (samples[:, column] * n for column in (1, 2, 3))
    divisor = np.maximum(w, 1.0)
    wt = w * t
    return n, w, wt, wt * t, c, c * t, c * c / divisor, s, s * t, s * s / divisor


def choose(
    sums: list[Floats], due: float, terms: Terms, part: slice, answers: NDArray[np.void]
) -> None:
    """Write the answers of some campaigns, from the sums of their slots."""
    n, w, wt, wtt, c, ct, cc, s, st, ss = sums
    determinant = w * wtt - wt * wt
    cvr, cvr_agrees = _line(due, n, w, wt, determinant, c, ct, cc)
    cpc, cpc_agrees = _line(due, n, w, wt, determinant, s, st, ss)
    cpc = np.maximum(cpc * UNIT_MICROS, 0.0)
    cvr = np.clip(cvr / 1000.0, 0.0, 1.0)
    confidence = w / (w + 30.0) * (cpc_agrees + cvr_agrees) / 2.0
    count = part.stop - part.start
    value = terms.value_micros[part]
    score = (cvr.reshape(count, -1) * value[:, None] - cpc.reshape(count, -1)) * (
        confidence.reshape(count, -1)
    )
    best = score.argmax(axis=1)
    at = np.arange(count) * score.shape[1] + best
    pacing = np.clip(
        terms.planned_micros[part] / np.maximum(terms.spent_micros[part], 1.0), 0.5, 1.5
    )
    bid = np.minimum(cvr[at] * value * pacing, terms.most_micros[part])
    found = answers[part]
    found["cpc_micros"], found["cvr"], found["confidence"] = cpc[at], cvr[at], confidence[at]
    best_score = score.ravel()[at]
    found["score_micros"], found["platform"] = best_score, best
    found["bid_micros"] = np.where(best_score > 0.0, bid, 0.0)


def _line(
    due: float,
    n: Floats,
    w: Floats,
    wt: Floats,
    determinant: Floats,
    y: Floats,
    yt: Floats,
    spread: Floats,
) -> tuple[Floats, Floats]:
    """Return the line's value when due, and how far the samples agree with the line."""
    mean = y / w
    slope = (w * yt - wt * y) / determinant
    squares = np.maximum(spread - y * mean - slope * slope * determinant / w, 0.0)
    variance = squares / (n - 2.0) * n / w
    return mean + slope * (due - wt / w), mean * mean / (mean * mean + variance)
