"""Forecasts on a campaign's page are the worker's own, from its snapshot and what came since."""

import pytest

from engine.core.book import Book
from engine.dashboard.outlook import Outlooks, front_of
from engine.domain.ids import partition_of
from engine.messaging.memory import MemoryBroker
from engine.worker.snapshot import snapshot_of
from engine.worker.state import Entry, State
from support.clock import ManualClock
from support.definitions import START, campaign, frame, report

PARTITION = partition_of("spring-shoes")


def frame_of(sequence: int, clicks: int = 100) -> bytes:
    at = START + 2 * sequence
    rows = [
        report("spring-shoes", "google", at=at, clicks=clicks + sequence),
        report("spring-shoes", "meta", at=at, clicks=clicks, conversions=1.0),
    ]
    return frame(PARTITION, rows, sequence=sequence)


async def outlook_after(frames: int, *, of_snapshot: int) -> tuple[MemoryBroker, Book, ManualClock]:
    """Return a broker with a snapshot after some frames and the rest behind it; a book of all."""
    broker, clock = MemoryBroker(), ManualClock(START + 2 * frames)
    state = State(PARTITION, Book(), bury=lambda *_: None)
    state.book.put([campaign("spring-shoes")])
    state.learn(Entry(1, campaign("spring-shoes")))
    for number in range(1, frames + 1):
        payload = frame_of(number)
        await broker.frames.publish(PARTITION, payload, message_id=f"m-{number}")
        state.book.ingest(payload)
        state.metrics_sequence = number
        if number == of_snapshot:
            await broker.snapshots.put(PARTITION, snapshot_of(state, chain_sequence=1))
    return broker, state.book, clock


@pytest.mark.parametrize("of_snapshot", [12, 20])
async def test_a_forecast_is_the_workers_own_whatever_the_snapshots_age(of_snapshot: int) -> None:
    broker, book, clock = await outlook_after(20, of_snapshot=of_snapshot)
    found = await Outlooks(broker=broker, clock=clock).of(campaign("spring-shoes"))
    assert found["problem"] == ""
    assert found["counted"] == 20 - of_snapshot
    assert found["is_current"]
    wanted = book.forecast("spring-shoes", "google", round(clock.now() * 1000))
    assert wanted.cpc_micros is not None
    google = found["platforms"]["google"]
    assert google["cpc"]["value"] == wanted.cpc_micros.value
    assert google["cpc"]["low"] < google["cpc"]["value"] < google["cpc"]["high"]
    assert google["confidence"] == wanted.confidence
    assert google["samples"] == 20


async def test_without_a_snapshot_it_says_so() -> None:
    outlooks = Outlooks(broker=MemoryBroker(), clock=ManualClock())
    found = await outlooks.of(campaign("spring-shoes"))
    assert found == {"problem": "no snapshot of its partition yet", "platforms": {}}


async def test_a_snapshot_of_another_version_is_said_and_nothing_breaks() -> None:
    broker = MemoryBroker()
    await broker.snapshots.put(PARTITION, b"nonsense")
    found = await Outlooks(broker=broker, clock=ManualClock()).of(campaign("spring-shoes"))
    assert found["platforms"] == {}
    assert "snapshot" in found["problem"]


async def test_a_platform_newer_than_the_snapshot_is_left_out() -> None:
    broker, _, clock = await outlook_after(4, of_snapshot=4)
    known = campaign("spring-shoes").definition.platforms
    wider = campaign("spring-shoes", platforms=known | {"tiktok": known["google"]})
    found = await Outlooks(broker=broker, clock=clock).of(wider)
    assert sorted(found["platforms"]) == ["google", "meta"]


async def test_a_book_serves_all_who_ask_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, _, clock = await outlook_after(4, of_snapshot=4)
    outlooks = Outlooks(broker=broker, clock=clock)
    first = await outlooks.of(campaign("spring-shoes"))
    broker.server.disconnect()
    assert await outlooks.of(campaign("spring-shoes")) == first


class Front:
    """What a core that knows fronts answers."""

    class Point:
        multiplier = 1.0
        spend_micros = 5.0
        brings = 2.0

    points = (Point(),)
    stands = Point()
    waste = 0.1
    confidence = 0.5


class Knowing:
    def pareto(self, campaign: str, at_ms: int) -> Front:
        return Front()


def test_a_front_is_told_where_the_core_knows_it() -> None:
    assert front_of(Knowing(), "a", 1) == {  # type: ignore[arg-type]  # a core to come
        "points": [{"spend": 5.0, "brings": 2.0}],
        "stands": {"spend": 5.0, "brings": 2.0},
        "waste": 0.1,
        "confidence": 0.5,
    }
