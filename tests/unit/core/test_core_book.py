"""What a book decides as Python sees it: states, bounds, goals, caps and what is held back."""

from datetime import UTC, datetime
from itertools import pairwise
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.core.book import Book, CoreError, Window, midnights_ms
from engine.domain.campaign import Campaign, Flight, Guardrails, PlatformBounds
from engine.domain.decision import Action, Binding
from engine.domain.ids import campaign_key, series_key
from engine.domain.lifecycle import State
from support.definitions import START, campaign, frame, report

START_MS = int(START * 1000)


def decided(book: Book, at_ms: int = START_MS) -> tuple[Action, Binding]:
    decision = book.decide(at_ms).decisions[0]
    return Action(int(decision["action"])), Binding(int(decision["binding"]))


def book_of(*campaigns: Campaign) -> Book:
    book = Book()
    book.put(campaigns)
    return book


@pytest.mark.parametrize("state", list(State))
def test_only_an_active_campaign_bids(state: State) -> None:
    action, binding = decided(book_of(campaign(state=state)))
    if state in (State.ACTIVE, State.SCHEDULED):
        assert (action, binding) == (Action.BID, Binding.THIN_DATA)
    else:
        assert (action, binding) == (Action.HOLD, Binding.NOT_ACTIVE)


def test_a_scheduled_campaign_begins_with_its_flight_and_ends_with_it() -> None:
    book = book_of(campaign(state=State.SCHEDULED, flight=Flight(START + 10, START + 20)))
    assert decided(book, START_MS + 9_999) == (Action.HOLD, Binding.NOT_STARTED)
    assert decided(book, START_MS + 10_000)[0] is Action.BID
    assert decided(book, START_MS + 20_000) == (Action.HOLD, Binding.FLIGHT_OVER)


def test_a_hold_bids_nothing_takes_caps_back_and_keeps_what_they_allowed_reserved() -> None:
    book = book_of(campaign())
    bidding = book.decide(START_MS).series
    book.put([campaign(state=State.PAUSED)])
    holding = book.decide(START_MS + 2000).series
    assert (bidding["bid_micros"] > 0).all()
    assert (holding["bid_micros"] == 0).all()
    assert holding["cap_micros"].tolist() == [0, 0]
    reserved = int(book.ledger()["reserved_micros"][0])
    assert reserved == int(bidding["cap_micros"].sum()), "a platform may not have heard yet"


def test_bids_stay_within_the_bounds_of_campaign_and_platform() -> None:
    guardrails = Guardrails(min_bid_micros=300_000, max_bid_micros=5_000_000, max_change=0.1)
    platforms = {
        "google": PlatformBounds(),
        "meta": PlatformBounds(max_bid_micros=350_000),
        "tiktok": PlatformBounds(min_bid_micros=900_000),
    }
    book = book_of(
        campaign(budget_micros=100_000_000_000, guardrails=guardrails, platforms=platforms)
    )
    last: list[int] = []
    for number in range(30):
        bids = book.decide(START_MS + 2000 * number).series["bid_micros"].tolist()
        assert 300_000 <= bids[0] <= 5_000_000
        assert 300_000 <= bids[1] <= 350_000
        assert 900_000 <= bids[2] <= 5_000_000
        for before, bid in zip(last, bids, strict=False):
            assert abs(bid - before) <= 0.1 * before + 1
        last = bids
        rows = [
            report("spring-shoes", platform, at=START + 2 * number, spend_micros=3_000_000)
            for platform in platforms
        ]
        book.ingest(frame(25, rows, sequence=number))


