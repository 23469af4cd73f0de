"""Random numbers by address: a pure function of (seed, series, step, purpose), with no state.

A generator with a state would give other numbers after a restart, or once another campaign joins.
Here a series' luck in a step depends on nothing else, so that a market may be stopped, split or
joined without changing what happens to anybody. The idea is that of counter-based generators
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011); the mixing is SplitMix64's
(Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Floats",
    "Ints",
    "Keys",
    "binomial",
    "normal",
    "normal_cdf",
    "normal_quantile",
    "poisson",
    "uniform",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E3779B97F4A7C15
# Above this variance counts come from the normal distribution: one operation, not a sum.
_NORMAL_FROM = 16.0


def uniform(seed: int, keys: Keys, step: int, purpose: int) -> Floats:
    """Return one number in (0, 1) for each key."""
    base = _mix_int(_mix_int(_mix_int(seed & _MASK) ^ (step & _MASK)) ^ (purpose & _MASK))
    bits = _mix(_mix(keys ^ np.uint64(base)) + np.uint64(base))
    # 53 bits, in the middle of their cell: never 0 and never 1.
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, keys: Keys, step: int, purpose: int) -> Floats:
    """Return one standard normal number for each key."""
    return normal_quantile(uniform(seed, keys, step, purpose))


def poisson(mean: Floats, chance: Floats) -> Ints:
    """Return the Poisson counts whose distribution functions reach `chance`, a number in (0, 1)."""
    count = np.zeros(mean.shape, np.int64)
    large = mean > _NORMAL_FROM
    level = mean[large]
    rounded = np.floor(level + np.sqrt(level) * normal_quantile(chance[large]) + 0.5)
    count[large] = np.maximum(rounded, 0.0).astype(np.int64)
    small = np.flatnonzero(~large & (mean > 0.0))
    level = mean[small]
    count[small] = _invert(np.exp(-level), chance[small], lambda k, rows: level[rows] / k)
    return count


def binomial(trials: Ints, share: Floats, chance: Floats) -> Ints:
    """Return the binomial counts whose distribution functions reach `chance`, in 0 to `trials`."""
    share = np.clip(share, 0.0, 1.0)
    flipped = share > 0.5
    p = np.where(flipped, 1.0 - share, share)
    n = trials.astype(np.float64)
    mean, variance = n * p, n * p * (1.0 - p)
    count = np.zeros(trials.shape, np.int64)
    large = variance > _NORMAL_FROM
    level = mean[large] + np.sqrt(variance[large]) * normal_quantile(chance[large])
    count[large] = np.clip(np.floor(level + 0.5), 0.0, n[large]).astype(np.int64)
    small = np.flatnonzero(~large & (mean > 0.0))
    tries, odds = n[small], p[small] / (1.0 - p[small])
    none = np.exp(tries * np.log1p(-p[small]))
    found = _invert(none, chance[small], lambda k, rows: (tries[rows] - k + 1.0) / k * odds[rows])
    count[small] = np.minimum(found, trials[small])
    return np.where(flipped, trials - count, count)


def normal_quantile(share: Floats) -> Floats:
    """Return the standard normal quantiles (Acklam's rational fit, relative error 1.2e-9)."""
    low = np.minimum(share, 1.0 - share)
    tail = np.sqrt(-2.0 * np.log(np.minimum(low, 0.02425)))
    outer = _poly(_C, tail) / (_poly(_D, tail) * tail + 1.0)
    centred = share - 0.5
    square = centred * centred
    inner = centred * _poly(_A, square) / (_poly(_B, square) * square + 1.0)
    return np.where(low < 0.02425, np.where(centred < 0.0, outer, -outer), inner)


def normal_cdf(x: Floats) -> Floats:
    """Return the standard normal distribution (Abramowitz and Stegun 7.1.26, error 7.5e-8)."""
    scaled = np.abs(x) * (0.5**0.5)
    t = 1.0 / (1.0 + 0.3275911 * scaled)
    half = 0.5 * t * _poly(_E, t) * np.exp(-scaled * scaled)
    share: Floats = np.where(x < 0.0, half, 1.0 - half)
    return share


def _invert(first: Floats, chance: Floats, ratio: Callable[[float, Ints], Floats]) -> Ints:
    """Return the smallest counts whose distribution function reaches `chance`.

    `first` is the chance of none; `ratio(k, rows)` is P(k) / P(k - 1). The variance is small, so
    the loop ends after some dozens of turns, over ever fewer rows.
    """
    count = np.zeros(first.shape, np.int64)
    mass, reached = first.copy(), first.copy()
    rows = np.flatnonzero(reached < chance)
    k = 0
    while rows.size and k < 400:
        k += 1
        mass[rows] *= ratio(float(k), rows)
        reached[rows] += mass[rows]
        count[rows] = k
        rows = rows[(reached[rows] < chance[rows]) & (mass[rows] > 0.0)]
    return count


def _poly(coefficients: tuple[float, ...], x: Floats) -> Floats:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def _mix(bits: Keys) -> Keys:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def _mix_int(bits: int) -> int:
    bits = (bits + _GOLDEN) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


_A = (-39.69683028665376, 220.9460984245205, -275.9285104469687,
      138.3577518672690, -30.66479806614716, 2.506628277459239)  # fmt: skip
_B = (-54.47609879822406, 161.5858368580409, -155.6989798598866,
      66.80131188771972, -13.28068155288572)  # fmt: skip
_C = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838,
      -2.549732539343734, 4.374664141464968, 2.938163982698783)  # fmt: skip
_D = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416)
_E = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
