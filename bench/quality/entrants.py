"""Who takes part: the engine's planner and forecaster, and what they are measured against."""

from collections.abc import Callable, Sequence

import msgspec

from bench.quality.baselines import (
    DualMirrorDescent,
    FixedBid,
    ProportionalPacing,
    traffic_profile,
)
from bench.quality.forecasts import LastDayLine, SeasonalRls
from bench.quality.rhdp_theta import Lessons, RhdpTheta
from bench.quality.seen import Forecaster, Goal, Maker, PastDay, Policy

Teach = Callable[[Sequence[PastDay], int], Maker]
ENGINE = "engine"


class Entrant(msgspec.Struct, frozen=True):
    """A policy and the forecaster that counts for its Q; `teach` learns once from past days."""

    name: str
    says: str
    teach: Teach
    forecaster: str
    has_goals: bool = True


def teach_fixed_bid(past: Sequence[PastDay], rounds: int) -> Maker:
    def make(*, goal: Goal, first_price: bool) -> Policy:
        return FixedBid()

    return make


def teach_dual_descent(past: Sequence[PastDay], rounds: int) -> Maker:
    profile = traffic_profile(past, rounds)

    def make(*, goal: Goal, first_price: bool) -> Policy:
        return DualMirrorDescent(profile=profile)

    return make


def teach_pacing(past: Sequence[PastDay], rounds: int) -> Maker:
    profile = traffic_profile(past, rounds)

    def make(*, goal: Goal, first_price: bool) -> Policy:
        return ProportionalPacing(profile=profile)

    return make


def teach_rhdp_theta(past: Sequence[PastDay], rounds: int) -> Maker:
    lessons = {first: Lessons(past, rounds, first_price=first) for first in (False, True)}

    def make(*, goal: Goal, first_price: bool) -> Policy:
        return RhdpTheta(lessons=lessons[first_price], goal=goal)

    return make


def teach_engine(past: Sequence[PastDay], rounds: int) -> Maker:
    # Imported here: the baselines can be measured without a built core.
    from bench.quality.engine_policy import teach

    return teach(past, rounds)


def engine_forecaster() -> Forecaster:
    from bench.quality.engine_policy import EngineForecaster

    return EngineForecaster()


ENTRANTS = {
    entrant.name: entrant
    for entrant in (
        Entrant(ENGINE, "the engine's planner and forecaster", teach_engine, ENGINE),
        Entrant("rhdp-theta", "numpy prototype, RLS", teach_rhdp_theta, "rls-reference"),
        Entrant("dual-descent", "dual mirror descent, tuned", teach_dual_descent, "ols-24h", False),
        Entrant("pacing", "proportional pacing, CPA cap", teach_pacing, "ols-24h", False),
        Entrant("fixed-bid", "bid = target CPA x p", teach_fixed_bid, "ols-24h", False),
    )
}
FORECASTERS: dict[str, Callable[[], Forecaster]] = {
    ENGINE: engine_forecaster,
    "rls-reference": SeasonalRls,
    "ols-24h": LastDayLine,
}
BASE_FORECASTER = "ols-24h"