def test_reports_become_forecasts_and_the_best_platform_has_the_highest_roi() -> None:
    book = book_of(campaign(budget_micros=10_000_000_000))
    for number in range(20):
        at = START + 2 * number
        rows = [
            report("spring-shoes", "google", at=at, clicks=100, spend_micros=60_000_000),
            report("spring-shoes", "meta", at=at, clicks=100, spend_micros=30_000_000),
        ]
        book.ingest(frame(25, rows, sequence=number))
        decision = book.decide(START_MS + 2_000 * (number + 1))
    google, meta = decision.series
    assert google["cpc_micros"] == pytest.approx(600_000)
    assert meta["cpc_micros"] == pytest.approx(300_000)
    assert 0.02 <= meta["cvr"] < 0.028, "some conversions may be on their way"
    assert meta["roi_micros"] == pytest.approx(meta["cvr"] * 20_000_000 - 300_000)
    assert google["roi_micros"] < 0 < meta["roi_micros"]
    assert decision.decisions["best"][0] == 1
    forecast = book.forecast("spring-shoes", "meta", START_MS + 40_000)
    assert forecast.cpc_micros is not None
    assert forecast.cpc_micros.value == meta["cpc_micros"]
    assert forecast.cpc_micros.low <= forecast.cpc_micros.value <= forecast.cpc_micros.high
    assert (forecast.samples, forecast.clicks) == (20, 2000)


def test_a_front_says_what_a_flight_allows_and_where_the_campaign_stands() -> None:
    budget = 2_000_000_000_000
    book = book_of(campaign(budget_micros=budget))
    for number in range(20):
        at = START + 2 * number
        rows = [
            report("spring-shoes", "google", at=at, clicks=10, spend_micros=6_000_000),
            report("spring-shoes", "meta", at=at, clicks=10, spend_micros=3_000_000),
        ]
        book.ingest(frame(25, rows, sequence=number))
        decision = book.decide(START_MS + 2_000 * (number + 1))
    front = book.pareto("spring-shoes", START_MS + 40_000)
    spend = [point.spend_micros for point in front.points]
    brings = [point.brings for point in front.points]
    assert spend == sorted(spend)
    assert brings == sorted(brings)
    assert front.stands.multiplier == pytest.approx(decision.decisions["pacing_multiplier"][0])
    assert 180_000_000 <= front.stands.spend_micros <= budget
    assert 0 <= front.waste <= 1
    assert front.confidence > 0.5
    assert (decision.series["planned_micros"] > 0).any(), "the allocation is told"
    with pytest.raises(CoreError, match="campaign"):
        book.pareto("nobody", START_MS)


def test_where_every_platform_loses_money_only_the_best_is_probed_with_caution() -> None:
    book = book_of(campaign(budget_micros=100_000_000_000))
    for number in range(40):
        at = START + 2 * number
        rows = [
            report("spring-shoes", "google", at=at, spend_micros=200_000_000, clicks=100),
            report("spring-shoes", "meta", at=at, spend_micros=300_000_000, clicks=100),
        ]
        book.ingest(frame(25, rows, sequence=number))
    round_ = book.decide(START_MS + 80_000)
    assert Action(int(round_.decisions["action"][0])) is Action.FALLBACK
    assert Binding(int(round_.decisions["binding"][0])) is Binding.POOR_ROI
    google, meta = round_.series["bid_micros"].tolist()
    assert (google > 0, meta) == (True, 0)


def test_silence_of_the_platforms_is_a_fallback_that_gives_no_new_caps() -> None:
    book = book_of(campaign())
    rounds = [book.decide(START_MS + 2000 * number) for number in range(30)]
    fresh, stale = rounds[5], rounds[-1]
    assert Action(int(fresh.decisions["action"][0])) is Action.BID
    assert Action(int(stale.decisions["action"][0])) is Action.FALLBACK
    assert Binding(int(stale.decisions["binding"][0])) is Binding.STALE_DATA
    assert stale.series["cap_micros"].tolist() == rounds[-5].series["cap_micros"].tolist()
    book.ingest(frame(25, [report("spring-shoes", "google", at=START + 60)], sequence=1))
    assert decided(book, START_MS + 60_000)[0] is Action.BID


def test_a_target_reach_is_enough() -> None:
    book = book_of(campaign(target_reach=10_000))
    assert decided(book)[0] is Action.BID
    row = report("spring-shoes", "google", at=START, impressions=10_000)
    book.ingest(frame(25, [row], sequence=1))
    assert decided(book, START_MS + 2000) == (Action.HOLD, Binding.TARGET_REACH)


