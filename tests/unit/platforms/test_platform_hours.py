"""Hours by an ad account's clock: they fill every day of every zone, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.platforms.hours import dates_between, hour_stretch, local_hour, zone_of

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",  # clocks change at midnight
    "Asia/Kolkata",  # half an hour off
    "Asia/Kathmandu",  # a quarter
    "Australia/Lord_Howe",  # summer is half an hour
    "Pacific/Chatham",
]
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


@given(zone=st.sampled_from(ZONES), day=DAYS)
def test_the_hours_of_a_day_fill_it_without_gap_or_overlap(zone: str, day: date) -> None:
    here = ZoneInfo(zone)
    hours = [hour_stretch(day, hour, here) for hour in range(24)]
    assert all(hours[n][1] == hours[n + 1][0] for n in range(23))
    assert hours[23][1] == hour_stretch(day + timedelta(days=1), 0, here)[0]
    assert all(0 <= ends - begins <= 7200 for begins, ends in hours)


@given(
    zone=st.sampled_from(ZONES),
    at=st.integers(1_577_836_800, 2_082_758_400),
)
def test_a_time_lies_in_the_hour_that_its_clock_shows(zone: str, at: int) -> None:
    here = ZoneInfo(zone)
    begins, ends = hour_stretch(*local_hour(at, here), here)
    assert begins <= at < ends


@pytest.mark.parametrize(
    ("zone", "day", "hour", "seconds"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 2, 0),
        ("Europe/Berlin", date(2026, 10, 25), 2, 7200),
        ("Australia/Lord_Howe", date(2026, 4, 5), 1, 5400),
        ("Australia/Lord_Howe", date(2026, 10, 4), 2, 1800),
        ("America/Santiago", date(2026, 9, 6), 0, 0),
    ],
)
def test_hours_that_the_clocks_skip_are_empty_and_those_that_come_twice_are_long(
    zone: str, day: date, hour: int, seconds: int
) -> None:
    begins, ends = hour_stretch(day, hour, ZoneInfo(zone))
    assert ends - begins == seconds


def test_dates_are_the_ad_accounts_and_its_last_moment_counts() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    since = datetime(2026, 6, 1, 16, tzinfo=UTC).timestamp()  # 01:00 on the second
    assert dates_between(since, since + 1, tokyo) == (date(2026, 6, 2), date(2026, 6, 2))
    midnight = datetime(2026, 6, 3, tzinfo=tokyo).timestamp()
    assert dates_between(since, midnight, tokyo) == (date(2026, 6, 2), date(2026, 6, 2))
    assert dates_between(since, midnight + 1, tokyo) == (date(2026, 6, 2), date(2026, 6, 3))


def test_a_time_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="a time after 5 wanted, found 5"):
        dates_between(5, 5, ZoneInfo("UTC"))


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../../etc/passwd"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a time zone such as Europe/Berlin wanted"):
        zone_of(name)
