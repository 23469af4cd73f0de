r"""What a change is worth: the loss an hour of leaving a lever where it is.

The engine's bid is the most that a click is worth to a campaign, by its forecast, its goal and what
its budget allows now. With that bid in force the campaign buys each click offered below it. A lower
bid misses the clicks between the two, a higher one buys clicks for more than they are worth. With
a(x) clicks a second for each micro of bid between x and x + dx (the slope of the click curve),
leaving b₀ in force where b₁ is wanted loses, in micros a second,

    ∫ (b₁ - x) a(x) dx from b₀ to b₁  =  ½ · a · (b₁ - b₀)²   for an even slope a,

in either direction: the regret of a bid in a second-price market (Vickrey 1961; the same integral
bounds it from above where the winner pays his bid). A stop is a move to 0, a start one from 0. The
slope is clicks seen over bid · time (`Slopes`), drawn towards that of the ad account while an
entity has shown little. Where a platform steers by a target, the bid that it comes to is compared.

A loss is weighed by the forecast's confidence: what may be wrong anyway gains less by being moved.
An operation costs the same whatever it moves, so the queue is in the order of worth.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slopes", "budget_worth", "move_worth"]

Floats = NDArray[np.float64]

HALF_LIFE_S = 6 * 3600.0
PRIOR_CLICKS = 10.0
"""What is known of an entity counts as much as its ad account's mean once it had so many clicks."""
NOTHING_SEEN = 1e-9
"""Clicks a second for each micro of bid, where not one click has been seen in the ad account."""
LEAST_CONFIDENCE = 0.1


def move_worth(have: Floats, want: Floats, slope: Floats, confidence: Floats) -> Floats:
    """Return micros an hour that are lost while bids `have` are in force and not `want`."""
    trust = np.maximum(np.nan_to_num(confidence), LEAST_CONFIDENCE)
    regret: Floats = 0.5 * slope * (want - have) ** 2 * trust * 3600.0
    return regret


def budget_worth(
    have: Floats, want: Floats, spend_per_s: Floats, left_s: float, gain: Floats
) -> Floats:
    """Return micros an hour that are lost while daily budgets `have` are in force and not `want`.

    A budget matters as far as the day's spend comes to it: what would be spent above the lower of
    the two is money saved where `want` is lower, and brings `gain` a micro where it is higher.
    """
    day = spend_per_s * left_s
    at_stake = np.clip(day - np.minimum(have, want), 0.0, np.abs(want - have))
    # At its limit already: how much more it would spend is not known, so all that is offered.
    is_bound = (want > have) & (day >= 0.9 * have)
    at_stake = np.where(is_bound, want - have, at_stake)
    worth: Floats = at_stake * np.where(want > have, gain, 1.0) * 3600.0 / max(left_s, 3600.0)
    return worth


class Slopes:
    """Clicks a second for each micro of bid, of many entities; what is older counts for less."""

    def __init__(self, count: int = 0) -> None:
        self._clicks: Floats = np.zeros(count)
        self._exposure: Floats = np.zeros(count)  # bid · seconds

    def grow(self, count: int) -> None:
        """Have entities more, of which nothing is known."""
        more = (0, count - len(self._clicks))
        self._clicks = np.pad(self._clicks, more)
        self._exposure = np.pad(self._exposure, more)

    def saw(self, clicks: Floats, bids: Floats, seconds: float) -> None:
        """Count what came of bids (0: none in force) in the newest stretch of time."""
        keep = 0.5 ** (seconds / HALF_LIFE_S)
        self._clicks = self._clicks * keep + clicks
        self._exposure = self._exposure * keep + bids * seconds

    def slopes(self) -> Floats:
        """Return the slope of each entity, drawn towards the mean of all."""
        clicks, exposure = self._clicks.sum(), self._exposure.sum()
        if clicks <= 0 or exposure <= 0:
            return np.full(len(self._clicks), NOTHING_SEEN)
        mean = clicks / exposure
        # A Gamma prior with the mean's slope, worth PRIOR_CLICKS clicks: the posterior's mean.
        slopes: Floats = (self._clicks + PRIOR_CLICKS) / (self._exposure + PRIOR_CLICKS / mean)
        return slopes