def test_a_decision_is_marked_changed_only_where_it_differs_from_the_one_reported() -> None:
    book = book_of(campaign(state=State.PAUSED))
    changed = [book.decide(START_MS + n).decisions["is_changed"][0] for n in range(3)]
    assert changed == [1, 0, 0]
    book.put([campaign(state=State.STOPPED)])
    assert book.decide(START_MS + 3).decisions["is_changed"][0] == 1
    row = report("spring-shoes", "google", at=START)
    book.ingest(frame(25, [row], sequence=1))
    assert book.decide(START_MS + 4).decisions["is_changed"][0] == 1, "the ledger moved"


def test_days_are_those_of_the_campaigns_time_zone() -> None:
    days = midnights_ms("Europe/Berlin", 2026)
    zone = ZoneInfo("Europe/Berlin")
    lengths = {b - a for a, b in pairwise(days)}
    assert lengths == {h * 3_600_000 for h in (23, 24, 25)}
    assert all(datetime.fromtimestamp(ms / 1000, zone).hour == 0 for ms in days)
    assert days[0] < datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert days[-1] > datetime(2027, 12, 31, tzinfo=UTC).timestamp() * 1000


def test_a_daily_cap_holds_till_midnight_in_the_campaigns_time_zone() -> None:
    # START is 2023-11-14 22:13:20 UTC: in Tokyo that day has been over for hours.
    guardrails = Guardrails(daily_cap_micros=1_000_000)
    next_midnight = {
        "UTC": datetime(2023, 11, 15, tzinfo=UTC),
        "Asia/Tokyo": datetime(2023, 11, 16, tzinfo=ZoneInfo("Asia/Tokyo")),
    }
    for timezone, midnight in next_midnight.items():
        book = book_of(campaign(timezone=timezone, guardrails=guardrails))
        book.decide(START_MS)
        row = report("spring-shoes", "google", at=START, spend_micros=1_000_000)
        book.ingest(frame(25, [row], sequence=1))
        ends_ms = int(midnight.timestamp() * 1000)
        assert decided(book, ends_ms - 1) == (Action.HOLD, Binding.DAILY_CAP)
        assert decided(book, ends_ms)[0] is Action.BID


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"budget_micros": 0}, "budget_micros must be 1 to 2^53, was 0"),
        ({"budget_micros": 2**70}, f"was {2**70}"),
        ({"flight": Flight(START, START)}, "ends_at_ms must be after starts_at_ms"),
        ({"flight": Flight(float("nan"), START)}, "flight.starts_at must be .*, was nan"),
        ({"timezone": "Mars/Base"}, "timezone must be an IANA name, was 'Mars/Base'"),
        ({"timezone": "../etc/passwd"}, "timezone must be an IANA name"),
        ({"platforms": {}}, "series_count must be 1 to 256, was 0"),
        ({"guardrails": Guardrails(max_change=float("inf"))}, "max_change must be .*, was inf"),
        ({"target_roas": -1.0}, "target_roas must be 0 to 1e6, was -1"),
        (
            {"guardrails": Guardrails(min_bid_micros=9, max_bid_micros=8)},
            "min_bid_micros must be at most max_bid_micros, was 9",
        ),
    ],
)
def test_a_refused_campaign_is_named_with_its_value_and_changes_nothing(
    fields: dict[str, Any], reason: str
) -> None:
    book = book_of(campaign("c1"))
    before = book.snapshot()
    with pytest.raises(CoreError, match=reason.replace("^", r"\^")):
        book.put([campaign("c2"), campaign("c3", **fields)])
    assert len(book) == 1
    assert list(book.names.values()) == ["c1"]
    # A calendar that the core has learnt meanwhile is no campaign's, and decides nothing.
    if "timezone" not in fields:
        assert book.snapshot() == before


