"""Between what the market sold and the frames that report it."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.core.frames import MOST_ROWS, encode_frame
from engine.core.rows import SAMPLE_ROW
from engine.domain.ids import PARTITIONS
from engine.market.chance import Ints
from engine.market.landscape import Series
from engine.market.market import Sold
from engine.simulation.outbox import OutFrame

__all__ = ["Reporter", "rows_at_ms"]

_TICK_MS = 1


class Reporter:
    """Makes frames of what was sold: at most MOST_ROWS rows, of one partition and one unit.

    A series with a bid that won nothing still reports nothing won, every `silence_every` steps:
    silence is news to who set the bid.
    """

    def __init__(self, *, producer: int, silence_every: int = 5) -> None:
        self._producer = producer
        self._silence_every = silence_every
        self._sequence = [0] * PARTITIONS
        self._series: list[Series] = []
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._unit: Ints = np.zeros(0, np.int64)
        self._group: Ints = np.zeros(0, np.int64)

    def frames(self, sold: Sold, series: list[Series]) -> list[OutFrame]:
        """Return the frames of a step. The order of `series` is the order of `sold`."""
        self._learn(series)
        places = self._to_report(sold)
        places = places[np.argsort(self._group[places], kind="stable")]
        rows = self._rows(sold, places)
        groups = self._group[places]
        edges = np.flatnonzero(np.diff(groups)) + 1
        frames: list[OutFrame] = []
        for first, last in pairwise([0, *edges.tolist(), len(places)]):
            for start in range(first, last, MOST_ROWS):
                part = rows[start : min(start + MOST_ROWS, last)]
                frames.append(self._frame(part, series[int(places[start])]))
        return frames

    def _learn(self, series: list[Series]) -> None:
        """Keep the columns of series that have joined since the last step."""
        if len(series) == len(self._keys):
            return
        self._keys = np.array([one.key for one in series], np.uint64)
        self._unit = np.array([one.unit_micros for one in series], np.int64)
        partition = np.array([one.partition for one in series], np.int64)
        self._group = partition * 2**20 + self._unit

    def _to_report(self, sold: Sold) -> Ints:
        every = np.uint64(self._silence_every)
        turn = self._keys % every == np.uint64(sold.step % self._silence_every)
        news = (sold.impressions > 0) | (sold.conversions > 0)
        return np.flatnonzero(news | (sold.has_bid & turn))

    def _rows(self, sold: Sold, places: Ints) -> NDArray[np.void]:
        rows = np.zeros(len(places), SAMPLE_ROW)
        units, rest = np.divmod(sold.spend_micros[places], self._unit[places])
        rows["series"] = self._keys[places]
        rows["impressions"] = np.minimum(sold.impressions[places], 2**32 - 1)
        rows["spend_rest_micros"] = rest
        rows["tick"] = sold.at_ms // _TICK_MS % 2**32
        rows["clicks"] = sold.clicks[places]
        rows["milliconversions"] = sold.conversions[places] * 1000
        rows["spend_units"] = units
        return rows

    def _frame(self, rows: NDArray[np.void], series: Series) -> OutFrame:
        partition = series.partition
        self._sequence[partition] += 1
        sequence = self._sequence[partition]
        payload = encode_frame(
            partition,
            rows,
            producer=self._producer,
            sequence=sequence,
            unit_micros=series.unit_micros,
            tick_ms=_TICK_MS,
        )
        return OutFrame(partition, f"{self._producer:016x}-{partition}-{sequence}", payload)


def rows_at_ms(rows: NDArray[np.void], tick_ms: int, now_ms: int) -> Ints:
    """Return the end of each row's stretch in epoch milliseconds: the time nearest to now.

    Ticks are kept modulo 2**32, which at a millisecond is 49 days.
    """
    now = now_ms // tick_ms
    behind = (now - rows["tick"].astype(np.int64) + 2**31) % 2**32 - 2**31
    return (now - behind) * tick_ms
