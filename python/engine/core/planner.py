"""The planner of a campaign's day, over arrays: one shadow price, all platforms, every round.

Money is in units wherever it has to do with one opportunity (prices, bids, the shadow price), as a
price to beat may be a fraction of a micro's thousandfold; totals are integer micros. A unit is a
million micros unless `unit_micros` says otherwise.

>>> planner = Planner(None, budget_micros=100_000_000, target_micros=20_000_000,
...                   platforms=[(1, 10_000.0)])
>>> plan = planner.decide(0, [np.array([0.001, 0.02])])
>>> plan.shadow_price, plan.bound
(16.0, 'no-landscape')
>>> [round(float(bid), 3) for bid in plan.bids[0]]
[0.016, 0.32]
"""

from collections.abc import Sequence
from typing import Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine import _core

__all__ = ["History", "PastCampaign", "Plan", "Planner"]

_Floats = NDArray[np.float64]


class PastCampaign(msgspec.Struct, frozen=True):
    """One campaign's past day: its opportunities in the order of time."""

    identity: int  # the same on other days; below 2^64
    worths: NDArray[np.float32]  # forecast conversions of an exposure, one an opportunity
    prices: _Floats  # (opportunities, 3): the highest competing bids, highest first; or empty
    bounds: NDArray[np.uint32]  # where rounds begin, and at the end the number of opportunities


class History:
    """Past days, and what they teach: traffic, dayparts, prices, slots, levels, scenarios."""

    def __init__(
        self, *, rounds: int = 48, exposures: tuple[float, float, float] = (1.0, 0.8, 0.48)
    ) -> None:
        """Make an empty history. `exposures`: how likely each of three slots is seen."""
        self._core = _core.History(rounds=rounds, exposures=exposures)

    def add_day(self, campaigns: Sequence[PastCampaign]) -> None:
        """Add the newest day; beyond 60 the oldest is forgotten.

        Raises CoreError for what no day can have; the history is then as it was.
        """
        self._core.add_day(
            [
                (
                    campaign.identity,
                    np.ascontiguousarray(campaign.worths, "<f4").tobytes(),
                    np.ascontiguousarray(campaign.prices, "<f8").tobytes(),
                    np.ascontiguousarray(campaign.bounds, "<u4").tobytes(),
                )
                for campaign in campaigns
            ]
        )

    @property
    def days(self) -> int:
        """Return how many days are remembered."""
        return self._core.days

    @property
    def rounds(self) -> int:
        """Return how many rounds a day has."""
        return self._core.rounds

    @property
    def opportunities(self) -> float:
        """Return the mean opportunities of a campaign's day."""
        return self._core.opportunities

    @property
    def profile(self) -> list[float]:
        """Return each round's share of a day's traffic."""
        return self._core.profile

    @property
    def dayparts(self) -> list[int]:
        """Return the rounds at which dayparts begin, and at the end the number of rounds."""
        return self._core.dayparts

    def snapshot(self) -> bytes:
        """Return the whole history, checksummed."""
        return self._core.snapshot()

    @classmethod
    def restore(cls, snapshot: bytes) -> Self:
        """Return the history a snapshot was taken of. Raises CoreError where it is damaged."""
        history = cls.__new__(cls)
        history._core = _core.History.restore(snapshot)
        return history


class Plan(msgspec.Struct, frozen=True):
    """What is planned for a round, and until the end of the day."""

    shadow_price: float  # what the last conversion may cost, units of money
    bound: str  # "budget", "target-cpa", "pacing", "no-landscape", "spent" or "nothing"
    probability: float  # the share of scenarios in which that binds
    bids: tuple[_Floats, ...]  # by platform, one an opportunity, units of money; 0: no bid
    round_spend_micros: tuple[int, ...]  # the allocation: planned spend of this round by platform
    day_spend_micros: tuple[int, ...]  # planned spend of the day, what is spent included
    day_conversions: float  # expected of the day
    shadow_prices: _Floats  # those of the curves, units of money
    conversions: _Floats  # expected of the day at each shadow price: with `spend`, the Pareto front
    spend: _Floats  # expected spend of the day at each shadow price, units of money


