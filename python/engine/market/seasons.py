"""What changes with time: the hours of a day, the days of a week, and slow drifts.

A drift is a function of time, not a walk that remembers where it was: a market that restarts
finds the world where it would have been.
"""

import math

import numpy as np

from engine.market import chance
from engine.market.chance import Floats, Keys
from engine.market.profiles import Profile

__all__ = ["DRIFT_OCTAVES", "Drift", "traffic"]

# Periods of the drift's parts in days, and their shares of its variance. Slow parts weigh more,
# as in a walk that is pulled back to its mean.
DRIFT_OCTAVES = ((1.7, 0.60), (0.45, 0.28), (0.12, 0.12))


def traffic(profile: Profile, day: float) -> float:
    """Return the traffic at a time in days, relative to a weekday's mean. Day 0 is a Monday.

    Two humps around the peak hours over a floor for the night, scaled to a mean of 1 over a day.
    """
    hour = day % 1.0 * 24.0
    weekend = profile.weekend if int(day % 7.0) >= 5 else 1.0
    humps = [_hump(hour - peak) for peak in profile.peak_hours]
    shape = sum(humps) / (len(humps) * _HUMP_MEAN)
    return weekend * (1.0 - profile.day_swing + profile.day_swing * shape)


class Drift:
    """Mean-reverting paths of variance 1, one for each key.

    A sum of smooth paths between normal heights at fixed times ("value noise"), one path for each
    of DRIFT_OCTAVES. Each is scaled so that its variance is the same at every time. The heights
    on both sides of the time last asked for are kept: the next is near.
    """

    def __init__(self, seed: int, keys: Keys, purpose: int) -> None:
        self._seed = seed
        self._keys = keys
        self._purpose = purpose
        self._heights: list[dict[int, Floats]] = [{} for _ in DRIFT_OCTAVES]

    def at(self, day: float) -> Floats:
        """Return where the paths are at a time in days."""
        total = np.zeros(self._keys.shape)
        for octave, (period, share) in enumerate(DRIFT_OCTAVES):
            knot = math.floor(day / period)
            between = day / period - knot
            # Weights with w0² + w1² = 1 keep the variance at 1 between the knots.
            before, after = math.cos(between * math.pi / 2), math.sin(between * math.pi / 2)
            height = self._around(octave, knot)
            total += math.sqrt(share) * (before * height[knot] + after * height[knot + 1])
        return total

    def _around(self, octave: int, knot: int) -> dict[int, Floats]:
        known, purpose = self._heights[octave], self._purpose * 8 + octave
        if knot not in known or knot + 1 not in known:
            self._heights[octave] = {
                one: known[one]
                if one in known
                else chance.normal(self._seed, self._keys, one, purpose)
                for one in (knot, knot + 1)
            }
        return self._heights[octave]


def _hump(hours: float) -> float:
    """Return a bell on the circle of 24 hours, about 7 hours wide (von Mises, κ = 2)."""
    return math.exp(2.0 * (math.cos(hours * math.pi / 12.0) - 1.0))


_HUMP_MEAN = sum(_hump(hour / 10.0) for hour in range(240)) / 240.0
