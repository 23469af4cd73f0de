"""numpy: windows as one array, and nothing kept of them: each decision sums them anew.

The shortest of the fast programs, and it cannot drift. A sample is stored as the row of a design
matrix, (1, t, CVR, CPC) times the square root of its clicks: the product of a window with itself
then holds every sum that the lines need, and numpy multiplies many windows in one call.
"""

import numpy as np
from numpy.typing import NDArray

from bench.peers.numpy_sums import choose
from bench.peers.work import ANSWER, START_TICK, UNIT_MICROS, Terms, Work

PIECE = 1024  # slots whose windows lie in the cache together


class Peer:
    """A design matrix a slot."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.columns = work, terms.columns()
        self.windows = np.zeros((work.pool, work.window, 4))
        self.heads = np.zeros(work.pool, np.intp)
        self.spent = np.zeros(work.pool)  # of each slot
        self.answers = np.zeros(work.campaigns, ANSWER)

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        slots = rows["slot"].astype(np.intp)
        root = np.sqrt(rows["clicks"].astype(float))
        design = np.empty((len(rows), 4))
        design[:, 0] = root
        design[:, 1] = root * (rows["tick"] - float(START_TICK))
        design[:, 2] = rows["milliconversions"] / root
        design[:, 3] = rows["spend_units"] / root
        heads = self.heads[slots]
        self.windows[slots, heads % self.work.window] = design
        self.heads[slots] = heads + 1
        self.spent[slots] += rows["spend_units"] * float(UNIT_MICROS)

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        step = PIECE // self.work.platforms
        for begin in range(0, self.work.campaigns, step):
            part = slice(begin, min(begin + step, self.work.campaigns))
            slots = slice(part.start * self.work.platforms, part.stop * self.work.platforms)
            spent = self.spent[slots].reshape(-1, self.work.platforms).sum(axis=1)
            terms = [column[part] for column in self.columns]
            now, horizon = float(tick - START_TICK), float(self.work.step_ms)
            choose(now, horizon, self._sums(slots), spent, terms, self.answers[part])
        return self.answers

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        self.windows = np.tile(self.windows, (times, 1, 1))
        self.heads = np.tile(self.heads, times)
        self.spent = np.tile(self.spent, times)

    def _sums(self, slots: slice) -> list[NDArray[np.float64]]:
        windows = self.windows[slots]
        n = np.minimum(self.heads[slots], self.work.window).astype(float)
        product = windows.transpose(0, 2, 1) @ windows
        pairs = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (3, 3))
        return [n, *(product[:, row, column] for row, column in pairs)]
