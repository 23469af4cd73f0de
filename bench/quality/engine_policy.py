"""The engine's own planner and forecaster as entrants: the public Python API, nothing else."""

import math
from collections.abc import Sequence

import numpy as np

from bench.quality.auction import EXPOSURE
from bench.quality.forecasts import HORIZONS, METRICS
from bench.quality.seen import Brief, Floats, Goal, Maker, PastDay, Policy, Seen, Shown
from engine.core.planner import History, PastCampaign, Planner
from engine.core.seasonal import SeasonalForecaster

MICROS = 1_000_000
MOST_CAMPAIGNS = 1024  # of a past day, by the core


class EnginePolicy:
    """A campaign's day by `engine.core.planner`; the shadow price is solved anew each round."""

    def __init__(self, *, history: History | None, goal: Goal, first_price: bool) -> None:
        self._history, self._goal, self._first_price = history, goal, first_price
        self._planner: Planner | None = None

    def start(self, brief: Brief) -> None:
        self._planner = Planner(
            self._history,
            budget_micros=_micros(brief.budget),
            target_micros=_micros(brief.target_cpa),
            platforms=[(one.campaign, one.expected_opportunities) for one in brief.platforms],
            goal=self._goal,
            first_price=self._first_price,
            rounds=brief.rounds,
        )

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        plan = self._started().decide(t, [one.p for one in seen], [one.sigma for one in seen])
        return plan.bids

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        self._started().observe(
            t,
            platform,
            prices=shown.least_winning,
            worths=shown.p,
            bids=shown.bid,
            paid=shown.price,
            won=shown.won,
            exposed=shown.exposed,
            cost_micros=_micros(shown.cost),
        )

    def _started(self) -> Planner:
        if self._planner is None:
            raise RuntimeError("a policy is started before its first round")
        return self._planner


class EngineForecaster:
    """`engine.core.seasonal` on CPC and CPM of one exchange together."""

    def __init__(self) -> None:
        self._forecaster = SeasonalForecaster(series=len(METRICS), horizons=list(HORIZONS))

    def update(self, hour: int, cpc: float, cpm: float) -> None:
        self._forecaster.update(hour, [cpc, cpm])

    def forecast(self, metric: int, horizon: int) -> float:
        expected = self._forecaster.forecast(metric, horizon)
        return math.nan if expected is None else expected.value


def teach(past: Sequence[PastDay], rounds: int) -> Maker:
    """Has the engine learn from past days, once for all campaigns; none: it starts cold."""
    history: History | None = None
    if past:
        history = History(rounds=rounds, exposures=EXPOSURE)
        for day in past:
            history.add_day(
                [
                    PastCampaign(
                        identity=identity,
                        worths=line.p.astype(np.float32),
                        prices=line.others,
                        bounds=day.bounds.astype(np.uint32),
                    )
                    for identity, line in list(day.campaigns.items())[:MOST_CAMPAIGNS]
                ]
            )

    def make(*, goal: Goal, first_price: bool) -> Policy:
        return EnginePolicy(history=history, goal=goal, first_price=first_price)

    return make


def _micros(money: float) -> int:
    return round(money * MICROS)
