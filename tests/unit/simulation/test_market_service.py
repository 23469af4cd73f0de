"""The market as a service: it sells under published bids and reports every micro."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from engine.core.frames import Frame, decode_frame, spend_micros
from engine.domain.campaign import PlatformBounds
from engine.domain.codec import encode_campaign
from engine.domain.ids import partition_of
from engine.market.landscape import series_of
from engine.market.market import Market
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Message
from engine.messaging.records import Columns, Decide, Take, encode
from engine.simulation.recall import recall
from engine.simulation.samples import rows_at_ms
from engine.simulation.service import MarketService
from support.clock import ManualClock, settle
from support.definitions import START, campaign, frame, report

SHOES, P = "spring-shoes", partition_of("spring-shoes")


class Stage:
    """A broker, a clock and what a worker would write; the market comes and goes."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = MemoryServer()
        self.broker = MemoryBroker(server=self.server, clock=self.clock)
        self.market = Market(seed=7, step_ms=1000, day_seconds=60.0)
        self._head = 0
        self._round = 0

    async def publish(self, name: str = SHOES, **fields: Any) -> None:  # noqa: ANN401
        payload = encode_campaign(campaign(name, **fields))
        await self.broker.campaigns.put(name, payload, expected=0)

    async def decide(
        self, *, bid: int = 3_000_000, cap: int = 10**12, settled: int = 0, name: str = SHOES
    ) -> None:
        common: dict[str, Any] = {
            "partition": P,
            "epoch": 1,
            "owner": "w",
            "at_ms": 0,
            "metrics_sequence": 0,
        }
        if not self._head:
            take = Take(previous=0, round=0, campaigns_revision=0, **common)
            self._head = await self.broker.chain.append(P, encode(take), expected=0)
        self._round += 1
        record = Decide(
            previous=self._head,
            round=self._round,
            campaigns_revision=0,
            decided=1,
            settled_micros=settled,
            reserved_micros=0,
            platforms=["google", "meta"],
            changed=Columns(
                campaign=[name],
                action=[1],
                binding=[0],
                best=[0],
                pacing_multiplier=[1.0],
                settled_micros=[settled],
                reserved_micros=[0],
                series_count=[2],
                platform=[0, 1],
                bid_micros=[bid, bid],
                cap_micros=[cap, cap],
                cpc_micros=[None, None],
                cvr=[None, None],
                roi_micros=[None, None],
                confidence=[0.0, 0.0],
            ),
            **common,
        )
        self._head = await self.broker.chain.append(P, encode(record), expected=self._head)

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[MarketService]:  # noqa: ANN401
        service = MarketService(broker=self.broker, market=self.market, clock=self.clock, **options)
        async with asyncio.TaskGroup() as group:
            group.create_task(service.run())
            await settle()
            try:
                yield service
            finally:
                service.stop()

    async def frames(self) -> list[Frame]:
        found: list[Message] = []
        async with self.broker.frames.follow(found.append, after=0) as follower:
            await follower.caught_up()
        return [decode_frame(message.payload) for message in found]

    async def spent(self) -> int:
        """Return what the stored samples say was spent."""
        return sum(
            int(spend_micros(one.rows, one.unit_micros).sum()) for one in await self.frames()
        )


@pytest.fixture
async def stage() -> Stage:
    made = Stage()
    await made.publish()
    return made


async def test_without_a_decision_nothing_is_sold(stage: Stage) -> None:
    async with stage.running():
        await stage.clock.advance(5.0)
    assert await stage.frames() == []


async def test_a_published_bid_buys_clicks_and_every_micro_is_reported(stage: Stage) -> None:
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(10.0)
    spent = await stage.spent()
    assert spent > 0
    assert spent == int(stage.market.books.spend_micros.sum())


async def test_samples_end_on_the_grid_of_steps(stage: Stage) -> None:
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(3.4)
    ends: set[int] = set()
    for one in await stage.frames():
        ends |= set(rows_at_ms(one.rows, 1, round(stage.clock.now() * 1000)).tolist())
    assert ends == {round(START * 1000) + 1000 * i for i in (1, 2, 3)}


