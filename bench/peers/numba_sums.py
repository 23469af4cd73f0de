"""numba: a loop over samples that keeps sums, a loop over campaigns that reads them; one core.

What one would write who knows that compiled loops win: one row of sums for each slot, so that a
sample touches it and one place of the ring. In doubles: sums drift where terms have fractions.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

# Of a row: samples, clicks w, w t, w t^2, then for conversions and for spend y, y t, y^2 / w.
SUMS = 10
# As SWEEP_SAMPLE_ROW, but that numba has no word for bytes which nobody reads.
ROW = np.dtype(
    [
        ("slot", "<u8"),
        ("unread", "<u8"),
        ("tick", "<u4"),
        ("clicks", "<u4"),
        ("milliconversions", "<u4"),
        ("spend_units", "<u4"),
    ]
)


class Peer:
    """Sums and rings as numpy arrays, loops compiled by numba."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.terms = work, terms
        self.sums = np.zeros((work.pool, SUMS))
        self.rings = np.zeros((work.pool, work.window, 4), np.uint32)
        self.heads = np.zeros(work.pool, np.uint32)
        self.spent = np.zeros(work.pool // work.platforms)
        self.answers = np.zeros(work.campaigns, ANSWER)

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        _ingest(rows.view(ROW), self.sums, self.rings, self.heads, self.spent, self.work.platforms)

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        now, horizon = float(tick - START_TICK), float(self.work.step_ms)
        _decide(now, horizon, self.sums, self.spent, self.terms.columns(), self.answers)
        return self.answers

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        self.sums = np.tile(self.sums, (times, 1))
        self.rings = np.tile(self.rings, (times, 1, 1))
        self.heads = np.tile(self.heads, times)
        self.spent = np.tile(self.spent, times)


@numba.njit(cache=True, error_model="numpy")
def _ingest(
    rows: NDArray[np.void],
    sums: NDArray[np.float64],
    rings: NDArray[np.uint32],
    heads: NDArray[np.uint32],
    spent: NDArray[np.float64],
    platforms: int,
) -> None:
    window = rings.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        slot = row.slot
        head = heads[slot]
        place, of = rings[slot, head % window], sums[slot]
        if head >= window:
            _count(of, -1.0, place[0], place[1], place[2], place[3])
        _count(of, 1.0, row.tick, row.clicks, row.milliconversions, row.spend_units)
        place[0], place[1] = row.tick, row.clicks
        place[2], place[3] = row.milliconversions, row.spend_units
        heads[slot] = head + 1
        spent[slot // platforms] += row.spend_units * UNIT_MICROS


@numba.njit(cache=True, error_model="numpy", inline="always")
def _count(
    of: NDArray[np.float64], sign: float, tick: int, clicks: int, conversions: int, spend: int
) -> None:
    t, w, c, s = float(tick) - START_TICK, float(clicks), float(conversions), float(spend)
    of[0] += sign
    of[1] += sign * w
    of[2] += sign * w * t
    of[3] += sign * w * t * t
    of[4] += sign * c
    of[5] += sign * c * t
    of[6] += sign * c * c / w
    of[7] += sign * s
    of[8] += sign * s * t
    of[9] += sign * s * s / w


@numba.njit(cache=True, error_model="numpy")
def _decide(
    now: float,
    horizon: float,
    sums: NDArray[np.float64],
    spent: NDArray[np.float64],
    terms: tuple[NDArray[np.float64], ...],
    answers: NDArray[np.void],
) -> None:
    value, most, budget, starts, ends = terms
    platforms = sums.shape[0] // answers.shape[0]
    for campaign in range(answers.shape[0]):
        best, best_cvr, answer = -math.inf, 0.0, answers[campaign]
        for platform in range(platforms):
            of = sums[campaign * platforms + platform]
            n, w, wt, c = of[0], of[1], of[2], of[4] / 1000.0
            mean_t, determinant = wt / w, w * of[3] - wt * wt
            ahead = now + horizon - mean_t
            cvr, cvr_agrees = _line(ahead, n, w, wt, determinant, of[4], of[5], of[6])
            cpc, cpc_agrees = _line(ahead, n, w, wt, determinant, of[7], of[8], of[9])
            cpc = max(cpc * UNIT_MICROS, 0.0)
            cvr = min(max(cvr / 1000.0, 0.0), 1.0)
            size = n / (n + 3.0) * w / (w + 30.0) * (1.0 + c / (c + 10.0)) / 2.0
            cadence = math.sqrt(12.0 * determinant / (n * n - 1.0)) / w
            missed = max((now - mean_t) / cadence - (n + 1.0) / 2.0, 0.0) / 8.0
            age = 1.0 / (1.0 + missed * missed)
            confidence = size * age * (cpc_agrees + cvr_agrees) / 2.0
            score = confidence * (cvr * value[campaign] - cpc)
            if score > best:
                best, best_cvr = score, cvr
                answer.cpc_micros, answer.cvr, answer.confidence = cpc, cvr, confidence
                answer.score_micros, answer.best = score, platform
        left = budget[campaign] - spent[campaign]
        flight_left = (ends[campaign] - START_TICK - now) / (ends[campaign] - starts[campaign])
        pacing = min(left / (budget[campaign] * flight_left), 1.0)
        if left <= 0.0 or flight_left <= 0.0:
            pacing = 0.0
        bid = min(best_cvr * value[campaign] * pacing, most[campaign]) if best > 0.0 else 0.0
        answer.pacing, answer.bid_micros = pacing, int(bid)


@numba.njit(cache=True, error_model="numpy", inline="always")
def _line(
    ahead: float,
    n: float,
    w: float,
    wt: float,
    determinant: float,
    y: float,
    yt: float,
    spread: float,
) -> tuple[float, float]:
    """Return the line's value so far after the mean time, and how far samples agree with it."""
    mean = y / w
    slope = (w * yt - wt * y) / determinant
    squares = max(spread - y * mean - slope * slope * determinant / w, 0.0)
    variance = squares / (n - 2.0) * n / w
    return mean + slope * ahead, mean * mean / (mean * mean + variance)