class Planner:
    """One campaign's day on all its platforms.

    A plan is a pure function of the calls before it: same calls, same bits. Calls may come from
    several threads: they take turns, and work without the GIL. What is refused raises CoreError,
    and changes nothing.
    """

    def __init__(
        self,
        history: History | None,
        *,
        budget_micros: int,
        target_micros: int,
        platforms: Sequence[tuple[int, float]],
        goal: str = "hard",
        first_price: bool = False,
        pacing: tuple[float, float, float] | None = None,
        unit_micros: int = 1_000_000,
        rounds: int | None = None,
    ) -> None:
        """Make the planner of a day.

        `platforms`: identity in the history and the opportunities expected of a day, each.
        `goal`: "hard" (CPA at most the target), "soft" (what is over it counts less) or "budget".
        `target_micros`: target CPA, or for the goal "budget" what a conversion is worth, for scale.
        `pacing`: low, high and most: planned spend of a round within low to high of its share by
        traffic, for which the shadow price may move by the factor most.
        """
        if rounds is None:
            rounds = 48 if history is None else history.rounds
        self._core = _core.Planner(
            None if history is None else history._core,
            budget_micros=budget_micros,
            target_micros=target_micros,
            platforms=list(platforms),
            goal=goal,
            first_price=first_price,
            pacing=pacing,
            unit_micros=unit_micros,
            rounds=rounds,
        )

    def decide(
        self,
        round: int,  # noqa: A002 - the word of the trade
        worths: Sequence[ArrayLike],
        sigmas: Sequence[ArrayLike] | None = None,
        counts: Sequence[ArrayLike] | None = None,
    ) -> Plan:
        """Decide a round, later than the one before: all platforms under one shadow price.

        An array for each platform: worths (forecast conversions of an exposure), their standard
        deviations, and how many opportunities each stands for (1 where not given).
        """
        plan = self._core.decide(
            round,
            [_bytes(one) for one in worths],
            None if sigmas is None else [_bytes(one) for one in sigmas],
            None if counts is None else [_bytes(one) for one in counts],
        )
        return Plan(
            shadow_price=plan.shadow_price,
            bound=plan.bound,
            probability=plan.probability,
            bids=tuple(_floats(bids) for bids in plan.bids),
            round_spend_micros=tuple(plan.round_spend_micros),
            day_spend_micros=tuple(plan.day_spend_micros),
            day_conversions=plan.day_conversions,
            shadow_prices=_floats(plan.shadow_prices),
            conversions=_floats(plan.conversions),
            spend=_floats(plan.spend),
        )

    def observe(
        self,
        round: int,  # noqa: A002
        platform: int,
        *,
        prices: ArrayLike,
        worths: ArrayLike,
        bids: ArrayLike,
        paid: ArrayLike,
        won: ArrayLike,
        exposed: ArrayLike,
        cost_micros: int,
    ) -> None:
        """Take in what became of a round on a platform: arrays of one entry an opportunity.

        `prices`: the least price to beat, 0 where it was not told. `paid`: what an exposure costs,
        where won. `won`, `exposed`: booleans.
        """
        self._core.observe(
            round,
            platform,
            prices=_bytes(prices),
            worths=_bytes(worths),
            bids=_bytes(bids),
            paid=_bytes(paid),
            won=np.ascontiguousarray(won, np.bool_).tobytes(),
            exposed=np.ascontiguousarray(exposed, np.bool_).tobytes(),
            cost_micros=cost_micros,
        )

    def restate(
        self, platform: int, *, opportunities: float, conversions: float, spend_micros: int
    ) -> None:
        """Set what a platform has brought so far today, where reports tell totals."""
        self._core.restate(platform, opportunities, conversions, spend_micros)

    def set_budget(self, budget_micros: int) -> None:
        """Set what the day may spend, spend so far included."""
        self._core.set_budget(budget_micros)

    def snapshot(self) -> bytes:
        """Return what today has shown, checksummed; the history has a snapshot of its own."""
        return self._core.snapshot()

    @classmethod
    def restore(cls, history: History | None, snapshot: bytes) -> Self:
        """Return the planner a snapshot was taken of, with the history that it had.

        Raises CoreError where it is damaged.
        """
        planner = cls.__new__(cls)
        planner._core = _core.Planner.restore(None if history is None else history._core, snapshot)
        return planner


def _bytes(numbers: ArrayLike) -> bytes:
    return np.ascontiguousarray(numbers, "<f8").tobytes()


def _floats(numbers: bytes) -> _Floats:
    return np.frombuffer(numbers, "<f8")
