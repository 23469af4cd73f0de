"""Guardrails and accounts through the book, as a definition says them."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from engine.core.book import Book, CoreError, midnights_ms, offsets_ms
from engine.domain.accounts import Account, Share
from engine.domain.campaign import Campaign, Flight, Guardrails
from engine.domain.decision import Action, Binding
from support.definitions import START, campaign, frame, report

BERLIN = ZoneInfo("Europe/Berlin")
START_MS = int(START * 1000)


def bindings(book: Book, at: float) -> list[Binding]:
    return [Binding(code) for code in book.decide(round(at * 1000)).decisions["binding"].tolist()]


def book_of(*campaigns: Campaign) -> Book:
    book = Book(window=8)
    book.put(campaigns)
    return book


@pytest.mark.parametrize(
    ("timezone", "year"),
    [("Europe/Berlin", 2026), ("America/New_York", 2026), ("Australia/Lord_Howe", 2026),
     ("Asia/Kathmandu", 2026), ("UTC", 2026), ("America/Sao_Paulo", 2018)],
)  # fmt: skip
def test_offsets_are_what_the_zone_says_at_every_quarter_of_an_hour(
    timezone: str, year: int
) -> None:
    table, zone = list(offsets_ms(timezone, year)), ZoneInfo(timezone)
    assert table == sorted(table)
    at_ms, offset_ms = midnights_ms(timezone, year)[0], table[0][1]
    while at_ms < midnights_ms(timezone, year)[-1]:
        while table and table[0][0] <= at_ms:
            offset_ms = table.pop(0)[1]
        wanted = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
        assert wanted == timedelta(milliseconds=offset_ms), at_ms
        at_ms += 900_000
    assert not table


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_blocked_hours_go_by_the_clocks_of_both_switches(
    day: tuple[int, int, int], hours: int
) -> None:
    midnight = datetime(*day, tzinfo=BERLIN)
    begins = midnight.timestamp()
    assert (midnight + timedelta(days=1)).timestamp() - begins == hours * 3600
    rails = Guardrails(blocked_hours=("sun 2-3", "sun 22-24"))
    flight = Flight(begins - 86_400, begins + 172_800)
    book = book_of(campaign(timezone="Europe/Berlin", guardrails=rails, flight=flight))
    for minute in range(0, hours * 60, 10):
        at = begins + minute * 60
        local = datetime.fromtimestamp(at, BERLIN)
        is_blocked = bindings(book, at) == [Binding.DAY_PART]
        assert is_blocked == (local.hour in (2, 22, 23)), local


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_a_daily_cap_lasts_as_long_as_its_day_does(day: tuple[int, int, int], hours: int) -> None:
    midnight = datetime(*day, tzinfo=BERLIN).timestamp()
    flight = Flight(midnight - 86_400, midnight + 172_800)
    rails = Guardrails(daily_cap_micros=5_000_000)
    book = book_of(campaign("c", timezone="Europe/Berlin", guardrails=rails, flight=flight))
    bindings(book, midnight + 1)
    spent = report("c", "google", at=midnight + 2, spend_micros=5_000_000)
    book.ingest(frame(0, [spent], sequence=1))
    for hour in range(1, hours):
        assert bindings(book, midnight + hour * 3600 - 1) == [Binding.DAILY_CAP], hour
    assert bindings(book, midnight + hours * 3600 - 1) == [Binding.DAILY_CAP]
    assert bindings(book, midnight + hours * 3600) != [Binding.DAILY_CAP]


def test_blocked_hours_of_a_flight_that_began_years_ago_go_by_the_clocks_of_now() -> None:
    summer = datetime(2026, 7, 1, tzinfo=BERLIN).timestamp()
    flight = Flight(datetime(2020, 1, 15, tzinfo=BERLIN).timestamp(), summer + 86_400)
    rails = Guardrails(blocked_hours=("daily 2-3",), daily_cap_micros=5_000_000)
    old = campaign("c", timezone="Europe/Berlin", guardrails=rails, flight=flight)
    book = book_of(msgspec.structs.replace(old, changed_at=summer - 86_400))
    blocked = [
        hour for hour in range(24) if bindings(book, summer + hour * 3600 + 1) == [Binding.DAY_PART]
    ]
    assert blocked == [2]


def test_a_report_counts_to_the_day_its_stretch_ends_in_however_late_it_comes() -> None:
    midnight = (START // 86_400 + 1) * 86_400
    rails = Guardrails(daily_cap_micros=5_000_000)
    flight = Flight(START, START + 3 * 86_400)
    book = book_of(campaign("c", guardrails=rails, flight=flight))
    bindings(book, midnight - 60)
    bindings(book, midnight + 60)
    yesterday = report("c", "google", at=midnight - 1, spend_micros=4_990_000)
    book.ingest(frame(0, [yesterday], sequence=1))
    assert bindings(book, midnight + 62) != [Binding.DAILY_CAP], "it was yesterday's money"
    today = report("c", "google", at=midnight + 61, spend_micros=4_995_000)
    book.ingest(frame(0, [today], sequence=2))
    assert bindings(book, midnight + 64) == [Binding.DAILY_CAP]
    less = report("c", "google", at=midnight - 1, spend_micros=0)
    book.ingest(frame(0, [less], sequence=3))
    assert bindings(book, midnight + 66) == [Binding.DAILY_CAP], "nor does it lend to today"
    book.verify()


def test_a_restart_keeps_guardrails_halts_and_shares() -> None:
    share = Share(Account("acme"), 0, daily_cap_micros=2_000_000, is_halted=True)
    book = book_of(campaign("a", account="acme"), campaign("b"))
    book.put_shares([share])
    assert set(bindings(book, START)) == {Binding.HALTED, Binding.THIN_DATA}
    book.set_halted(True)
    book = Book.restore(book.snapshot())
    assert bindings(book, START + 2) == [Binding.HALTED, Binding.HALTED]
    book.set_halted(False)
    book.put_shares([Share(Account("acme"), 0, daily_cap_micros=2_000_000)])
    decided = book.decide(START_MS + 4000)
    assert (decided.decisions["action"] == Action.BID).all()


@pytest.mark.parametrize(
    ("share", "is_broke"),
    [
        ({"total_cap_micros": 0}, True),
        ({"daily_cap_micros": 0}, True),
        ({}, False),
        ({"daily_cap_micros": 0, "later_daily_cap_micros": 9_000_000, "later_from": START}, False),
        ({"daily_cap_micros": 9_000_000, "later_daily_cap_micros": 0, "later_from": START}, True),
        ({"later_daily_cap_micros": None, "later_from": START + 60}, False),
    ],
)
def test_a_share_of_nothing_is_no_money_and_no_share_of_a_cap_no_limit(
    share: dict[str, float], is_broke: bool
) -> None:
    book = book_of(campaign("a", account="acme"))
    book.put_shares([Share(Account("acme"), 0, **share)])  # type: ignore[arg-type]
    assert (bindings(book, START) == [Binding.ACCOUNT_CAP]) == is_broke


def test_a_campaign_whose_account_is_not_known_here_does_not_bid() -> None:
    assert bindings(book_of(campaign("a", account="acme")), START) == [Binding.ACCOUNT_CAP]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"guardrails": Guardrails(blocked_hours=("noon",))}, "blocked_hours"),
        ({"guardrails": Guardrails(hold_seconds=5e6)}, "hold_seconds"),
        ({"guardrails": Guardrails(min_confidence=1.5)}, "min_confidence"),
        ({"guardrails": Guardrails(max_daily_change=-1.0)}, "max_daily_change"),
    ],
)
def test_a_guardrail_out_of_range_is_refused_by_the_core_too(
    fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(CoreError, match=field):
        book_of(campaign("a", **fields))


def test_every_platform_s_row_says_what_bound_its_bid() -> None:
    rails = Guardrails(blocked_platforms=("meta",), min_bid_micros=50_000_000)
    decided = book_of(campaign("a", guardrails=rails)).decide(START_MS)
    assert [Binding(code) for code in decided.series["bound_by"].tolist()] == [
        Binding.MIN_BID,
        Binding.BLOCKED,
    ]
    assert decided.series["bid_micros"].tolist() == [50_000_000, 0]
