"""Some durations in four figures."""

from collections.abc import Sequence
from statistics import median

import msgspec

__all__ = ["Spread"]


class Spread(msgspec.Struct, frozen=True):
    """How many, and how they spread, in seconds."""

    count: int
    p50: float
    p90: float
    max: float

    @classmethod
    def of(cls, found: Sequence[float]) -> "Spread | None":
        if not found:
            return None
        ordered = sorted(found)
        p90 = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
        return cls(len(found), *(round(one, 4) for one in (median(found), p90, ordered[-1])))
