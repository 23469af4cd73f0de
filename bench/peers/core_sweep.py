"""The core, through its Python API: `engine.core.sweep`."""

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import UNIT_MICROS, Terms, Work
from engine.core.sweep import SWEEP_DECISION_ROW, SWEEP_PLAN_ROW, Sweep


class Peer:
    """A sweep, and the one array that it writes to."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work = work
        self.sweep = Sweep(
            work.campaigns,
            platforms=work.platforms,
            window=work.window,
            unit_micros=UNIT_MICROS,
        )
        plans = np.zeros(work.campaigns, SWEEP_PLAN_ROW)
        names = ("value_micros", "max_bid_micros", "budget_micros", "starts_at_ms", "ends_at_ms")
        for name, column in zip(names, terms.columns(), strict=True):
            plans[name] = column
        self.sweep.set_plans(plans)
        self.answers = np.zeros(work.campaigns, SWEEP_DECISION_ROW)
        self._filling: list[NDArray[np.void]] = []

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        self.sweep.ingest(rows)
        if len(rows) <= self.work.pool < self.work.slots:
            self._filling.append(rows)

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return what has the fields of an ANSWER for every campaign, for one step after `tick`."""
        self.sweep.decide(tick, horizon_ms=self.work.step_ms, out=self.answers)
        return self.answers

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        for rows in self._filling:
            for _ in range(1, times):
                rows["slot"] += np.uint64(self.work.pool)
                self.sweep.ingest(rows)
        self._filling.clear()
