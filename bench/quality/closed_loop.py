"""The loop closed: the engine and the naive rule on one simulated market. Track D.

Everything runs through the public Book. The market answers to bids, so a policy meets the
consequences of what it does; chance is a function of the seed, the series and the step, so all
policies meet the same luck. What is won is counted as expected conversions of the clicks bought:
clicks times the market's true odds at that time, without the luck of the draw.

The market is the one of `engine demo`: second prices against log-normal rivals, which is what the
core's response curves assume as well. So it shows how the engine learns, paces and allocates, and
not how it fares where prices are made in another way; tracks A to C are auctions that were held.
"""

import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.closed_hindsight import (
    STEP_MS,
    Curves,
    Flight,
    flight_seconds,
    hindsight,
    is_reach,
    judge,
)
from engine.core.book import Book
from engine.domain.campaign import Campaign, Definition
from engine.domain.lifecycle import State
from engine.market.demo import demo_campaigns
from engine.market.landscape import series_of
from engine.market.market import Market, Sold
from engine.market.naive import NaiveRule
from engine.simulation.samples import Reporter

__all__ = ["POLICIES", "Outcome", "Scenario", "compare", "name_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

START = 1_700_000_000.0
INTERVAL_MS = 2000
_REPORT_STEPS_LATE = 1  # the newest step is still on its way when a round is decided


class Scenario(msgspec.Struct, frozen=True):
    """A market and the campaigns that meet it."""

    seed: int
    duration: float  # of the run, seconds
    day_seconds: float
    campaigns: int = 100


class Outcome(msgspec.Struct, frozen=True):
    """What came of all campaigns of a scenario under a policy."""

    policy: str
    scenario: Scenario
    flights: list[Flight]
    seconds: float  # in the policy
    curve: list[float]  # share of the budget spent, at even steps of the flight; mean campaign


class Policy(Protocol):
    """Hears of reports, and says bids and caps in the order of the market's series."""

    def hear(self, sold: Sold, market: Market) -> None: ...
    def decide(self, at_ms: int) -> tuple[Ints, Ints]: ...


class Engine:
    """The engine as it ships: one book."""

    def __init__(self, campaigns: Sequence[Campaign], market: Market) -> None:
        self._book = Book(interval_ms=INTERVAL_MS)
        self._book.put(campaigns)
        self._reporter = Reporter(producer=1)
        self._place = {one.key: i for i, one in enumerate(market.series)}
        self._order: Ints | None = None

    def hear(self, sold: Sold, market: Market) -> None:
        for frame in self._reporter.frames(sold, market.series):
            self._book.ingest(frame.payload)

    def decide(self, at_ms: int) -> tuple[Ints, Ints]:
        decided = self._book.decide(at_ms)
        if self._order is None:
            keys = decided.series["series"].tolist()
            self._order = np.argsort([self._place[key] for key in keys])
        rows = decided.series[self._order]
        return rows["bid_micros"].astype(np.int64), rows["cap_micros"].astype(np.int64)


class Naive:
    """The naive rule, told of clicks as late as the engine is."""

    def __init__(self, campaigns: Sequence[Campaign], market: Market) -> None:
        self._rule = NaiveRule([one.definition for one in campaigns], market)

    def hear(self, sold: Sold, market: Market) -> None:
        self._rule.hear(sold)

    def decide(self, at_ms: int) -> tuple[Ints, Ints]:
        return self._rule.decide(at_ms)


POLICIES: dict[str, type[Engine] | type[Naive]] = {"engine": Engine, "naive": Naive}


def name_of(scenario: Scenario) -> str:
    """Return the length of a run, and of the day in it, in seconds."""
    return f"{scenario.duration:.0f}/{scenario.day_seconds:.0f}"


def compare(scenario: Scenario) -> dict[str, Outcome]:
    """Run all policies through a scenario."""
    known: list[Curves] = []
    found = {}
    for policy in POLICIES:
        run = _Run(scenario, policy)
        run.play()
        known = known or run.hindsight()
        found[policy] = run.outcome(known)
    return found


class _Run:
    """One policy on one market, to the end."""

    def __init__(self, scenario: Scenario, policy: str) -> None:
        start_ms = round(START * 1000)
        self._scenario, self._policy = scenario, policy
        self._definitions = demo_campaigns(
            scenario.campaigns,
            seed=scenario.seed,
            now=START,
            duration=scenario.duration,
            day_seconds=scenario.day_seconds,
        )
        self._campaigns = [Campaign(one, State.ACTIVE, START) for one in self._definitions]
        self._market = market = Market(
            seed=scenario.seed,
            step_ms=STEP_MS,
            day_seconds=scenario.day_seconds,
            origin_ms=start_ms - round(scenario.day_seconds * 1000 / 3),
        )
        market.add(
            (series_of(one.id, name, one.currency), one.conversion_value_micros or 0)
            for one in self._definitions
            for name in one.platforms
        )
        self._player: Policy = POLICIES[policy](self._campaigns, market)
        place = {one.id: i for i, one in enumerate(self._definitions)}
        self._owner = np.array([place[one.campaign] for one in market.series])
        n = len(market.series)
        self._conversions, self._impressions = np.zeros(n), np.zeros(n)
        self._said = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._spent: list[Floats] = []
        self._times: list[float] = []
        self._seconds = 0.0
        self._first_step = market.step_at(start_ms) + 1
        self._rounds = round(scenario.duration * 1000) // INTERVAL_MS

    def play(self) -> None:
        """Let the policy decide, round after round, and the market sell."""
        market, at_ms = self._market, round(START * 1000)
        waiting: list[Sold] = []
        for _ in range(self._rounds):
            begun = time.perf_counter()
            while len(waiting) > _REPORT_STEPS_LATE:
                self._player.hear(waiting.pop(0), market)
            self._tell(*self._player.decide(at_ms))
            self._seconds += time.perf_counter() - begun
            for _ in range(INTERVAL_MS // STEP_MS):
                at_ms += STEP_MS
                step = market.step_at(at_ms)
                odds = market.truth(step).cvr
                sold = market.step(step)
                self._conversions += sold.clicks * odds
                self._impressions += sold.impressions
                waiting.append(sold)
            spend = np.zeros(len(self._definitions))
            np.add.at(spend, self._owner, market.books.spend_micros)
            self._spent.append(spend)
            self._times.append(at_ms / 1000)

    def hindsight(self) -> list[Curves]:
        """Return what each campaign could have bought."""
        last = self._first_step + self._rounds * INTERVAL_MS // STEP_MS
        return hindsight(self._campaigns, self._market, range(self._first_step, last))

    def outcome(self, known: Sequence[Curves]) -> Outcome:
        """Return what came of the campaigns, by what they could have bought."""
        spent, when = np.array(self._spent), np.array(self._times)
        flights, curves = [], []
        for i, one in enumerate(self._definitions):
            here = self._owner == i
            won = float(self._conversions[here].sum())
            shown = float(self._impressions[here].sum())
            found = judge(
                one,
                known[i],
                end=when[-1],
                spend=float(self._market.books.spend_micros[here].sum()),
                conversions=shown if is_reach(one) else won,
                spent=spent[:, i],
                when=when,
            )
            flights.append(found)
            curves.append(_against_plan(one, found, spent[:, i], when))
        return Outcome(
            policy=self._policy,
            scenario=self._scenario,
            flights=flights,
            seconds=self._seconds,
            curve=np.mean(np.array(curves), axis=0).round(4).tolist(),
        )

    def _tell(self, bids: Ints, caps: Ints) -> None:
        before_bids, before_caps = self._said
        for i in np.flatnonzero((bids != before_bids) | (caps != before_caps)).tolist():
            one = self._market.series[i]
            self._market.offer(
                one.campaign, one.platform, bid_micros=int(bids[i]), cap_micros=int(caps[i])
            )
        self._said = bids, caps


_POINTS = 40


def _against_plan(one: Definition, found: Flight, spent: Floats, when: Floats) -> Floats:
    """Return the share of the run's budget spent, at even steps of the run's part of the flight."""
    share = (when - one.flight.starts_at) / flight_seconds(one, when[-1])
    at = np.linspace(0.0, 1.0, _POINTS + 1)
    share, spent = np.concatenate([[0.0], share]), np.concatenate([[0.0], spent])
    found_at: Floats = np.interp(at, share, spent / max(found.budget, 1.0))
    return found_at
