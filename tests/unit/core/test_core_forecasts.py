"""Forecasts as Python sees them: one truth, shown and decided by, with what it rests on."""

import json

import msgspec
import pytest

from engine import _core
from engine.core.book import Book
from engine.domain.decision import Condition
from support.definitions import START, campaign, frame, report

START_MS = round(START * 1000)


def heard(rounds: int, *, clicks: int = 50, conversions: float = 1.0) -> Book:
    """Return a book that heard of as many rounds, and decided them."""
    book = Book()
    book.put([campaign(budget_micros=10_000_000_000)])
    for number in range(rounds):
        at = START + 2 * number
        rows = [
            report(
                "spring-shoes",
                "google",
                at=at,
                clicks=clicks,
                conversions=conversions,
                spend_micros=clicks * (300_000 + 1_000 * (number % 7)),
            )
        ]
        book.ingest(frame(25, rows, sequence=number))
        book.decide(round(at * 1000) + 500)
    return book


def test_one_click_that_converted_is_no_hundred_percent_and_is_marked_thin() -> None:
    found = heard(1, clicks=1).prospect("spring-shoes", "google", START_MS + 1000)
    assert found.raw_cvr == 1.0
    assert found.cvr.low < found.cvr.value < 0.1
    assert found.condition is Condition.THIN
    assert found.confidence.value < 0.01
    assert found.cvr.by == "model"


def test_what_is_shown_is_what_the_decision_went_by() -> None:
    book = heard(40)
    decided = book.decide(START_MS + 80_500)
    found = book.forecast("spring-shoes", "google", START_MS + 80_500)
    google = decided.series[0]
    assert found.cpc_micros is not None
    assert (google["cpc_micros"], google["cvr"]) == (found.cpc_micros.value, found.cvr.value)
    assert google["confidence"] == found.confidence
    assert _core.CONDITIONS[google["condition"]] == found.condition
    assert google["roi_micros"] == pytest.approx(
        found.cvr.value * 20_000_000 - found.cpc_micros.value
    )


def test_many_conversions_bring_the_cvr_to_their_own_and_leave_room_for_those_to_come() -> None:
    found = heard(60, clicks=100, conversions=5.0).prospect(
        "spring-shoes", "google", START_MS + 120_000
    )
    # Two minutes of a day's flight cannot rule out that some of 5 % come late.
    assert 0.05 <= found.cvr.value < 0.065
    assert found.cvr.high is not None
    assert 0.5 * found.cvr.value < found.cvr.low < found.cvr.value < found.cvr.high < 0.1
    assert found.conversions > 150
    assert found.condition is not Condition.THIN


def test_a_forecast_goes_through_json_with_its_parts() -> None:
    found = heard(20).prospect("spring-shoes", "google", START_MS + 40_000)
    plain = json.loads(json.dumps(msgspec.to_builtins(found)))
    parts = plain["confidence"]
    product = parts["sample_size"] * parts["age"] * parts["spread"] * parts["completeness"]
    assert parts["value"] == pytest.approx(product)
    ways = {way.lower() for way in _core.METHODS}
    for rate in ("cpc_micros", "cvr", "reported_cvr", "clicks_an_hour"):
        assert plain[rate]["by"] in ways
        assert plain[rate]["low"] <= plain[rate]["value"] <= plain[rate]["high"]


def test_what_is_not_known_is_none_and_no_number() -> None:
    book = Book()
    book.put([campaign()])
    found = book.prospect("spring-shoes", "google", START_MS)
    assert (found.cpc_micros, found.raw_cvr, found.clicks_an_hour) == (None, None, None)
    assert found.confidence.value == 0.0
    first = heard(1).prospect("spring-shoes", "google", START_MS)
    assert first.clicks_an_hour is not None
    assert first.clicks_an_hour.high is None, "nothing has erred yet: no interval"


def test_a_restored_book_forecasts_the_same() -> None:
    book = heard(30)
    again = Book.restore(book.snapshot())
    at_ms = START_MS + 61_000
    for platform in ("google", "meta"):
        assert again.prospect("spring-shoes", platform, at_ms) == book.prospect(
            "spring-shoes", platform, at_ms
        )
