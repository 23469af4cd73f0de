"""Logs of platform reports, made up but orderly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.backtest.log import Log
from support.definitions import START

__all__ = ["HOUR", "HOUR_MS", "hourly"]

HOUR = 3600.0
HOUR_MS = 3_600_000


def hourly(
    campaigns: Sequence[str],
    *,
    hours: int,
    clicks_exponent: float = 1.0,
    cost_exponent: float = 0.7,
    spread: float = 0.3,
    cvr: float = 0.05,
) -> Log:
    """Return a log from START on: google and meta, by the hour, bids moved about by `spread`."""
    random = np.random.Generator(np.random.PCG64(1))
    names = sorted(campaigns)
    shape = (hours, len(names), 2)
    moved = np.exp(spread * random.standard_normal(shape))
    season = 1 + 0.5 * np.sin(np.arange(hours) / 24 * 2 * np.pi)[:, None, None]
    usual = np.array([0.8, 0.5])
    clicks = random.poisson(60 * season * moved**clicks_exponent)
    cpc = 0.6 * usual * moved**cost_exponent
    grid = np.indices(shape).reshape(3, -1)

    def flat(values: NDArray[np.floating]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.rint(values.reshape(-1)).astype(np.int64)
        return found

    return Log(
        campaigns=tuple(names),
        platforms=("google", "meta"),
        campaign=grid[1],
        platform=grid[2],
        at_ms=round(START * 1000) + (grid[0] + 1) * HOUR_MS,
        impressions=flat(clicks * 20.0),
        clicks=flat(clicks * 1.0),
        milliconversions=flat(random.poisson(clicks * cvr) * 1000.0),
        spend_micros=flat(clicks * cpc * 1e6),
        bid_micros=flat(usual * moved * 1e6),
    )
