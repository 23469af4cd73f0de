"""The loop closed: the engine, the naive rule and hindsight on one simulated market.

Track D of the benchmark. Everything runs through the public Book. The market answers to bids, so a
policy meets the consequences of what it does; chance is a function of the seed, the series and the
step, so all policies meet the same luck. What is won is counted as expected conversions of the
clicks bought: clicks times the market's true odds at that time, without the luck of the draw.

    python -m bench.quality.closed_loop [--json] [--plot FILE]
"""

import argparse
import math
import sys
import time
from collections.abc import Sequence
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.book import Book
from engine.domain.campaign import Campaign, Definition, Strategy
from engine.domain.lifecycle import State
from engine.market.auction import auction
from engine.market.demo import demo_campaigns
from engine.market.landscape import Truth, series_of
from engine.market.market import Market, Sold
from engine.simulation.samples import Reporter

__all__ = ["Flight", "Outcome", "Scenario", "main", "run", "scenarios"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

START = 1_700_000_000.0
INTERVAL_MS = 2000
STEP_MS = 1000
_REPORT_STEPS_LATE = 1  # the newest step is still on its way when a round is decided


class Scenario(msgspec.Struct, frozen=True):
    """A market and the campaigns that meet it."""

    seed: int
    duration: float  # of the run, seconds
    day_seconds: float
    campaigns: int = 100


class Flight(msgspec.Struct, frozen=True):
    """What came of one campaign. Money in micros; what is won, as expected."""

    campaign: str
    strategy: str
    budget: float  # the part of it that falls into the run
    spend: float
    conversions: float
    value: float
    best_value: float  # the hindsight optimum under the same budget and goal
    cheapest: float  # the least that would have bought as much, in hindsight
    allowed_cost: float  # of one conversion, by the goal; inf: no bound
    pace_error: float  # root mean square of spend share against time share


class Outcome(msgspec.Struct, frozen=True):
    """What came of all campaigns of a scenario under a policy."""

    policy: str
    scenario: Scenario
    flights: list[Flight]
    seconds: float  # in the policy
    curve: list[float]  # spend against plan over the run, median campaign


class Policy(Protocol):
    """Hears of reports, and says bids and caps in the order of the market's series."""

    def hear(self, sold: Sold, market: Market) -> None: ...
    def decide(self, at_ms: int) -> tuple[Ints, Ints]: ...


class Engine:
    """The engine as it ships: one book."""

    name = "engine"

    def __init__(self, campaigns: Sequence[Campaign], market: Market) -> None:
        self._book = Book(interval_ms=INTERVAL_MS)
        self._book.put(campaigns)
        self._reporter = Reporter(producer=1)
        place = {one.key: i for i, one in enumerate(market.series)}
        self._place = place
        self._order: Ints | None = None
        self.rounds: list[NDArray[np.void]] = []

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
    """All money to the platform with the highest CVR/CPC so far, at a bid that never changes.

    The rule of many engines of this kind. It gets more than most of them have: each platform is
    tried for 30 clicks first, the bid is what a click at a CVR of 2 % is worth under the goal,
    and no budget is passed.
    """

    name = "naive"
    _TRIED = 30
    _CVR = 0.02

    def __init__(self, campaigns: Sequence[Campaign], market: Market) -> None:
        self._market = market
        n = len(market.series)
        self._clicks, self._spend, self._conversions = (np.zeros(n) for _ in range(3))
        self._of: list[tuple[Definition, list[int]]] = []
        for one in campaigns:
            definition = one.definition
            places = [market.place_of(definition.id, name) for name in definition.platforms]
            self._of.append((definition, [place for place in places if place is not None]))

    def hear(self, sold: Sold, market: Market) -> None:
        self._clicks += sold.clicks
        self._spend += sold.spend_micros
        self._conversions += sold.conversions

    def decide(self, at_ms: int) -> tuple[Ints, Ints]:
        bids = np.zeros(len(self._clicks), np.int64)
        caps = np.zeros(len(self._clicks), np.int64)
        spent = self._market.books.spend_micros  # it knows at once what the engine is told late
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
            if (clicks < self._TRIED).any():
                best = int(np.argmin(clicks))
            else:
                cpc = np.maximum(self._spend[here], 1.0) / clicks
                cvr = (self._conversions[here] + 1.0) / (clicks + 50.0)
                best = int(np.argmax(cvr / cpc))
            guardrails = definition.guardrails
            bid = round(worth_of(definition) * self._CVR) or guardrails.min_bid_micros
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


POLICIES = {"engine": Engine, "naive": Naive}


class Curves(msgspec.Struct, frozen=True):
    """What one campaign could have bought under one price of money, ascending by price."""

    cost: Floats
    won: Floats  # conversions; impressions where the goal is reach
    conversions: Floats


_PRICES = np.exp(np.linspace(math.log(0.01), math.log(4.0), 48))


def hindsight(campaigns: Sequence[Campaign], market: Market, steps: Sequence[int]) -> list[Curves]:
    """Return each campaign's frontier under the true market of its flight.

    With second prices and one price of money a bid in proportion to what a click is worth is
    optimal: every expected micro beyond it would buy less than elsewhere.
    """
    stride = max(len(steps) // 150, 1)
    cost, won, conversions = (np.zeros((len(_PRICES), len(market.series))) for _ in range(3))
    owner = {one.definition.id: one.definition for one in campaigns}
    of = [owner[one.campaign] for one in market.series]
    is_reach = np.array([one.strategy is Strategy.MAXIMISE_REACH for one in of])
    worth = np.array([worth_of(one) for one in of])
    reach_unit = np.array([float(one.guardrails.max_bid_micros) for one in of])
    most = np.array([one.guardrails.max_bid_micros for one in of], np.float64)
    begins = np.array([one.flight.starts_at for one in of]) * 1000
    ends = np.array([one.flight.ends_at for one in of]) * 1000
    for step in steps[stride // 2 :: stride]:
        truth = market.truth(step)
        middle = (step - 0.5) * STEP_MS
        inside = (begins <= middle) & (middle < ends)
        per_step = truth.opportunities_a_day * STEP_MS / 1000 / market.day_seconds * stride
        unit = np.where(is_reach, reach_unit * truth.ctr.min() / truth.ctr, worth * truth.cvr)
        for i, price in enumerate(_PRICES):
            odds = auction(truth, np.minimum(unit * price, most))
            shown = per_step * odds.share * inside
            clicks = shown * truth.ctr
            cost[i] += clicks * odds.cpc_micros
            conversions[i] += clicks * truth.cvr
            won[i] += np.where(is_reach, shown, clicks * truth.cvr)
    found = []
    for one in campaigns:
        places = [market.place_of(one.definition.id, name) for name in one.definition.platforms]
        here = [place for place in places if place is not None]
        found.append(Curves(*(table[:, here].sum(axis=1) for table in (cost, won, conversions))))
    return found


def scenarios(seeds: Sequence[int]) -> list[Scenario]:
    """Return the runs of the comparison: short and long flights, a day in a minute or in life."""
    return [
        Scenario(seed, duration, day)
        for duration, day in (
            (30.0, 30.0),
            (60.0, 60.0),
            (300.0, 300.0),
            (1800.0, 1800.0),
            (1800.0, 86_400.0),
        )
        for seed in seeds
    ]


def run(scenario: Scenario, policy: str, known: dict[Scenario, list[Curves]]) -> Outcome:
    """Run a policy through a scenario."""
    start_ms = round(START * 1000)
    definitions = demo_campaigns(
        scenario.campaigns,
        seed=scenario.seed,
        now=START,
        duration=scenario.duration,
        day_seconds=scenario.day_seconds,
    )
    campaigns = [Campaign(one, State.ACTIVE, START) for one in definitions]
    market = Market(
        seed=scenario.seed,
        step_ms=STEP_MS,
        day_seconds=scenario.day_seconds,
        origin_ms=start_ms - round(scenario.day_seconds * 1000 / 3),
    )
    market.add(
        (series_of(one.id, name, one.currency), one.conversion_value_micros or 0)
        for one in definitions
        for name in one.platforms
    )
    player = POLICIES[policy](campaigns, market)
    n = len(market.series)
    campaign_of = np.array([definitions_index(definitions)[s.campaign] for s in market.series])
    conversions, impressions = np.zeros(n), np.zeros(n)
    bids, caps = np.zeros(n, np.int64), np.zeros(n, np.int64)
    waiting: list[Sold] = []
    spent_over_time, times = [], []
    seconds, at_ms = 0.0, start_ms
    first_step = market.step_at(start_ms) + 1
    rounds = round(scenario.duration * 1000) // INTERVAL_MS
    for _ in range(rounds):
        begun = time.perf_counter()
        while len(waiting) > _REPORT_STEPS_LATE:
            player.hear(waiting.pop(0), market)
        new_bids, new_caps = player.decide(at_ms)
        seconds += time.perf_counter() - begun
        for i in np.flatnonzero((new_bids != bids) | (new_caps != caps)).tolist():
            one = market.series[i]
            market.offer(
                one.campaign,
                one.platform,
                bid_micros=int(new_bids[i]),
                cap_micros=int(new_caps[i]),
            )
        bids, caps = new_bids, new_caps
        for _ in range(INTERVAL_MS // STEP_MS):
            at_ms += STEP_MS
            step = market.step_at(at_ms)
            truth: Truth = market.truth(step)
            sold = market.step(step)
            conversions += sold.clicks * truth.cvr
            impressions += sold.impressions
            waiting.append(sold)
        spent_over_time.append(np.bincount(campaign_of, market.books.spend_micros, len(campaigns)))
        times.append(at_ms / 1000)
    steps = range(first_step, first_step + rounds * INTERVAL_MS // STEP_MS)
    if scenario not in known:
        known[scenario] = hindsight(campaigns, market, steps)
    frontier = known[scenario]
    table = np.array(spent_over_time)
    when = np.array(times)
    flights, curves = [], []
    for i, one in enumerate(definitions):
        here = campaign_of == i
        found = judge(
            one,
            frontier[i],
            end=when[-1],
            spend=float(market.books.spend_micros[here].sum()),
            conversions=float(conversions[here].sum()),
            won=float((impressions if is_reach(one) else conversions)[here].sum()),
            spent=table[:, i],
            when=when,
        )
        flights.append(found)
        share = np.clip((when - one.flight.starts_at) / flight_seconds(one, when[-1]), 0, 1)
        curves.append(table[:, i] / found.budget / np.maximum(share[-1], 1e-9))
    curve = np.median(np.array(curves), axis=0)
    return Outcome(policy, scenario, flights, seconds, curve.round(4).tolist())


def definitions_index(definitions: Sequence[Definition]) -> dict[str, int]:
    return {one.id: i for i, one in enumerate(definitions)}


def is_reach(definition: Definition) -> bool:
    return definition.strategy is Strategy.MAXIMISE_REACH


def flight_seconds(definition: Definition, end: float) -> float:
    return min(definition.flight.ends_at, end) - definition.flight.starts_at


def judge(
    definition: Definition,
    curves: Curves,
    *,
    end: float,
    spend: float,
    conversions: float,
    won: float,
    spent: Floats,
    when: Floats,
) -> Flight:
    """Set what a campaign won against the frontier of its flight."""
    flight = definition.flight
    length = flight.ends_at - flight.starts_at
    part = min(flight_seconds(definition, end) / length, 1.0)
    budget = definition.budget_micros * part
    daily = definition.guardrails.daily_cap_micros
    budget = min(budget, float(daily)) if daily is not None else budget
    allowed = worth_of(definition) or math.inf
    fits = (curves.cost <= budget) & (
        curves.cost <= allowed * np.maximum(curves.conversions, 1e-12)
    )
    last = int(np.flatnonzero(fits).max(initial=0))
    best = float(curves.won[last])
    if (
        last + 1 < len(curves.cost)
        and allowed * curves.conversions[last + 1] >= curves.cost[last + 1]
    ):
        best = float(np.interp(budget, curves.cost, curves.won))
    inside = (when >= flight.starts_at) & (when <= flight.ends_at)
    due = np.clip((when - flight.starts_at) / length, 0.0, 1.0) * definition.budget_micros
    error = (spent - due)[inside] / budget
    return Flight(
        campaign=definition.id,
        strategy=definition.strategy.value,
        budget=budget,
        spend=spend,
        conversions=won,
        value=won
        * (1.0 if is_reach(definition) else float(definition.conversion_value_micros or allowed)),
        best_value=best
        * (1.0 if is_reach(definition) else float(definition.conversion_value_micros or allowed)),
        cheapest=float(np.interp(won, curves.won, curves.cost)),
        allowed_cost=allowed,
        pace_error=float(np.sqrt(np.mean(error**2))) if inside.any() else 0.0,
    )


def summary(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Return the figures of some outcomes together; a campaign weighs as much as any other."""
    flights = [one for outcome in outcomes for one in outcome.flights]
    paid = [one for one in flights if one.strategy != "maximise-reach"]
    spend = np.array([one.spend for one in flights])
    money = np.array([one.spend for one in paid])
    value = np.array([one.value for one in paid])
    best = np.array([one.best_value for one in paid])
    allowed = np.array([one.allowed_cost for one in paid])
    won = np.array([one.conversions for one in paid])
    cpa = money / np.maximum(won, 1e-9)
    kept = np.minimum(1.0, (allowed / np.maximum(cpa, 1e-9)) ** 2)
    reach = [one for one in flights if one.strategy == "maximise-reach"]
    budget = np.array([one.budget for one in flights])
    cheapest = np.array([one.cheapest for one in flights])
    ok = best > 0
    feasible = best > 0.02 * np.array([one.budget for one in paid])
    return {
        "won": float((value[ok] / best[ok]).mean()),
        "score": float(np.minimum(value[ok] * kept[ok] / best[ok], 2).mean()),
        "won_pooled": float(value.sum() / best.sum()),
        "reach": float(np.mean([one.conversions / max(one.best_value, 1e-9) for one in reach])),
        "spend": float((spend / budget).mean()),
        "roas": float(value.sum() / max(money.sum(), 1.0)),
        "profit": float((value - money).sum() / budget.sum()),
        "over_goal": float((cpa > 1.05 * allowed)[feasible].mean()),
        "waste": float((1.0 - np.minimum(cheapest / np.maximum(spend, 1.0), 1.0)).mean()),
        "pace": float(np.mean([one.pace_error for one in flights])),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.quality.closed_loop", description=__doc__)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--policies", default="engine,naive")
    parser.add_argument("--only", default="")
    parser.add_argument("--dump", default="")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    outcomes = []
    known: dict[Scenario, list[Curves]] = {}
    for scenario in scenarios([int(seed) for seed in options.seeds.split(",")]):
        name = f"{scenario.duration:.0f}s/{scenario.day_seconds:.0f}"
        if options.only and options.only not in name:
            continue
        outcomes += [run(scenario, policy, known) for policy in options.policies.split(",")]
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        name = f"{one.scenario.duration:.0f}s/{one.scenario.day_seconds:.0f}"
        groups.setdefault((name, one.policy), []).append(one)
        groups.setdefault(("all", one.policy), []).append(one)
    head = None
    for (name, policy), some in groups.items():
        row = summary(some)
        if head is None:
            head = "  ".join(f"{key:>10}" for key in row)
            print(f"{'':22}{head}")
        figures = "  ".join(f"{value:10.3f}" for value in row.values())
        print(f"{name:>12} {policy:8} {figures}  {sum(o.seconds for o in some):.1f} s")
    if options.dump:
        with open(options.dump, "wb") as file:
            file.write(msgspec.msgpack.encode(outcomes, enc_hook=float))
    return 0


if __name__ == "__main__":
    sys.exit(main())
