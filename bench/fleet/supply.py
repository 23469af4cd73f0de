"""Campaigns for a load, and the frames of samples that a producer sends for them."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.core.frames import encode_frame, producer_key
from engine.core.rows import SAMPLE_ROW
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.ids import PARTITIONS, partition_of, series_key
from engine.domain.lifecycle import State

__all__ = ["PLATFORMS", "Supply"]

PLATFORMS = ("amazon", "google", "meta", "tiktok")
UNIT_MICROS = 100
FLIGHT_S = 86_400.0


class Supply:
    """So many campaigns on four platforms, in the first `partitions`, and samples of theirs.

    Samples are drawn beforehand: to make a frame is to copy its rows and put times to them.
    """

    def __init__(self, campaigns: int, *, partitions: int = PARTITIONS, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._producer = producer_key(f"bench-{seed}")
        self._sequences = dict.fromkeys(range(partitions), 0)
        self.names = _names(campaigns, partitions)
        by_partition: dict[int, list[int]] = {partition: [] for partition in range(partitions)}
        for name in self.names:
            by_partition[partition_of(name)] += [series_key(name, one) for one in PLATFORMS]
        self._rows = {
            partition: self._drawn(np.array(keys, np.uint64))
            for partition, keys in by_partition.items()
            if keys
        }

    @property
    def partitions(self) -> list[int]:
        """Return the partitions that have campaigns."""
        return list(self._rows)

    def campaigns(self, now: float) -> Iterator[Campaign]:
        """Iterate the campaigns, their flights a third over."""
        flight = Flight(starts_at=now - FLIGHT_S / 2, ends_at=now + FLIGHT_S)
        platforms = {one: PlatformBounds() for one in PLATFORMS}
        for name in self.names:
            definition = Definition(
                id=name,
                currency="USD",
                budget_micros=100_000_000_000,
                flight=flight,
                platforms=platforms,
                conversion_value_micros=20_000_000,
            )
            yield Campaign(
                definition=definition, state=State.ACTIVE, changed_at=now, changed_by="bench"
            )

    def wave(self, at: float, *, rows: int) -> Iterator[tuple[int, int, bytes]]:
        """Iterate (partition, sequence, frame): one report of every series, in random order."""
        parts = [
            (partition, part)
            for partition, all_rows in self._rows.items()
            for part in _parts(self._random.permutation(len(all_rows)), rows)
        ]
        for number in self._random.permutation(len(parts)):
            partition, part = parts[number]
            yield self._frame(partition, self._rows[partition][part], at)

    def some(self, at: float, *, rows: int) -> tuple[int, int, bytes]:
        """Return (partition, sequence, frame) of a few series of one partition."""
        partition = self.partitions[int(self._random.integers(len(self._rows)))]
        all_rows = self._rows[partition]
        picked = self._random.integers(len(all_rows), size=rows)
        return self._frame(partition, all_rows[picked], at)

    def _frame(self, partition: int, rows: NDArray[np.void], at: float) -> tuple[int, int, bytes]:
        rows["tick"] = int(at * 1000) % 2**32
        self._sequences[partition] = sequence = self._sequences[partition] + 1
        frame = encode_frame(
            partition,
            rows,
            producer=self._producer,
            sequence=sequence,
            unit_micros=UNIT_MICROS,
        )
        return partition, sequence, frame

    def _drawn(self, series: NDArray[np.uint64]) -> NDArray[np.void]:
        """Return one report of each series: some clicks at 10 to 50 cents, 2 in 100 convert."""
        rows = np.zeros(len(series), SAMPLE_ROW)
        clicks = self._random.poisson(20, len(series))
        rows["series"] = series
        rows["clicks"] = clicks
        rows["impressions"] = clicks * 50
        rows["milliconversions"] = self._random.binomial(clicks, 0.02) * 1000
        rows["spend_units"] = clicks * self._random.integers(1_000, 5_000, len(series))
        return rows


def _names(count: int, partitions: int) -> Sequence[str]:
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = f"campaign-{number:07d}"
        if partition_of(name) < partitions:
            names.append(name)
        number += 1
    return names


def _parts(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
