"""One round of one platform's auctions: who wins which slot, pays what, is shown, converts.

The rules are AuctionNet's (Su et al., NeurIPS 2024): three slots, each price the next bid below,
paid when shown; a slot is shown if the ones above were. Where the wins of a round cost more than
the budget still holds, wins are dropped at random until they fit.
"""

from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHOWN_GIVEN_ABOVE = (1.0, 0.8, 0.6)
EXPOSURE = (1.0, 0.8, 0.48)  # chance that each slot is shown
SMALLEST_BID = 1e-4
LOST = 3
T = TypeVar("T", bound=np.generic)


class Chances(msgspec.Struct, frozen=True, eq=False):
    """A uniform number per opportunity for each thing left to chance, the same for all policies."""

    second: Floats
    third: Floats
    conversion: Floats
    drop: Floats

    def between(self, start: int, end: int) -> "Chances":
        return Chances(
            second=self.second[start:end],
            third=self.third[start:end],
            conversion=self.conversion[start:end],
            drop=self.drop[start:end],
        )


class Result(msgspec.Struct, frozen=True, eq=False):
    """What came of a round: arrays over its opportunities, the cost and the expected conversions.

    `value` is the sum of the true values of what was shown: expected, not drawn, conversions.
    """

    bid: Floats
    won: NDArray[np.bool_]
    slot: NDArray[np.int64]
    price: Floats
    exposed: NDArray[np.bool_]
    converted: NDArray[np.bool_]
    cost: float
    value: float


def hold(
    bid: Floats,
    others: Floats,
    true_value: Floats,
    remaining: float,
    chances: Chances,
    *,
    first_price: bool,
) -> Result:
    """Holds the auctions of a round; all arrays are over its opportunities, `others` (n, 3)."""
    n = len(bid)
    # Most opportunities are lost: work on those won, and spread the answer at the end.
    at = np.flatnonzero((bid > others[:, 2]) & (bid > SMALLEST_BID))
    own, rivals = bid[at], others[at]
    slot = 2 - (own > rivals[:, 1]).astype(np.int64) - (own > rivals[:, 0])
    price = own.copy() if first_price else rivals[np.arange(len(at)), slot]
    second = chances.second[at] < SHOWN_GIVEN_ABOVE[1]
    third = chances.third[at] < SHOWN_GIVEN_ABOVE[2]
    exposed = (slot == 0) | (second & ((slot == 1) | third))
    kept = _kept(price * exposed, remaining, chances.drop[at])
    exposed &= kept
    converted = exposed & (chances.conversion[at] < true_value[at])
    return Result(
        bid=_spread(n, at, own * kept),
        won=_spread(n, at, kept),
        slot=_spread(n, at, np.where(kept, slot, LOST), LOST),
        price=_spread(n, at, price * kept),
        exposed=_spread(n, at, exposed),
        converted=_spread(n, at, converted),
        cost=float((price * exposed).sum()),
        value=float((true_value[at] * exposed).sum()),
    )


def _kept(cost: Floats, remaining: float, order: Floats) -> NDArray[np.bool_]:
    """Which wins stay: the excess share is dropped at random, over and over, until they fit."""
    kept = np.ones(len(cost), bool)
    total = float(cost.sum())
    if total <= remaining:
        return kept
    falling = np.argsort(order, kind="stable")  # dropped from the front: random, and repeatable
    dropped = 0
    while total > remaining and dropped < len(cost):
        over = (total - remaining) / (total + 1e-4)
        more = int(np.ceil((len(cost) - dropped) * over))
        kept[falling[dropped : dropped + more]] = False
        dropped += more
        total = float(cost[kept].sum())
    return kept


def _spread(n: int, at: NDArray[np.int64], values: NDArray[T], empty: int = 0) -> NDArray[T]:
    whole = np.full(n, empty, dtype=values.dtype)
    whole[at] = values
    return whole
