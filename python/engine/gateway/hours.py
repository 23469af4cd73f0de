"""What the entities of an ad account did, stretch by stretch, as the platform tells it now.

A later report of a stretch replaces the earlier one: conversions come late and are restated. Rows
of a request are kept apart until all of them have come, so that half an answer changes nothing.
Stretches that have grown too old to be restated are added to `base` and dropped.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.platforms.port import ReportRow

__all__ = ["CLICKS", "CONVERSIONS", "COUNTS", "IMPRESSIONS", "REVENUE", "SPEND", "Hours"]

Ints = NDArray[np.int64]

IMPRESSIONS, CLICKS, SPEND, CONVERSIONS, REVENUE = range(5)
COUNTS = 5
"""Columns of a stretch: spend and revenue in micros, conversions in thousandths."""


class Hours:
    """Counts by place, stretch and column, from `since` on, in stretches of `step_s`."""

    def __init__(self, *, since: float, step_s: float) -> None:
        self.since = since
        self.step_s = step_s
        self.base: Ints = np.zeros((0, COUNTS), np.int64)  # of stretches dropped
        self._counts: Ints = np.zeros((0, 0, COUNTS), np.int64)

    @property
    def stretches(self) -> int:
        """Return how many stretches there are."""
        return int(self._counts.shape[1])

    def counts(self) -> Ints:
        """Return all counts: places, stretches (the oldest first), columns."""
        return self._counts

    def starts(self) -> NDArray[np.float64]:
        """Return when each stretch begins, epoch seconds."""
        return np.asarray(self.since + self.step_s * np.arange(self.stretches), np.float64)

    def totals(self) -> Ints:
        """Return the sum of each place, dropped stretches included."""
        totals: Ints = self.base + self._counts.sum(axis=1)
        return totals

    def between(self, since: float, until: float) -> Ints:
        """Return the sum of each place over the stretches that begin in [since, until)."""
        first, last = self._index(since, up=True), self._index(until, up=True)
        total: Ints = self._counts[:, max(first, 0) : max(last, 0)].sum(axis=1)
        return total

    def grow(self, places: int) -> None:
        """Have places more."""
        more = places - len(self.base)
        if more > 0:
            self.base = np.pad(self.base, ((0, more), (0, 0)))
            self._counts = np.pad(self._counts, ((0, more), (0, 0), (0, 0)))

    def forget(self, place: int) -> None:
        """Empty a place."""
        self.base[place] = 0
        self._counts[place] = 0

    def replace(
        self, rows: Iterable[tuple[int, ReportRow, int]], *, since: float, until: float
    ) -> None:
        """Put what was reported of [since, until) in the place of what was known of it.

        `rows`: place, row, and the conversions (thousandths) that another platform has claimed.
        """
        first = max(self._index(since), 0)
        wanted = self._index(until, up=True)
        if wanted > self.stretches:
            more = wanted - self.stretches
            self._counts = np.pad(self._counts, ((0, 0), (0, more), (0, 0)))
        fresh = np.zeros_like(self._counts[:, first:])
        for place, row, lost in rows:
            at = self._index(row.starts_at) - first
            if 0 <= at < fresh.shape[1]:
                fresh[place, at] += (
                    row.impressions,
                    row.clicks,
                    row.spend_micros,
                    max(row.milliconversions - lost, 0),
                    row.revenue_micros,
                )
        self._counts[:, first:] = fresh

    def drop_before(self, at: float) -> None:
        """Add the stretches that end by a time to the base."""
        gone = min(self._index(at), self.stretches)
        if gone > 0:
            self.base = self.base + self._counts[:, :gone].sum(axis=1)
            self._counts = self._counts[:, gone:].copy()
            self.since += gone * self.step_s

    def _index(self, at: float, *, up: bool = False) -> int:
        steps = (at - self.since) / self.step_s
        return int(-(-steps // 1) if up else steps // 1)
