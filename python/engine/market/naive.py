"""The naive rule: all money to the platform with the highest CVR/CPC, at a bid that never changes.

Many engines of this kind decide so. It is here to be compared with, on the same market and seed.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.domain.campaign import Definition, Strategy
from engine.market.landscape import series_of
from engine.market.market import Market, Sold

__all__ = ["NaiveRule", "Played", "play_naive", "worth_of"]

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


class Played(msgspec.Struct, frozen=True):
    """What the naive rule spent and won, in all, and by the end of each of its rounds."""

    at: tuple[float, ...]  # epoch seconds
    spend_micros: tuple[int, ...]
    value_micros: tuple[int, ...]
    conversions: int


def play_naive(
    definitions: Sequence[Definition],
    *,
    seed: int,
    step_ms: int,
    day_seconds: float,
    origin_ms: int,
    from_ms: int,
    to_ms: int,
    interval_ms: int,
) -> Played:
    """Let the naive rule play campaigns on a copy of a market: the same seed, steps and luck.

    Deterministic, and only arithmetic: some milliseconds a round for 200 campaigns.
    """
    market = Market(seed=seed, step_ms=step_ms, day_seconds=day_seconds, origin_ms=origin_ms)
    market.add(
        (series_of(one.id, name, one.currency), one.conversion_value_micros or 0)
        for one in definitions
        for name in one.platforms
    )
    rule = NaiveRule(definitions, market)
    step, at_ms = market.step_at(from_ms), from_ms
    at: list[float] = []
    spend: list[int] = []
    value: list[int] = []
    while at_ms < to_ms:
        bids, caps = rule.decide(at_ms)
        for one, bid, cap in zip(market.series, bids.tolist(), caps.tolist(), strict=True):
            market.offer(one.campaign, one.platform, bid_micros=bid, cap_micros=cap)
        at_ms = min(at_ms + interval_ms, to_ms)
        while step < market.step_at(at_ms):
            step += 1
            rule.hear(market.step(step))
        at.append(at_ms / 1000)
        spend.append(int(market.books.spend_micros.sum()))
        value.append(int(market.books.value_micros.sum()))
    won = int(market.books.conversions.sum())
    return Played(tuple(at), tuple(spend), tuple(value), won)