async def test_frames_are_numbered_without_a_hole(stage: Stage) -> None:
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(6.0)
    frames = await stage.frames()
    assert [one.sequence for one in frames] == list(range(1, len(frames) + 1))
    assert {(one.partition, one.unit_micros) for one in frames} == {(P, 100)}


async def test_a_new_bid_counts_from_the_next_step(stage: Stage) -> None:
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(3.0)
        await stage.decide(bid=0)
        await settle()
        before = int(stage.market.books.spend_micros.sum())
        await stage.clock.advance(5.0)
    assert int(stage.market.books.spend_micros.sum()) == before > 0


async def test_a_campaign_that_is_published_later_is_sold_to(stage: Stage) -> None:
    async with stage.running():
        await stage.clock.advance(2.0)
        await stage.publish("later", platforms={"google": PlatformBounds()})
        await stage.decide(name="later")
        await stage.clock.advance(3.0)
        await stage.decide()
        await stage.clock.advance(3.0)
    assert {one.campaign for one in stage.market.series} == {SHOES, "later"}


async def test_a_bid_that_wins_nothing_is_reported_now_and_then(stage: Stage) -> None:
    await stage.decide(bid=1)  # far too low
    async with stage.running(silence_every=5):
        await stage.clock.advance(10.0)
    reported = sum(len(one.rows) for one in await stage.frames())
    assert reported == 2 * 2  # two platforms, every fifth of ten steps
    assert await stage.spent() == 0


async def test_a_market_that_restarts_obeys_the_cap_it_had_before(stage: Stage) -> None:
    cap = 20_000_000
    await stage.decide(cap=cap)
    async with stage.running():
        await stage.clock.advance(2.0)
    half = stage.market.books.spend_micros.copy()
    stage.market = Market(seed=7, step_ms=1000, day_seconds=60.0)
    async with stage.running():
        await stage.clock.advance(60.0)
    assert (half > 0).all()
    assert stage.market.books.spend_micros.max() <= cap
    assert await stage.spent() == int(stage.market.books.spend_micros.sum())


async def test_a_restart_changes_nothing_that_is_sold_later() -> None:
    outcomes = []
    for restarts in (False, True):
        stage = Stage()
        await stage.publish()
        await stage.decide(cap=400_000_000)
        async with stage.running():
            await stage.clock.advance(10.0)
            if not restarts:
                await stage.clock.advance(10.0)
        if restarts:
            stage.market = Market(seed=7, step_ms=1000, day_seconds=60.0)
            async with stage.running():
                await stage.clock.advance(10.0)
        books = stage.market.books
        outcomes.append((books.spend_micros.tolist(), books.conversions.tolist()))
    assert outcomes[0] == outcomes[1]


async def test_spend_that_only_the_chain_remembers_counts_against_the_caps(stage: Stage) -> None:
    await stage.decide(cap=20_000_000, settled=20_000_000)  # its samples have aged out
    async with stage.running():
        await stage.clock.advance(10.0)
    assert await stage.spent() == 0


async def test_what_is_sold_while_the_broker_is_away_is_reported_later(stage: Stage) -> None:
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(3.0)
        before = int(stage.market.books.spend_micros.sum())
        stage.server.disconnect()
        await stage.clock.advance(10.0)
        assert int(stage.market.books.spend_micros.sum()) > before
        stage.server.reconnect()
        await stage.clock.advance(2.0)
    assert await stage.spent() == int(stage.market.books.spend_micros.sum())


async def test_a_market_that_can_hold_no_more_stands_still_and_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.messaging.memory.WINDOW", 2)
    await stage.decide()
    async with stage.running(most_held=5):
        stage.server.disconnect()
        await stage.clock.advance(20.0)
        stood_still = int(stage.market.books.spend_micros.sum())
        await stage.clock.advance(20.0)
        assert int(stage.market.books.spend_micros.sum()) == stood_still > 0
        stage.server.reconnect()
        await stage.clock.advance(3.0)
        assert int(stage.market.books.spend_micros.sum()) > stood_still
    assert await stage.spent() == int(stage.market.books.spend_micros.sum())


