"""The naive rule: all money to the platform with the highest CVR/CPC, at a bid that never changes.

Many engines of this kind decide so. It is here to be compared with, on the same market and seed.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.domain.campaign import Definition, Strategy
from engine.market.market import Market, Sold

__all__ = ["NaiveRule", "worth_of"]

Ints = NDArray[np.int64]

_TRIED = 30  # clicks on each platform before one is chosen
_CVR = 0.02


class NaiveRule:
    """Hears what a market sold, and says bids and caps in the order of its series.

    It gets more than most engines of this kind have: each platform is tried for 30 clicks first,
    the bid is what a click at a CVR of 2 % is worth under the goal, it knows at once what was
    spent, and no budget is passed.
    """

    def __init__(self, definitions: Sequence[Definition], market: Market) -> None:
        self._market = market
        n = len(market.series)
        self._clicks, self._spend, self._conversions = (np.zeros(n) for _ in range(3))
        self._of: list[tuple[Definition, list[int]]] = []
        for definition in definitions:
            places = [market.place_of(definition.id, name) for name in definition.platforms]
            self._of.append((definition, [place for place in places if place is not None]))

    def hear(self, sold: Sold) -> None:
        """Count what a step sold."""
        self._clicks += sold.clicks
        self._spend += sold.spend_micros
        self._conversions += sold.conversions

    def decide(self, at_ms: int) -> tuple[Ints, Ints]:
        """Return bids and caps, in micros, one entry a series."""
        bids = np.zeros(len(self._clicks), np.int64)
        caps = np.zeros(len(self._clicks), np.int64)
        spent = self._market.books.spend_micros
        for definition, places in self._of:
            flight = definition.flight
            here = np.array(places)
            caps[here] = spent[here]
            if not flight.starts_at <= at_ms / 1000 < flight.ends_at:
                continue
            left = definition.budget_micros - int(spent[here].sum())
            daily = definition.guardrails.daily_cap_micros
            if daily is not None:
                left = min(left, daily - int(spent[here].sum()))
            clicks = self._clicks[here]
            if left <= 0:
                continue
            if (clicks < _TRIED).any():
                best = int(np.argmin(clicks))
            else:
                cpc = np.maximum(self._spend[here], 1.0) / clicks
                cvr = (self._conversions[here] + 1.0) / (clicks + 50.0)
                best = int(np.argmax(cvr / cpc))
            guardrails = definition.guardrails
            bid = round(worth_of(definition) * _CVR) or guardrails.min_bid_micros
            bid = min(max(bid, guardrails.min_bid_micros), guardrails.max_bid_micros)
            bids[here[best]] = bid
            caps[here[best]] += left
        return bids, caps


def worth_of(definition: Definition) -> float:
    """Return what a conversion may cost by the goal, in micros; 0 where it has no worth."""
    if definition.strategy is Strategy.MAXIMISE_REACH:
        return 0.0
    value = (definition.conversion_value_micros or 0) / (definition.target_roas or 1.0)
    cpa = definition.target_cpa_micros or 0
    return float(min(value, cpa) if value and cpa else value or cpa)
