"""How good forecasts were: error against the naive one, and how often the interval held."""

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["Forecasts", "previous", "score"]

Floats = NDArray[np.float64]


class Forecasts(msgspec.Struct, frozen=True):
    """Forecasts of one measure against what came, each stretch weighing as its clicks.

    "Naive" says that the next stretch will be as the one before. Errors in the measure's own unit.
    """

    compared: int  # stretches with clicks, a forecast and a stretch before
    mae: float | None
    naive_mae: float | None
    relative: float | None  # mae / naive_mae: below 1 is better than naive
    covered: float | None  # share within the 95 % interval


def score(
    *, actual: Floats, forecast: Floats, low: Floats, high: Floats, naive: Floats, weight: Floats
) -> Forecasts:
    """Return the score of forecasts; NaN is "none" in every column."""
    known = np.isfinite(actual) & np.isfinite(forecast) & np.isfinite(naive) & (weight > 0)
    count = int(known.sum())
    if not count:
        return Forecasts(0, None, None, None, None)
    actual, weight = actual[known], weight[known]
    mae = float(np.average(np.abs(forecast[known] - actual), weights=weight))
    naive_mae = float(np.average(np.abs(naive[known] - actual), weights=weight))
    within = (low[known] <= actual) & (actual <= high[known])
    return Forecasts(
        compared=count,
        mae=mae,
        naive_mae=naive_mae,
        relative=mae / naive_mae if naive_mae > 0 else None,
        covered=float(np.average(within)),
    )


def previous(actual: Floats, series: NDArray[np.int64]) -> Floats:
    """Return the newest known value of each row's series before it; rows ascend by time.

    >>> previous(np.array([1.0, 5.0, np.nan, 2.0]), np.array([0, 1, 0, 0])).tolist()
    [nan, nan, 1.0, 1.0]
    """
    order = np.argsort(series, kind="stable")
    values, owner = actual[order], series[order]
    place = np.arange(len(values))
    newest = np.maximum.accumulate(np.where(np.isfinite(values), place, -1))
    before = np.concatenate([[-1], newest[:-1]]) if len(values) else newest
    is_own = (before >= 0) & (owner[np.maximum(before, 0)] == owner)
    found = np.full(len(values), np.nan)
    found[order] = np.where(is_own, values[np.maximum(before, 0)], np.nan)
    return found
