"""Definitions that cannot hold together are refused, and told which figure to move."""

from typing import Any

import pytest

from engine.domain.campaign import Definition, Flight, Guardrails, PlatformBounds
from engine.domain.feasibility import conflicts_of, days_of
from support.definitions import DAY, START, definition


def conflicts(**fields: Any) -> list[tuple[str, bool]]:  # noqa: ANN401
    return [(one.field, one.is_certain) for one in conflicts_of(definition(**fields))]


def text(**fields: Any) -> str:  # noqa: ANN401
    return "\n".join(map(str, conflicts_of(definition(**fields))))


def test_a_definition_that_makes_sense_has_no_conflict() -> None:
    assert conflicts() == []


def test_all_platforms_blocked_is_no_campaign() -> None:
    rails = Guardrails(blocked_platforms=("google", "meta"))
    assert conflicts(guardrails=rails) == [("guardrails.blocked_platforms", True)]
    assert conflicts(guardrails=Guardrails(blocked_platforms=("meta",))) == []


def test_every_hour_of_the_flight_blocked_is_no_campaign() -> None:
    flight = Flight(START, START + 3600)  # a Tuesday, 22:13 UTC
    rails = Guardrails(blocked_hours=("tue 20-24",))
    assert conflicts(flight=flight, guardrails=rails) == [("guardrails.blocked_hours", True)]
    later = Flight(START, START + 7200)
    assert conflicts(flight=later, guardrails=rails) == []
    always = Guardrails(blocked_hours=("daily",))
    assert conflicts(guardrails=always) == [("guardrails.blocked_hours", True)]


def test_daily_caps_too_low_for_the_least_spend_say_how_high_they_must_be() -> None:
    rails = Guardrails(daily_cap_micros=10_000_000)
    fields = {"guardrails": rails, "flight": Flight(START, START + 3 * DAY)}
    assert conflicts(min_spend_micros=50_000_000, **fields) == [
        ("guardrails.daily_cap_micros", True)
    ]
    found = text(min_spend_micros=50_000_000, **fields)
    assert "daily caps of at least 12.50" in found
    assert "a min_spend of at most 40.00" in found
    assert conflicts(min_spend_micros=40_000_000, **fields) == [
        ("guardrails.daily_cap_micros", False)
    ], "possible; but the budget of 100 is not"


def test_caps_of_platforms_count_together_where_each_has_one() -> None:
    capped = PlatformBounds(daily_cap_micros=5_000_000)
    both = {"google": capped, "meta": capped}
    assert conflicts(platforms=both, min_spend_micros=90_000_000) == [("platforms", True)]
    one = {"google": capped, "meta": PlatformBounds()}
    assert conflicts(platforms=one, min_spend_micros=90_000_000) == []


def test_a_least_spend_above_the_budget_is_refused() -> None:
    assert conflicts(min_spend_micros=100_000_001) == [("min_spend_micros", True)]


@pytest.mark.parametrize(
    ("min_bid", "is_certain"), [(3_900_000, False), (4_000_001, True), (800_000, None)]
)
def test_a_least_bid_is_held_against_the_target(min_bid: int, is_certain: bool | None) -> None:
    found = conflicts(target_cpa_micros=4_000_000, guardrails=Guardrails(min_bid_micros=min_bid))
    assert found == ([] if is_certain is None else [("guardrails.min_bid_micros", is_certain)])


def test_a_daily_cap_below_the_lowest_bid_buys_nothing() -> None:
    rails = Guardrails(min_bid_micros=2_000_000, daily_cap_micros=1_500_000)
    assert ("guardrails.daily_cap_micros", True) in conflicts(guardrails=rails)


def test_patience_beyond_the_flight_is_warned_of() -> None:
    assert conflicts(guardrails=Guardrails(hold_seconds=DAY)) == [
        ("guardrails.hold_seconds", False)
    ]
    rails = Guardrails(max_daily_change=0.04)
    assert conflicts(guardrails=rails) == [("guardrails.max_daily_change", False)]


@pytest.mark.parametrize(("seconds", "days"), [(1, 1), (DAY / 2, 2), (DAY, 2), (2 * DAY, 3)])
def test_days_are_those_that_a_flight_touches_in_its_time_zone(seconds: float, days: int) -> None:
    one: Definition = definition(timezone="America/New_York", flight=Flight(START, START + seconds))
    assert days_of(one) == days  # it begins at 17:13 there
