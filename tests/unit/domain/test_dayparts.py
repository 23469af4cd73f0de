"""Rules for hours of the week, and the hours that a flight has open."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from engine.domain.dayparts import DAYS, hours_of, open_hours, words_of


def at(text: str, zone: str = "Europe/Berlin") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("rule", "hours"),
    [
        ("mon 9-11", {9, 10}),
        ("mon 09:00-11:00", {9, 10}),
        ("SUN 22-2", {166, 167, 0, 1}),
        ("tue", set(range(24, 48))),
        ("sat,sun 0-1", {120, 144}),
        ("fri-mon 23-24", {119, 143, 167, 23}),
        ("daily 5-6", {5, 29, 53, 77, 101, 125, 149}),
    ],
)
def test_a_rule_names_hours_of_the_week(rule: str, hours: set[int]) -> None:
    assert hours_of(rule) == hours


@pytest.mark.parametrize("rule", ["", "weekdays", "mon 9", "mon 9-25", "mon 24-3", "mon 9:30-10"])
def test_a_rule_that_makes_no_sense_says_what_does(rule: str) -> None:
    with pytest.raises(ValueError, match="mon-fri 22-6"):
        hours_of(rule)


def test_equal_hours_are_refused_for_they_may_mean_all_or_nothing() -> None:
    with pytest.raises(ValueError, match="0-24 is the whole day"):
        hours_of("mon 5-5")


def test_a_row_holds_hour_by_hour_what_the_rules_name() -> None:
    rules = [f"{day} 3-4" for day in DAYS]
    words = words_of(rules)
    found = {hour for hour in range(192) if words[hour // 64] >> hour % 64 & 1}
    assert found == {day * 24 + 3 for day in range(7)}


@pytest.mark.parametrize(
    ("starts", "ends", "hours"),
    [
        ("2026-03-29", "2026-03-30", 22.0),  # 23 hours, and the one at two is the skipped one
        ("2026-10-25", "2026-10-26", 22.0),  # 25 hours, and the one at two comes twice
        ("2026-06-07", "2026-06-08", 22.0),
    ],
)
def test_open_hours_of_a_day_are_counted_by_the_clocks(
    starts: str, ends: str, hours: float
) -> None:
    rules = ["sun 2-3", "sun 9-10"]
    found = open_hours(rules, timezone="Europe/Berlin", starts_at=at(starts), ends_at=at(ends))
    assert found == hours


def test_a_flight_within_blocked_hours_has_none_open() -> None:
    found = open_hours(
        ["daily 0-12"],
        timezone="Europe/Berlin",
        starts_at=at("2026-06-07T01:00"),
        ends_at=at("2026-06-07T11:59"),
    )
    assert found == 0
