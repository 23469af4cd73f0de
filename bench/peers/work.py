"""The work that every peer is given: one seed, so each gets the same samples in the same order.

A **step** is one sample for every campaign on every platform, in random order, and then a decision
for every campaign. Histories repeat every 4,000 slots, which no peer knows or profits from: it lets
a million campaigns begin with full windows in seconds (`Peer.repeat`).
"""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.rows import SWEEP_SAMPLE_ROW

POOL = 4000
"""So many slots differ; those after them repeat them."""
UNIT_MICROS = 100
"""What a unit of spend is worth."""
START_TICK = 1_000_000
"""In milliseconds, as all ticks here."""

# What a decision is, in all peers. `README.md` has the formulas.
ANSWER = np.dtype(
    [
        ("bid_micros", "<i8"),
        ("score_micros", "<f4"),  # of the platform chosen, as the next three
        ("cpc_micros", "<f4"),
        ("cvr", "<f4"),
        ("confidence", "<f4"),
        ("pacing", "<f4"),
        ("best", "<i4"),
    ]
)  # 32 bytes

_PARTS = ["tick", "clicks", "milliconversions", "spend_units"]


class Terms(msgspec.Struct, frozen=True):
    """What campaigns want, a column each."""

    value_micros: NDArray[np.float64]  # of one conversion
    most_micros: NDArray[np.float64]  # the highest bid
    budget_micros: NDArray[np.float64]
    starts_ms: NDArray[np.float64]  # of the flight
    ends_ms: NDArray[np.float64]

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """Return the five, in this order."""
        return (
            self.value_micros,
            self.most_micros,
            self.budget_micros,
            self.starts_ms,
            self.ends_ms,
        )


class Work(msgspec.Struct, frozen=True):
    """How much of it, and of which seed."""

    campaigns: int
    platforms: int = 4
    window: int = 64
    step_ms: int = 2000
    seed: int = 1
    clicks: int = 0  # the same in every sample; 0: 20 to 119 of them

    @property
    def slots(self) -> int:
        """Return how many windows there are; campaign c has those from c x platforms on."""
        return self.campaigns * self.platforms

    @property
    def pool(self) -> int:
        """Return how many of them differ."""
        return min(self.slots, POOL)

    @property
    def begins(self) -> int:
        """Return the first step after those that fill the windows."""
        return 2 * self.window

    def tick(self, step: int) -> int:
        """Return the time of a step."""
        return START_TICK + step * self.step_ms

    def terms(self) -> Terms:
        """Return what the campaigns want."""
        rng = np.random.default_rng([self.seed, 1])
        starts_ms = START_TICK - rng.integers(0, 200_000, self.campaigns)
        lasts_ms = rng.integers(800_000, 1_600_000, self.campaigns)

        def micros(low: float, high: float) -> NDArray[np.float64]:
            return np.floor(rng.uniform(low, high, self.campaigns))

        return Terms(
            value_micros=micros(10e6, 40e6),
            most_micros=micros(0.3e6, 2e6),
            budget_micros=micros(30e9, 90e9),
            starts_ms=starts_ms.astype(float),
            ends_ms=(starts_ms + lasts_ms).astype(float),
        )

    def in_order(self, step: int) -> NDArray[np.void]:
        """Return a step's rows in the order of the slots of the pool: how windows are filled."""
        return self._rows(step, np.arange(self.pool, dtype=np.uint64))

    def shuffled(self, step: int) -> NDArray[np.void]:
        """Return a step's rows, one for each slot in random order."""
        order = np.arange(self.slots, dtype=np.uint64)
        np.random.default_rng([self.seed, 2, step]).shuffle(order)
        return self._rows(step, order)

    def _rows(self, step: int, slots: NDArray[np.uint64]) -> NDArray[np.void]:
        samples = self._samples(step)
        rows = np.zeros(len(slots), SWEEP_SAMPLE_ROW)
        rows["slot"] = slots
        rows[_PARTS] = samples[slots % np.uint64(self.pool)]
        return rows

    def _samples(self, step: int) -> NDArray[np.void]:
        """Return the samples of a step, one for each slot of the pool."""
        levels = np.random.default_rng([self.seed, 3])
        cpc = levels.uniform(2000, 9000, self.pool)
        cvr = levels.uniform(0.01, 0.06, self.pool)
        trend = levels.uniform(-0.003, 0.003, self.pool)
        rng = np.random.default_rng([self.seed, 4, step])
        clicks = rng.integers(20, 120, self.pool) if self.clicks == 0 else self.clicks
        samples = np.zeros(self.pool, SWEEP_SAMPLE_ROW)[_PARTS]
        samples["tick"] = self.tick(step)
        samples["clicks"] = clicks
        samples["milliconversions"] = 1000 * rng.binomial(clicks, cvr)
        drift = 1 + trend * (step % 128)
        samples["spend_units"] = clicks * cpc * drift * rng.lognormal(0, 0.1, self.pool)
        return samples


class Peer(Protocol):
    """One way to do the work. Written to be read beside the others."""

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times: for the start, untimed."""
