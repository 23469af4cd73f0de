"""numpy: the same sums, a column each, updated and read whole columns at a time.

In pieces of 16,384, so that what is between two steps stays in the cache. A batch must hold at most
one sample of a slot, which the others do not ask for.
"""

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

PIECE = 16_384
Floats = NDArray[np.float64]


class Peer:
    """Sums and rings as columns."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.columns = work, terms.columns()
        # Samples, clicks w, w t, w t^2, then for conversions and for spend y, y t, y^2 / w.
        self.sums = [np.zeros(work.pool) for _ in range(10)]
        self.rings = np.zeros((work.pool, work.window, 4), np.uint32)
        self.heads = np.zeros(work.pool, np.uint32)
        self.spent = np.zeros(work.pool)  # of each slot
        self.answers = np.zeros(work.campaigns, ANSWER)

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        for begin in range(0, len(rows), PIECE):
            piece = rows[begin : begin + PIECE]
            slots = piece["slot"].astype(np.intp)
            heads = self.heads[slots]
            places = heads % np.uint32(self.work.window)
            old = self.rings[slots, places]
            new = np.empty_like(old)
            for column, part in enumerate(_PARTS):
                new[:, column] = piece[part]
            self.rings[slots, places] = new
            self.heads[slots] = heads + np.uint32(1)
            self.spent[slots] += piece["spend_units"] * float(UNIT_MICROS)
            is_full = heads >= self.work.window
            coming, going = _counted(new, np.ones(len(new))), _counted(old, is_full.astype(float))
            for total, come, go in zip(self.sums, coming, going, strict=True):
                total[slots] += come - go

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        step = PIECE // self.work.platforms
        for begin in range(0, self.work.campaigns, step):
            part = slice(begin, min(begin + step, self.work.campaigns))
            slots = slice(part.start * self.work.platforms, part.stop * self.work.platforms)
            sums = [column[slots] for column in self.sums]
            spent = self.spent[slots].reshape(-1, self.work.platforms).sum(axis=1)
            now, horizon = float(tick - START_TICK), float(self.work.step_ms)
            choose(now, horizon, sums, spent, [c[part] for c in self.columns], self.answers[part])
        return self.answers

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        self.sums = [np.tile(column, times) for column in self.sums]
        self.rings = np.tile(self.rings, (times, 1, 1))
        self.heads = np.tile(self.heads, times)
        self.spent = np.tile(self.spent, times)


_PARTS = ("tick", "clicks", "milliconversions", "spend_units")


def _counted(samples: NDArray[np.uint32], n: Floats) -> tuple[Floats, ...]:
    """Return what samples add to the sums; nothing where n is 0."""
    t = samples[:, 0] - float(START_TICK)
    w, c, s = (samples[:, column] * n for column in (1, 2, 3))
    divisor = np.maximum(w, 1.0)
    wt = w * t
    return n, w, wt, wt * t, c, c * t, c * c / divisor, s, s * t, s * s / divisor


def choose(
    now: float,
    horizon: float,
    sums: list[Floats],
    spent: Floats,
    terms: list[Floats],
    answers: NDArray[np.void],
) -> None:
    """Write the answers of some campaigns, from the sums of their slots and what they spent."""
    n, w, wt, wtt, c, ct, cc, s, st, ss = sums
    value, most, budget, starts, ends = terms
    mean_t, determinant = wt / w, w * wtt - wt * wt
    ahead = now + horizon - mean_t
    cvr, cvr_agrees = _line(ahead, n, w, wt, determinant, c, ct, cc)
    cpc, cpc_agrees = _line(ahead, n, w, wt, determinant, s, st, ss)
    cpc = np.maximum(cpc * UNIT_MICROS, 0.0)
    cvr = np.clip(cvr / 1000.0, 0.0, 1.0)
    size = n / (n + 3.0) * w / (w + 30.0) * (1.0 + c / (c + 10_000.0)) / 2.0
    cadence = np.sqrt(12.0 * determinant / (n * n - 1.0)) / w
    missed = np.maximum((now - mean_t) / cadence - (n + 1.0) / 2.0, 0.0) / 8.0
    confidence = size / (1.0 + missed * missed) * (cpc_agrees + cvr_agrees) / 2.0
    count = len(answers)
    score = (confidence * (cvr * np.repeat(value, len(n) // count) - cpc)).reshape(count, -1)
    best = score.argmax(axis=1)
    at = np.arange(count) * score.shape[1] + best
    left, flight_left = budget - spent, (ends - START_TICK - now) / (ends - starts)
    pacing = np.minimum(left / (budget * flight_left), 1.0)
    pacing[(left <= 0.0) | (flight_left <= 0.0)] = 0.0
    bid = np.minimum(cvr[at] * value * pacing, most)
    best_score = score.ravel()[at]
    answers["cpc_micros"], answers["cvr"], answers["confidence"] = cpc[at], cvr[at], confidence[at]
    answers["score_micros"], answers["best"], answers["pacing"] = best_score, best, pacing
    answers["bid_micros"] = np.where(best_score > 0.0, bid, 0.0)


def _line(
    ahead: Floats,
    n: Floats,
    w: Floats,
    wt: Floats,
    determinant: Floats,
    y: Floats,
    yt: Floats,
    spread: Floats,
) -> tuple[Floats, Floats]:
    """Return the line's value so far after the mean time, and how far samples agree with it."""
    mean = y / w
    slope = (w * yt - wt * y) / determinant
    squares = np.maximum(spread - y * mean - slope * slope * determinant / w, 0.0)
    variance = squares / (n - 2.0) * n / w
    return mean + slope * ahead, mean * mean / (mean * mean + variance)
