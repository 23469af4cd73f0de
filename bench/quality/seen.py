"""What a policy is shown, and no more: the border between the evaluator and whom it judges.

Every array handed over is a copy of one round: a view would reach the rest of the day by `.base`.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Goal = Literal["hard", "soft"]


class Platform(msgspec.Struct, frozen=True):
    """A campaign on a platform: who it is in the past days, and the scale of a day's traffic."""

    campaign: int
    expected_opportunities: float


class Brief(msgspec.Struct, frozen=True):
    """What an advertiser asks for a day: money, the target per conversion, where."""

    budget: float
    target_cpa: float
    rounds: int
    platforms: tuple[Platform, ...]


class Seen(msgspec.Struct, frozen=True, eq=False):
    """One platform's opportunities of the round now decided: predicted conversion, its error."""

    p: Floats
    sigma: Floats


class Shown(msgspec.Struct, frozen=True, eq=False):
    """What came of a round on one platform, over its n opportunities.

    `least_winning` is the lowest price that would have won a slot, shown for all; `price`, `slot`
    (0 to 2), `exposed` and `converted` tell of own wins (elsewhere 0, 3, False, False).
    """

    p: Floats
    least_winning: Floats
    bid: Floats
    won: Flags
    slot: NDArray[np.int64]
    price: Floats
    exposed: Flags
    converted: Flags
    cost: float


class PastCampaign(msgspec.Struct, frozen=True, eq=False):
    """One campaign on a past day, as its log has it: `p`, `sigma` (n,), `others` (n, 3)."""

    p: Floats
    sigma: Floats
    others: Floats


class PastDay(msgspec.Struct, frozen=True, eq=False):
    """A past day of one market: round t of a campaign is `bounds[t]:bounds[t + 1]`."""

    name: str
    bounds: NDArray[np.int64]
    campaigns: dict[int, PastCampaign]


class Policy(Protocol):
    """Decides a campaign's bids over a day: `decide`, then `observe` per platform, each round."""

    def start(self, brief: Brief) -> None: ...

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        """Returns a bid (money) for every opportunity of every platform; 0 is no bid."""

    def observe(self, t: int, platform: int, shown: Shown) -> None: ...


class Maker(Protocol):
    """Learns once from past days (none: cold), then makes a fresh policy for every campaign."""

    def __call__(self, *, goal: Goal, first_price: bool) -> Policy: ...


class Forecaster(Protocol):
    """Forecasts one platform's hourly CPC and CPM; told of an hour, asked about later ones."""

    def update(self, hour: int, cpc: float, cpm: float) -> None: ...

    def forecast(self, metric: int, horizon: int) -> float:
        """Returns CPC (0) or CPM (1) `horizon` hours after the newest hour; NaN while unknown."""


def copied(array: NDArray[np.float64], start: int, end: int) -> Floats:
    """A copy of one round that leads nowhere else."""
    return np.array(array[start:end])
