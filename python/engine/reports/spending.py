"""What the stored samples add up to, each counted once."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.frames import Frame, spend_micros

__all__ = ["SampleTally", "SeriesTotals", "last_of_each"]

Ints = NDArray[np.int64]


class SeriesTotals(msgspec.Struct, frozen=True):
    """Totals by series, in ascending order of key."""

    series: NDArray[np.uint64]
    impressions: Ints
    clicks: Ints
    milliconversions: Ints
    spend_micros: Ints


class SampleTally:
    """Adds up the frames of some partitions.

    A frame counts once for its partition, producer and sequence; of two rows of one series and tick
    the later counts.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.duplicate_frames = 0
        self.samples = 0  # rows stored, those of duplicate frames left out
        self._seen: set[tuple[int, int, int]] = set()
        self._rows: list[NDArray[np.void]] = []
        self._spend: list[Ints] = []

    def add(self, frame: Frame) -> None:
        """Count a frame in."""
        name = (frame.partition, frame.producer, frame.sequence)
        if name in self._seen:
            self.duplicate_frames += 1
            return
        self._seen.add(name)
        self.frames += 1
        self.samples += len(frame.rows)
        self._rows.append(frame.rows)
        self._spend.append(spend_micros(frame.rows, frame.unit_micros))

    def totals(self) -> SeriesTotals:
        """Return the totals of all frames so far."""
        if not self._rows:
            none = np.zeros(0, np.int64)
            return SeriesTotals(np.zeros(0, np.uint64), none, none, none, none)
        rows, spend = np.concatenate(self._rows), np.concatenate(self._spend)
        newest = last_of_each(rows["series"], rows["tick"])
        rows, spend = rows[newest], spend[newest]
        series, place = np.unique(rows["series"], return_inverse=True)

        def total(column: NDArray[np.integer]) -> Ints:
            sums = np.zeros(len(series), np.int64)
            np.add.at(sums, place, column.astype(np.int64))
            return sums

        return SeriesTotals(
            series,
            impressions=total(rows["impressions"]),
            clicks=total(rows["clicks"]),
            milliconversions=total(rows["milliconversions"]),
            spend_micros=total(spend),
        )


def last_of_each(series: NDArray[np.integer], tick: NDArray[np.integer]) -> Ints:
    """Return the places of the last row of every (series, tick), by series and tick."""
    order = np.lexsort((np.arange(len(series)), tick, series))
    sorted_series, sorted_tick = series[order], tick[order]
    differs = (sorted_series[1:] != sorted_series[:-1]) | (sorted_tick[1:] != sorted_tick[:-1])
    newest: Ints = order[np.append(differs, True)]
    return newest
