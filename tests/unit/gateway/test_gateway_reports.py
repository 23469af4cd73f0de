"""Reports in: what becomes of a platform's hours, restatements, sales claimed twice, alarms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from engine.core.frames import decode_frame, spend_micros
from engine.domain.campaign import Flight
from engine.domain.decision import Binding
from engine.domain.ids import partition_of, series_key
from engine.errors import MalformedMessageError
from engine.gateway.anomalies import CPA_SPIKE, CTR_DROP, ZERO_SPEND, anomalies
from engine.gateway.claims import Claims, unknown_milli
from engine.gateway.directory import Directory
from engine.gateway.gate import GateSettings
from engine.gateway.hours import CLICKS, CONVERSIONS, COUNTS, IMPRESSIONS, SPEND
from engine.gateway.readiness import readiness
from engine.gateway.runner import desk_of
from engine.gateway.service import Gateway
from engine.gateway.settings import ReadinessSettings
from engine.gateway.telling import Told, decode_told, encode_told
from engine.gateway.verdict import judge
from engine.messaging.ports import Message
from engine.messaging.streams import MAX_RECORD
from engine.messaging.subjects import reported_subject
from support.definitions import campaign
from support.gateway import Floor, account, linked
from support.platform import FakePlatform, row
from support.waiting import wait_until

HOUR = 3600.0


class Window:
    """What the engine has counted: the newest row of each tick, and how often frames came."""

    def __init__(self, name: str, platform: str = "google") -> None:
        self.rows: dict[int, tuple[int, int, int]] = {}  # clicks, spend, milliconversions
        self.settled: list[int] = []
        self._key = series_key(name, platform)

    def deliver(self, message: Message) -> None:
        frame = decode_frame(message.payload)
        spend = spend_micros(frame.rows, frame.unit_micros)
        for i, found in enumerate(frame.rows):
            if int(found["series"]) == self._key:
                self.rows[int(found["tick"])] = (
                    int(found["clicks"]), int(spend[i]), int(found["milliconversions"]),
                )  # fmt: skip
                self.settled.append(self.sum(1))

    def sum(self, column: int) -> int:
        return sum(one[column] for one in self.rows.values())


@asynccontextmanager
async def reporting(
    rows_before: int = 3,
    **settings: Any,  # noqa: ANN401
) -> AsyncIterator[tuple[Floor, Gateway, Window, float]]:
    """A gateway that has reported some hours; the last of them has just begun."""
    floor = Floor()
    floor.platform.stand("e")
    hour = floor.clock.now() // HOUR * HOUR
    flight = Flight(hour - 20 * HOUR, hour + 1000 * HOUR)
    await floor.publish("spring-shoes", platforms=linked("e"), flight=flight)
    floor.platform.rows = [row("e", hour - i * HOUR) for i in range(rows_before)]
    window = Window("spring-shoes")
    partitions = [partition_of("spring-shoes")]
    async with (
        floor.broker.frames.follow(window.deliver, partitions=partitions, after=0),
        floor.gateway(accounts=[account(**settings)]) as gateway,
    ):
        await wait_until(lambda: window.sum(0) == 50 * rows_before, what="the first reports")
        yield floor, gateway, window, hour


async def test_the_hours_of_a_flight_become_samples_and_stay_exact() -> None:
    async with reporting() as (floor, gateway, window, hour):
        assert window.sum(1) == 60_000_000
        assert window.sum(2) == 6000
        # The past hour by hour; the hour that lasts in the cell that lasts.
        assert len(window.rows) == 3
        floor.platform.rows[0] = row("e", hour, clicks=80, spend_micros=31_000_000)
        await wait_until(lambda: window.sum(0) == 180)
        assert window.sum(1) == 71_000_000
        assert len(window.rows) == 3, "restated in its own place"
        columns = gateway.runners["google", "123"].desk.columns
        await wait_until(lambda: columns.spent[0] == 71_000_000)


async def test_conversions_that_come_late_count_and_spend_that_is_taken_back_does_not_shrink() -> (
    None
):
    async with reporting() as (floor, _, window, hour):
        floor.platform.rows[2] = row("e", hour - 2 * HOUR, milliconversions=7000, clicks=50)
        floor.platform.rows[0] = row("e", hour, spend_micros=1_000_000)
        await wait_until(lambda: window.sum(2) == 11_000 or None, within_s=10, what="conversions")
        assert window.sum(1) == 60_000_000, "settled spend never shrinks"
        floor.platform.rows[0] = row("e", hour, spend_micros=25_000_000)
        await wait_until(lambda: window.sum(1) == 65_000_000)
    assert window.settled == sorted(window.settled)


async def test_a_successor_goes_on_where_its_forerunner_stopped() -> None:
    async with reporting() as (floor, _, window, hour):
        pass
    floor.platform.rows[0] = row("e", hour, clicks=75, spend_micros=30_000_000)
    async with (
        floor.broker.frames.follow(window.deliver, after=0),
        floor.gateway("g2", accounts=[account()]),
    ):
        await wait_until(lambda: window.sum(0) == 175)
        assert window.sum(1) == 70_000_000
    head = await floor.broker.journal.head(reported_subject("google", "123"))
    assert head is not None
    told = decode_told("", head.payload)
    assert told.series == ["spring-shoes/e"]
    assert told.owner == "g2"


async def test_hours_before_the_flight_are_not_the_campaigns() -> None:
    floor = Floor()
    floor.platform.stand("e")
    hour = floor.clock.now() // HOUR * HOUR
    await floor.publish(
        "spring-shoes", platforms=linked("e"), flight=Flight(hour - HOUR, hour + 90 * HOUR)
    )
    floor.platform.rows = [row("e", hour - i * HOUR) for i in range(5)]
    window = Window("spring-shoes")
    async with floor.broker.frames.follow(window.deliver, after=0), floor.gateway() as gateway:
        await wait_until(lambda: gateway.accounts() and gateway.accounts()[0].report_age_s)
        assert window.sum(1) == 40_000_000


def test_one_sale_that_two_platforms_claim_counts_for_the_earlier() -> None:
    claims = Claims()
    google = row("e", 7200.0, order_ids=("o1", "o2"), milliconversions=2000)
    meta = row("f", 3600.0, order_ids=("o2",), milliconversions=3000)
    for platform, one in (("google", google), ("meta", meta)):
        claims.hear("c", platform, one)
    assert claims.lost("c", "google", google) == 1000
    assert claims.lost("c", "meta", meta) == 0
    assert claims.lost("other", "google", google) == 0, "of another campaign it is another sale"
    assert claims.lost("c", "google", google) == 1000
    assert claims.duplicates == 1, "the next report tells of it again: it is the same sale"
    assert unknown_milli(meta) == 2000, "two sales have no order id: nobody can tell"
    claims.forget_before(5000.0)
    assert claims.lost("c", "google", google) == 0


def history(hours: int, **per_hour: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.int64]]:
    counts = np.zeros((1, hours, COUNTS), np.int64)
    usual = {"impressions": 10_000, "clicks": 50, "spend": 20_000_000, "conversions": 2000}
    for column, name in ((IMPRESSIONS, "impressions"), (CLICKS, "clicks"), (SPEND, "spend"),
                         (CONVERSIONS, "conversions")):  # fmt: skip
        counts[:, :, column] = (usual | per_hour)[name]
    return counts


ON = np.ones(1, np.bool_)


def test_no_spend_where_there_was_some_is_an_alarm_and_a_pause_is_none() -> None:
    counts = history(40)
    assert anomalies(counts, whole=40, is_on=ON) == {}
    counts[0, -3:] = 0
    assert anomalies(counts, whole=40, is_on=ON) == {ZERO_SPEND: [0]}
    assert anomalies(counts, whole=40, is_on=~ON) == {}
    assert anomalies(counts, whole=38, is_on=ON) == {}, "not told whole yet"
    thin = history(40, clicks=1)
    thin[0, -3:] = 0
    assert anomalies(thin, whole=40, is_on=ON) == {}, "so few clicks may be chance"


def test_conversions_that_stop_coming_at_the_same_spend_are_a_spike_of_cpa() -> None:
    counts = history(60)
    counts[0, -24:, CONVERSIONS] = 400
    assert anomalies(counts, whole=60, is_on=ON) == {CPA_SPIKE: [0]}
    counts[0, -24:, CONVERSIONS] = 1200  # not twice as dear
    assert anomalies(counts, whole=60, is_on=ON) == {}


def test_a_ctr_that_falls_by_half_is_an_alarm() -> None:
    counts = history(40)
    counts[0, -6:, CLICKS] = 25
    assert anomalies(counts, whole=40, is_on=ON) == {CTR_DROP: [0]}
    counts[0, -6:, CLICKS] = 45
    assert anomalies(counts, whole=40, is_on=ON) == {}


def test_readiness_is_the_product_of_its_parts() -> None:
    settings = ReadinessSettings(clicks=1000, conversions=10)
    found = readiness(history(10), ON, settings)
    assert (found.clicks[0], found.conversions[0], found.tracking[0]) == (0.5, 1.0, 1.0)
    assert found.score[0] == 0.5
    broken = history(40)
    broken[0, -20:, CONVERSIONS] = 0  # 20 hours x 50 clicks, one in fifty of which converted
    found = readiness(broken, ON, settings)
    assert found.tracking[0] == 0.0
    assert found.score[0] == 0.0
    assert readiness(broken, ~ON, settings).score[0] == 1.0, "not after conversions"


def test_a_change_is_judged_by_the_same_hours_of_two_days() -> None:
    rng = np.random.default_rng(1)
    rhythm = 1e6 * (1 + np.sin(np.arange(24) / 24 * 2 * np.pi))
    before = rhythm + rng.normal(0, 1e5, 24)
    better, same = before + 3e5 + rng.normal(0, 1e5, 24), before + rng.normal(0, 1e5, 24)
    found = judge(before, better)
    assert found.verdict == "improved"
    assert found.low is not None
    assert found.high is not None
    assert found.low < 3e5 < found.high
    assert judge(better, before).verdict == "worse"
    assert judge(before, same).verdict == "inconclusive"
    assert judge(before, better, others=2).reason == "2 other changes in that time"
    assert judge(before[:5], better[:5]).reason == "too few hours"


def test_what_was_told_of_ten_thousand_series_fits_a_record() -> None:
    rng = np.random.default_rng(1)
    count = 20_000
    numbers = [rng.integers(0, 10**9, (count, columns)).astype("<i8") for columns in (5, 4, 4)]
    base, before, total = (one.tobytes() for one in numbers)
    told = Told(
        owner="g1", at_ms=0, cell=1, cell_s=3600.0, since=0.0,
        series=[f"campaign-{i}/adGroups/{10_000_000_000 + i}" for i in range(count)],
        base=base, before=before, total=total,
    )  # fmt: skip
    payload = encode_told(told)
    assert decode_told("", payload) == told
    assert len(payload) * 10_000 / count < MAX_RECORD
    with pytest.raises(MalformedMessageError):
        decode_told("engine.reported", b"neither")


def test_ten_thousand_campaigns_are_linked_in_the_time_of_one_each() -> None:
    desk = desk_of(account(), platform=FakePlatform(), gate=GateSettings(), sharing=1, now=0.0)
    directory = Directory({("google", "123"): desk})
    for i in range(3000):
        directory.campaign(campaign(f"c{i}", platforms=linked(f"adGroups/{i}")))
    assert desk.linked == 3000
    directory.campaign(campaign("c7", platforms=linked("adGroups/9999")))
    assert (desk.place("c7", "adGroups/9999"), desk.place("c7", "adGroups/7")) == (3000, None)


async def test_what_was_stopped_is_in_the_record_of_what_was_told() -> None:
    async with reporting() as (floor, gateway, _, _):
        await floor.decide("spring-shoes", bid=0, binding=Binding.DAILY_CAP)
        desk = gateway.runners["google", "123"].desk
        await wait_until(lambda: desk.stopped() == ["e"])
        polls = gateway.runners["google", "123"].tally.polls
        await wait_until(lambda: gateway.runners["google", "123"].tally.polls > polls + 1)
        head = await floor.broker.journal.head(reported_subject("google", "123"))
        assert head is not None
        told = decode_told("", head.payload)
        assert told.stopped == ["e"]
        desk.begin()
        desk.recall_stopped(told.stopped)
        assert desk.stopped() == ["e"]