async def test_steps_that_are_a_little_late_are_made_up_for(stage: Stage) -> None:
    await stage.decide()
    async with stage.running(silence_every=1):
        stage.clock.step(7.0)  # as if the process had been stopped
        await stage.clock.advance(1.0)
    assert {len(one.rows) for one in await stage.frames()} == {2}
    assert len(await stage.frames()) == 8


async def test_steps_that_are_very_late_are_skipped(stage: Stage) -> None:
    await stage.decide()
    async with stage.running(silence_every=1, most_late=20):
        stage.clock.step(3600.0)
        await stage.clock.advance(3.0)
    assert len(await stage.frames()) == 3


async def test_an_unreadable_record_is_passed_over(stage: Stage) -> None:
    await stage.broker.chain.append(1, b"nonsense", expected=0)
    await stage.broker.campaigns.put("odd", b"nonsense", expected=0)
    await stage.decide()
    async with stage.running():
        await stage.clock.advance(3.0)
    assert await stage.spent() > 0


async def test_a_stop_may_come_twice_or_before_the_start(stage: Stage) -> None:
    service = MarketService(broker=stage.broker, market=stage.market, clock=stage.clock)
    service.stop()
    service.stop()
    await asyncio.wait_for(service.run(), 5.0)


async def test_a_frame_that_was_stored_twice_is_recalled_once(stage: Stage) -> None:
    await stage.decide(cap=20_000_000)
    payload = frame(
        P, [report(SHOES, "google", at=START - 5.0, spend_micros=8_000_000)], sequence=1
    )
    for message_id in ("a", "b"):
        await stage.broker.frames.publish(P, payload, message_id=message_id)
    async with stage.running():
        await settle()
        place = stage.market.place_of(SHOES, "google")
        assert place is not None
        assert stage.market.books.spend_micros[place] == 8_000_000


async def test_a_market_that_has_hours_to_recall_says_so_and_may_be_stopped(stage: Stage) -> None:
    for sequence, ago in enumerate((7_000.0, 3.0), start=1):
        sold = report(SHOES, "google", at=START - ago, spend_micros=1_000_000)
        payload = frame(P, [sold], sequence=sequence)
        await stage.broker.frames.publish(P, payload, message_id=str(sequence))
    stage.market.add([(series_of(SHOES, "google"), 0)])
    asked: list[bool] = []

    def is_stopped() -> bool:
        asked.append(len(asked) > 3)
        return asked[-1]

    with structlog.testing.capture_logs() as said:
        await recall(
            stage.market,
            frames=stage.broker.frames,
            clock=stage.clock,
            settled_micros={},
            is_stopped=is_stopped,
        )
    assert said[0] == {
        "event": "market_recalling",
        "log_level": "info",
        "rows": 2,
        "steps": 6_998,
    }
    assert len(asked) == 5
    assert stage.market.books.spend_micros.tolist() == [1_000_000], "stopped before the second"


async def test_what_is_dated_later_than_now_is_spent_and_replays_no_time_to_come(
    stage: Stage,
) -> None:
    for sequence, ahead in enumerate((-5.0, 20 * 86_400.0), start=1):
        sold = report(SHOES, "google", at=START + ahead, spend_micros=8_000_000, clicks=2)
        payload = frame(P, [sold], sequence=sequence)
        await stage.broker.frames.publish(P, payload, message_id=str(sequence))
    with structlog.testing.capture_logs() as said:
        async with stage.running():
            await settle()
    assert [one["event"] for one in said].count("market_recalling") == 0
    place = stage.market.place_of(SHOES, "google")
    assert place is not None
    assert stage.market.books.spend_micros[place] == 16_000_000
    assert stage.market.books.clicks[place] == 2
