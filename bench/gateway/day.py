"""Days of a market whose bids are moved by a gate: the real book decides, the real gate picks.

Every ten minutes the book counts what the market sold and decides for all campaigns; in force on
platforms is what the gate has sent, no more. Entities begin with a bid that a person has set, with
more or less luck. Platforms keep to a campaign's budget and end by themselves, as they do with
lifetime budgets; nothing else is enforced for free.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.core.book import Book
from engine.domain.campaign import Campaign, Definition
from engine.domain.ids import series_key
from engine.domain.lifecycle import State
from engine.gateway.columns import Columns
from engine.gateway.desire import DesireSettings, desires, follow_bid
from engine.gateway.gate import Gate, HeldBack, Picked, pick, settle
from engine.gateway.purse import Purse
from engine.gateway.worth import Curves
from engine.market.demo import demo_campaigns
from engine.market.landscape import series_of
from engine.market.market import Market, Sold
from engine.simulation.samples import Reporter

__all__ = ["DAY_S", "Outcome", "Policy", "run"]

DAY_S = 86_400
DAYS = 3
STEP_S = 600
START_S = 1_699_920_000  # a midnight, UTC

Floats = NDArray[np.float64]


class Policy(NamedTuple):
    """Which changes go first, and how many there are in a day."""

    name: str
    a_day: int | None  # None: as many as are wanted
    by_worth: bool = True
    evenly: bool = True
    gate: Gate = Gate(least_readiness=0.0)


class Outcome(NamedTuple):
    """What a day brought."""

    profit_micros: int
    spend_micros: int
    conversions: int
    operations: int
    gate_ms: float  # a look at all entities, the median


EAGER = Gate(dead_band=0.0, hold_s=0.0, largest_rise=1e9, largest_fall=1.0, least_readiness=0.0)
UNLIMITED = Policy("every change at once", None, gate=EAGER)
NOBODY = Policy("nobody changes anything", 0)


class _Floor:
    """The campaigns, their book, the market and what is in force there."""

    def __init__(self, campaigns: int, seed: int) -> None:
        self.definitions = demo_campaigns(
            campaigns, seed=seed, now=float(START_S), duration=float(DAYS * DAY_S)
        )
        self.market = Market(seed=seed, step_ms=STEP_S * 1000, origin_ms=START_S * 1000)
        names = [(one, p) for one in self.definitions for p in one.platforms]
        self.market.add(
            (series_of(one.id, p, one.currency), one.conversion_value_micros or 0)
            for one, p in names
        )
        self.names = [(one.id, p) for one, p in names]
        self.budgets = np.array([one.budget_micros for one, _ in names], np.float64)
        self.ends_at = np.array([one.flight.ends_at for one, _ in names])
        self.book = Book(interval_ms=STEP_S * 1000)
        active = [Campaign(one, State.ACTIVE, 0.0) for one in self.definitions]
        self.book.put(active)
        keys = np.array([series_key(*name) for name in self.names], np.uint64)
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._reporter = Reporter(producer=1, silence_every=1)
        self.columns = _columns(names, seed)
        self.curves = Curves(len(names))

    def places(self, series: NDArray[np.uint64]) -> NDArray[np.int64]:
        return self._order[np.searchsorted(self._keys, series)]

    def offer(self, serving: Floats, bids: Floats, at_s: int) -> None:
        """Put in force what the platforms have."""
        on = (serving == 1.0) & (self.ends_at > at_s)
        offered = np.where(on, np.nan_to_num(bids), 0.0).astype(np.int64)
        self.market._bid[:] = offered
        spent = self.market.books.spend_micros
        self.market._cap[:] = np.where(self._left() > 0, spent + self._left(), spent)

    def _left(self) -> NDArray[np.int64]:
        """Return what each series may still spend: its share of what its campaign has left."""
        owner = self._owners
        spent = np.bincount(owner, self.market.books.spend_micros, minlength=owner.max() + 1)
        left = np.maximum(self.budgets - spent[owner], 0)
        return (left / np.bincount(owner)[owner]).astype(np.int64)

    @property
    def _owners(self) -> NDArray[np.int64]:
        found = getattr(self, "_owner", None)
        if found is None:
            ids = [name for name, _ in self.names]
            numbers = {name: i for i, name in enumerate(dict.fromkeys(ids))}
            found = self._owner = np.array([numbers[name] for name in ids], np.int64)
        return found

    def report(self, sold: Sold) -> None:
        for frame in self._reporter.frames(sold, self.market.series):
            self.book.ingest(frame.payload)
        bids = np.where(self.columns.serving == 1.0, np.nan_to_num(self.columns.steer), 0.0)
        n = self.columns.count
        spend = sold.spend_micros.astype(float)
        self.curves.saw(sold.clicks.astype(float), spend, bids[:n], float(STEP_S))
        weight = 0.3
        rate = sold.spend_micros / STEP_S
        self.columns.spend_per_s[:n] += weight * (rate - self.columns.spend_per_s[:n])
        self.columns.spent[:n] = self.market.books.spend_micros

    def decide(self, at_s: int) -> None:
        decided = self.book.decide(at_s * 1000)
        rows, c = decided.series, self.columns
        place = self.places(rows["series"])
        bid = rows["bid_micros"].astype(np.float64)
        follow_bid(c, place, bid, at=float(at_s))
        c.cap[place] = rows["cap_micros"]
        c.cpc[place], c.cvr[place], c.roi[place] = (
            rows["cpc_micros"], rows["cvr"], rows["roi_micros"],
        )  # fmt: skip
        c.confidence[place], c.bound_by[place] = rows["confidence"], rows["bound_by"]
        binding = np.repeat(decided.decisions["binding"], decided.decisions["series_count"])
        if len(binding) == len(rows):
            c.bound_by[place] = np.where(rows["bound_by"] > 0, rows["bound_by"], binding)


def run(policy: Policy, *, campaigns: int, seed: int) -> Outcome:
    """Return what a day brings under a policy. Same arguments, same day."""
    floor = _Floor(campaigns, seed)
    purse = Purse(a_day=policy.a_day, ahead=0.02 if policy.evenly else 1.0)
    purse.begin(float(START_S), day_s=float(DAY_S))
    wish = DesireSettings(off_after_s=0.0, lag_s=float(STEP_S), moves_budgets=False)
    first_wished: dict[tuple[int, int], int] = {}
    looks: list[float] = []
    operations = 0
    c = floor.columns
    for step in range(1, DAYS * DAY_S // STEP_S + 1):
        now = START_S + step * STEP_S
        day = (now - START_S) // DAY_S * DAY_S + START_S
        purse.begin(float(day), day_s=float(DAY_S))
        floor.offer(c.serving[: c.count], c.steer[: c.count], now - STEP_S)
        floor.report(floor.market.step(START_S // STEP_S + step))
        floor.decide(now)
        # Platforms know when a flight is over: nobody has to tell them.
        c.serving[: c.count][floor.ends_at <= now] = 0.0
        if policy.a_day == 0:
            continue
        began = time.perf_counter()
        halted = np.zeros(c.count, np.bool_)
        wanted = desires(c, now=float(now), day_left_s=1.0, is_halted=halted, settings=wish)
        allowed = purse.available(float(now)) if policy.by_worth else 2**31
        found = pick(
            c,
            wanted,
            now=float(now),
            day_left_s=1.0,
            curve=floor.curves.curve(c.bid[: c.count]),
            most=allowed,
            most_urgent=allowed,
            short_of=HeldBack.PURSE,
            settings=policy.gate,
        )
        looks.append(time.perf_counter() - began)
        chosen = range(len(found.place))
        if not policy.by_worth:
            chosen = _first_come(found, first_wished, step)[: purse.available(float(now))]
        for i in chosen:
            place, move = int(found.place[i]), int(found.move[i])
            settle(c, place, move, value=float(found.value[i]), result="applied", now=float(now))
            first_wished.pop((place, move), None)
        purse.spend(len(chosen))
        operations += len(chosen)
    books = floor.market.books
    return Outcome(
        profit_micros=int((books.value_micros - books.spend_micros).sum()),
        spend_micros=int(books.spend_micros.sum()),
        conversions=int(books.conversions.sum()),
        operations=operations,
        gate_ms=round(1000 * float(np.median(looks)), 2) if looks else 0.0,
    )


def _first_come(found: Picked, since: dict[tuple[int, int], int], step: int) -> Sequence[int]:
    """Return the wishes in the order in which they were first wished."""
    keys = list(zip(found.place.tolist(), found.move.tolist(), strict=True))
    for key in keys:
        since.setdefault(key, step)
    return sorted(range(len(keys)), key=lambda i: (since[keys[i]], keys[i]))


def _columns(names: list[tuple[Definition, str]], seed: int) -> Columns:
    """Return entities that serve, each with the bid that a person has set."""
    rng = np.random.default_rng([seed, 99])
    columns = Columns()
    for one, _ in names:
        place = columns.add()
        most = float(one.guardrails.max_bid_micros)
        columns.is_linked[place] = columns.may_run[place] = columns.is_known[place] = True
        columns.is_ours[place] = True
        columns.value[place] = one.conversion_value_micros or 0
        columns.least_bid[place], columns.most_bid[place] = one.guardrails.min_bid_micros, most
        columns.serving[place] = float(one.flight.starts_at <= START_S)
        columns.whole[place] = one.budget_micros
        # The most a campaign bids is twice what breaks even somewhere: people are below that.
        bid = most * 0.5 * float(np.exp(rng.normal(-0.4, 0.5)))
        columns.steer[place] = np.clip(np.floor(bid / 10_000) * 10_000, 10_000, most)
        columns.readiness[place] = 1.0
    return columns
