"""One campaign on three platforms for four days, through the public Book."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.core.book import Book
from engine.core.frames import FrameWriter
from engine.domain.campaign import Campaign, Definition, Flight, PlatformBounds
from engine.domain.lifecycle import State
from engine.domain.metrics import Sample
from engine.domain.prospect import Rate
from engine.market.landscape import Truth, series_of
from engine.market.market import Market
from engine.simulation.samples import Reporter

__all__ = ["PLATFORMS", "Run", "held_cvr", "run"]

Floats = NDArray[np.float64]

START = 1_700_006_400.0  # a Wednesday, midnight UTC
DAYS = 4
ROUND_MS = 120_000
PLATFORMS = ("google", "meta", "tiktok")
NAME = "spring-shoes"
BUDGET = 1_000.0
VALUE = 20.0


class Run(msgspec.Struct, frozen=True):
    """What was seen, a row a round; money in units of the currency, a column a platform."""

    hours: Floats  # since the flight began
    bids: Floats
    clicks: Floats
    spend: Floats
    settled: Floats  # of the campaign
    reserved: Floats
    multiplier: Floats
    cpc: list[list[Rate | None]]  # forecast before the round's reports
    clicks_an_hour: list[list[Rate | None]]
    truth: list[Truth]
    budget: float
    value: float


def definition() -> Definition:
    """Return the campaign."""
    return Definition(
        id=NAME,
        budget_micros=round(BUDGET * 1e6),
        flight=Flight(starts_at=START, ends_at=START + DAYS * 86_400),
        platforms={name: PlatformBounds() for name in PLATFORMS},
        conversion_value_micros=round(VALUE * 1e6),
    )


def run(*, seed: int) -> Run:
    """Let the book decide every two minutes and the market sell in between."""
    campaign = definition()
    book = Book(interval_ms=ROUND_MS)
    book.put([Campaign(campaign, State.ACTIVE, START)])
    market = Market(seed=seed, step_ms=ROUND_MS, day_seconds=86_400.0)
    market.add((series_of(NAME, name), round(VALUE * 1e6)) for name in PLATFORMS)
    reporter = Reporter(producer=1)
    keys = [one.key for one in market.series]
    rows: dict[str, list[object]] = {field: [] for field in Run.__struct_fields__}
    before = market.books.spend_micros.copy()
    for number in range(DAYS * 86_400_000 // ROUND_MS):
        at_ms = round(START * 1000) + number * ROUND_MS
        decided = book.decide(at_ms)
        by_key = {int(row["series"]): row for row in decided.series}
        bids = [int(by_key[key]["bid_micros"]) for key in keys]
        for name, key, bid in zip(PLATFORMS, keys, bids, strict=True):
            cap = int(by_key[key]["cap_micros"])
            market.offer(NAME, name, bid_micros=bid, cap_micros=cap)
        seen = [book.prospect(NAME, name, at_ms) for name in PLATFORMS]
        step = market.step_at(at_ms + ROUND_MS)
        truth = market.truth(step)
        sold = market.step(step)
        for frame in reporter.frames(sold, market.series):
            book.ingest(frame.payload)
        spend = market.books.spend_micros - before
        before = market.books.spend_micros.copy()
        row = {
            "hours": number * ROUND_MS / 3_600_000,
            "bids": [bid / 1e6 for bid in bids],
            "clicks": sold.clicks.tolist(),
            "spend": (spend / 1e6).tolist(),
            "settled": decided.settled_micros / 1e6,
            "reserved": decided.reserved_micros / 1e6,
            "multiplier": float(decided.decisions["pacing_multiplier"][0]),
            "cpc": [one.cpc_micros for one in seen],
            "clicks_an_hour": [one.clicks_an_hour for one in seen],
            "truth": truth,
        }
        for field, value in row.items():
            rows[field].append(value)
    lists = {"cpc", "clicks_an_hour", "truth"}
    arrays = {
        field: rows[field] if field in lists else np.array(rows[field], np.float64)
        for field in rows
        if field not in ("budget", "value")
    }
    return Run(**arrays, budget=BUDGET, value=VALUE)  # type: ignore[arg-type]


def held_cvr(clicks: int, conversions: int) -> tuple[float, float, float]:
    """Return what a new book holds of a CVR after one report, and the ends of its interval."""
    book = Book(interval_ms=2_000)
    book.put([Campaign(definition(), State.ACTIVE, START)])
    at_ms = round(START * 1000)
    book.decide(at_ms)
    sample = Sample(
        campaign=NAME,
        platform="google",
        at=START + 1,
        clicks=clicks,
        impressions=100 * clicks,
        conversions=float(conversions),
        spend_micros=clicks * 500_000,
    )
    for _, _, frame in FrameWriter(producer="how").write([sample], unit_micros=100):
        book.ingest(frame)
    found = book.prospect(NAME, "google", at_ms + 2_000).cvr
    return found.value, found.low, found.high or 1.0
