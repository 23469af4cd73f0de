r"""What a change is worth: the loss an hour of leaving a lever where it is.

The engine's bid is the most that a click is worth to a campaign, by its forecast, its goal and what
its budget allows now. With that bid in force the campaign buys each click offered below it. A lower
bid misses the clicks between the two, a higher one buys clicks for more than they are worth. With
N(x) clicks a second at bid x, leaving b₀ in force where b₁ is wanted loses, in either direction,

    ∫ (b₁ - x) dN(x), b₀ to b₁  =  N₀ · (b₁ · (t^ε - 1) - ε/(1+ε) · b₀ · (t^(1+ε) - 1))

micros a second, where t = b₁/b₀ and N(x) = N₀ (x/b₀)^ε: the regret of a bid in a second-price
market (Vickrey 1961; it bounds the loss from above where the winner pays his bid). The elasticity
ε follows from what clicks cost: on such a curve they cost r = ε/(1+ε) of the bid on average. Who
pays a tenth of the bid has bought nearly all there is, and loses little by bidding still more.
For ε = 1 it is half the slope times the square of the difference. A stop is a move to 0, a start
one from 0.

N and r are as seen lately at the bids that were in force (`Curves`), drawn towards those of the
ad account while an entity has shown little. Where a platform steers by a target, the bid that it
comes to is compared. A loss is weighed by the forecast's confidence: what may be wrong anyway
gains less by being moved. An operation costs the same whatever it moves, so the queue is in the
order of worth.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curve", "Curves", "budget_worth", "move_worth"]

Floats = NDArray[np.float64]

HALF_LIFE_S = 6 * 3600.0
PRIOR_CLICKS = 10.0
"""What is known of an entity counts as much as its ad account's mean once it had so many clicks."""
NOTHING_SEEN = 1e-6
"""Clicks a second, where not one click has been seen in the ad account."""
LEAST_CONFIDENCE = 0.1
LEAST_PAID, MOST_PAID = 0.05, 0.8
"""Of a bid, on average: bounds of r, an elasticity of 0.05 to 4."""


class Curve(NamedTuple):
    """Clicks a second at a bid, and what share of the bid a click costs; one entry a place."""

    clicks: Floats
    bid: Floats
    paid: Floats


def move_worth(have: Floats, want: Floats, curve: Curve, confidence: Floats) -> Floats:
    """Return micros an hour that are lost while bids `have` are in force and not `want`."""
    trust = np.maximum(np.nan_to_num(confidence), LEAST_CONFIDENCE)
    lost = _gain(want, want, curve) - _gain(have, want, curve)
    worth: Floats = np.maximum(lost, 0.0) * trust * 3600.0
    return worth


def _gain(bid: Floats, value: Floats, curve: Curve) -> Floats:
    """Return what clicks bought at `bid` are worth, at `value` each, less what they cost."""
    elasticity = curve.paid / (1.0 - curve.paid)
    with np.errstate(divide="ignore", invalid="ignore"):
        clicks = curve.clicks * (np.maximum(bid, 0.0) / curve.bid) ** elasticity
    gain: Floats = np.nan_to_num(clicks * (value - curve.paid * bid))
    return gain


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


class Curves:
    """What came of bids, of many entities; what is older counts for less."""

    def __init__(self, count: int = 0) -> None:
        self._sums: Floats = np.zeros((4, count))  # clicks, spend, bid · seconds, seconds

    def grow(self, count: int) -> None:
        """Have entities more, of which nothing is known."""
        self._sums = np.pad(self._sums, ((0, 0), (0, count - self._sums.shape[1])))

    def saw(self, clicks: Floats, spend: Floats, bids: Floats, seconds: float) -> None:
        """Count what came of bids (0: none in force) in the newest stretch of time."""
        keep = 0.5 ** (seconds / HALF_LIFE_S)
        on = np.where(bids > 0, seconds, 0.0)
        self._sums = self._sums * keep + np.stack([clicks, spend, bids * seconds, on])

    def curve(self, bids: Floats) -> Curve:
        """Return the curve of each entity; `bids`: where to put those that have shown nothing."""
        clicks, spend, exposure, seconds = self._sums
        total, on = float(clicks.sum()), float(seconds.sum())
        mean = max(total / on, NOTHING_SEEN) if on > 0 else NOTHING_SEEN
        # A Gamma prior of so many clicks at the ad account's rate: the posterior's mean.
        rate = (clicks + PRIOR_CLICKS) / (seconds + PRIOR_CLICKS / mean)
        with np.errstate(divide="ignore", invalid="ignore"):
            at = np.where(seconds > 0, exposure / seconds, np.maximum(np.nan_to_num(bids), 1.0))
            share = spend.sum() / max(float((clicks * at).sum()), 1.0)
            paid = (spend + PRIOR_CLICKS * at * share) / ((clicks + PRIOR_CLICKS) * at)
        return Curve(rate, at, np.clip(paid, LEAST_PAID, MOST_PAID))