def test_a_snapshot_is_whole_and_a_damaged_one_is_refused() -> None:
    book = book_of(campaign("c1", timezone="Europe/Berlin"), campaign("c2"))
    book.decide(START_MS)
    saved = book.snapshot()
    again = Book.restore(saved)
    assert again.names == book.names
    assert again.platforms == book.platforms
    assert again.snapshot() == saved
    again.put([campaign("c3", timezone="Europe/Berlin")])
    book.put([campaign("c3", timezone="Europe/Berlin")])
    ours, theirs = book.decide(START_MS + 2000), again.decide(START_MS + 2000)
    assert ours.decisions.tobytes() == theirs.decisions.tobytes()
    assert ours.series.tobytes() == theirs.series.tobytes()
    for damaged in (b"", b"\x93", saved[:-9], saved[:100] + b"\xff" + saved[101:]):
        with pytest.raises(CoreError):
            Book.restore(damaged)


def test_names_come_back_by_key_and_go_with_their_campaign() -> None:
    book = book_of(campaign("c1"))
    assert book.names == {campaign_key("c1"): "c1"}
    assert book.platforms[series_key("c1", "meta")] == "meta"
    assert book.remove("c1")
    assert not book.remove("c1")
    assert (len(book), book.series, book.names, book.platforms) == (0, 0, {}, {})


def test_what_the_chain_has_recorded_raises_the_ledger_and_never_lowers_it() -> None:
    book = book_of(campaign("c1"))
    book.raise_settled(campaign_key("c1"), 7_000_000)
    book.raise_settled(campaign_key("c1"), 5_000_000)
    assert book.ledger()["settled_micros"].tolist() == [7_000_000]
    book.raise_cap(series_key("c1", "google"), 9_000_000)
    book.verify()
    assert book.decide(START_MS).settled_micros >= 9_000_000
    with pytest.raises(CoreError, match="campaign must be one of this book"):
        book.raise_settled(1, 1)
    with pytest.raises(CoreError, match="cap_micros must be 0 to 2\\^60, was -1"):
        book.raise_cap(series_key("c1", "google"), -1)


def test_calls_from_several_threads_take_turns() -> None:
    book = book_of(*(campaign(f"c{n}") for n in range(200)))
    failures: list[BaseException] = []

    def feed(producer: int) -> None:
        try:
            for sequence in range(100):
                rows = [report(f"c{n}", "google", at=START + sequence) for n in range(200)]
                book.ingest(frame(25, rows, sequence=sequence, producer=producer))
                book.verify()
                book.ledger()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=feed, args=(producer,)) for producer in (1, 2)]
    for thread in threads:
        thread.start()
    for number in range(50):
        book.decide(START_MS + number)
        Book.restore(book.snapshot())
    for thread in threads:
        thread.join(timeout=60)
    assert not failures
    assert not any(thread.is_alive() for thread in threads)
    # Whoever came first: each series has each tick once.
    assert (book.ledger()["settled_micros"] == 100 * 1_000_000).all()


def test_a_window_on_its_own_forecasts_and_recounts_to_the_bit() -> None:
    window = Window(capacity=8)
    for number in range(20):
        assert window.push(START_MS + number, 10, 0.5, 700) == "accepted"
    assert window.push(START_MS + 19, 12, 0.5, 700) == "replaced"
    assert window.push(START_MS, 12, 0.5, 700) == "late"
    assert window.header() == window.recount()
    assert len(window) == 8
    assert len(window.samples()) == 8 * 16
    forecast = window.forecast(START_MS + 20)
    assert forecast.samples == 8
    assert forecast.cpc_micros is not None
    for bad in (-1.0, float("nan"), 1e9):
        with pytest.raises(CoreError, match="conversions"):
            window.push(START_MS, 1, bad, 1)


def test_arrays_of_a_round_are_read_only_and_point_at_each_other() -> None:
    found = book_of(*(campaign(f"c{n}") for n in range(5))).decide(START_MS)
    assert not found.decisions.flags.writeable
    assert found.decisions["campaign"].tolist() == sorted(found.decisions["campaign"].tolist())
    assert found.decisions["first"].tolist() == [0, 2, 4, 6, 8]
    assert found.reserved_micros == int(found.decisions["reserved_micros"].sum())
    assert np.isnan(found.series["cpc_micros"]).all()
