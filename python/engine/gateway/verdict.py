"""Whether a change has helped: the profit of the hours behind it against that of the hours before.

Hours are compared with the same hours of the day before, pair by pair, which takes the daily
rhythm out; the mean of the differences has a Student interval. Improved: all of it is above 0;
worse: all of it is below; otherwise nobody can say. Where something else was changed on the
entity in between, the two cannot be told apart, and nobody can say either. (A pair of days is no
experiment: a holiday looks like a change. An interval that excludes 0 is evidence and no proof.)
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["HOURS", "Judged", "judge"]

HOURS = 24
LEAST_PAIRS = 12
# Student's 95 % quantiles: two-sided intervals of 90 %.
_T95 = {12: 1.796, 16: 1.753, 20: 1.729, 24: 1.714}


class Judged(msgspec.Struct, frozen=True):
    """A verdict, and the difference in micros an hour with 90 % confidence."""

    verdict: str  # improved, worse, inconclusive
    low: float | None = None
    high: float | None = None
    hours: int = 0
    reason: str = ""


def judge(before: NDArray[np.float64], after: NDArray[np.float64], *, others: int = 0) -> Judged:
    """Return what became of a change; profits of paired hours, and how many other changes."""
    pairs = min(len(before), len(after))
    if pairs < LEAST_PAIRS:
        return Judged("inconclusive", hours=pairs, reason="too few hours")
    differences = after[:pairs] - before[:pairs]
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(pairs)
    reach = _T95[max(n for n in _T95 if n <= pairs)] * error
    low, high = mean - reach, mean + reach
    if others:
        return Judged("inconclusive", low, high, pairs, f"{others} other changes in that time")
    if low > 0:
        return Judged("improved", low, high, pairs)
    if high < 0:
        return Judged("worse", low, high, pairs)
    return Judged("inconclusive", low, high, pairs, "the difference may be chance")
