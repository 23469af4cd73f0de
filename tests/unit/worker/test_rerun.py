"""Recorded rounds are decided again: to the bit, or, what-if, by other parameters."""

from typing import Any

import pytest

from engine.backtest.changes import parse_change
from engine.domain.campaign import Flight
from engine.domain.lifecycle import State
from engine.errors import ConfigError, EngineError
from engine.messaging import subjects
from engine.messaging.records import Decide, decode_record, encode
from engine.worker.rerun import Rerun, rerun
from engine.worker.settings import WorkerSettings
from support.clock import settle
from support.definitions import START, names_in
from support.one_partition import NAME, Fleet, P

ROUNDS = 14


async def recorded(*, rounds: int = ROUNDS, **settings: Any) -> Fleet:  # noqa: ANN401
    """Return a fleet that has run some rounds, a change of its campaign and poison among them."""
    fleet = Fleet()
    fleet.revision = await fleet.publish(flight=Flight(START, START + 3600))
    async with fleet.worker("w1", **settings) as worker:
        for number in range(1, rounds + 1):
            await fleet.report(spend_micros=20_000 + number * 100, clicks=3 + number % 2)
            await fleet.report(
                platform="meta", spend_micros=9_000, clicks=2, conversions=number % 3
            )
            if number == 5:
                fleet.revision = await fleet.publish(
                    expected=fleet.revision,
                    flight=Flight(START, START + 3600),
                    budget_micros=60_000_000,
                )
            if number == 6:
                fleet.second = names_in(P, 1)[0]
                await fleet.publish(fleet.second, state=State.ACTIVE)
            if number == 8:
                await fleet.broker.frames.publish(P, b"poison", message_id="poison")
            await fleet.clock.advance(settings.get("interval", 2.0))
        worker.partition.stop()
        await settle()
    return fleet


async def again(fleet: Fleet, *changes: str, **given: Any) -> Rerun:  # noqa: ANN401
    return await rerun(
        P,
        broker=fleet.broker,
        settings=given.pop("settings", WorkerSettings()),
        changes=[parse_change(change) for change in changes],
        **given,
    )


def tamper(fleet: Fleet, number: int, **fields: Any) -> None:  # noqa: ANN401
    """Change what is recorded of a round."""
    entries = fleet.server.streams[subjects.DECISIONS_STREAM].entries
    for sequence, entry in entries.items():
        record = decode_record("", entry.delivery.payload)
        if isinstance(record, Decide) and record.round == number:
            for name, value in fields.items():
                getattr(record.changed, name)[0] = value
            delivery = entry.delivery._replace(payload=encode(record))
            entries[sequence] = entry._replace(delivery=delivery)
            return


async def test_every_round_comes_out_to_the_bit_from_the_beginning() -> None:
    fleet = await recorded()
    found = await again(fleet)
    assert found.difference is None
    assert (found.begins, found.reason) == ("origin", "")
    assert found.rounds == len(await fleet.rounds()) > ROUNDS


async def test_the_first_bid_that_differs_is_named() -> None:
    fleet = await recorded()
    recorded_bid = (await fleet.rounds())[8].changed.bid_micros[0]
    tamper(fleet, 9, bid_micros=recorded_bid + 1)
    tamper(fleet, 11, bid_micros=1)
    found = (await again(fleet)).difference
    assert found is not None
    assert (found.round, found.field) == (9, "changed.bid_micros")
    assert isinstance(found.wanted, list)
    assert isinstance(found.found, list)
    assert found.wanted[0] == found.found[0] + 1 == recorded_bid + 1


async def test_a_pacing_multiplier_in_its_last_bit_is_a_difference() -> None:
    fleet = await recorded()
    multiplier = (await fleet.rounds())[6].changed.pacing_multiplier[0]
    tamper(fleet, 7, pacing_multiplier=multiplier * (1 + 2**-52))
    found = (await again(fleet)).difference
    assert found is not None
    assert (found.round, found.field) == (7, "changed.pacing_multiplier")


async def test_the_interval_is_read_off_the_record() -> None:
    fleet = await recorded(interval=0.5)
    assert (await again(fleet)).difference is None
    assert (await again(fleet, interval_ms=2_000)).difference is not None


async def test_only_the_times_asked_for_are_compared() -> None:
    fleet = await recorded()
    tamper(fleet, 3, bid_micros=1)
    times = [record.at_ms / 1000 for record in await fleet.rounds()]
    found = await again(fleet, from_at=times[4], to_at=times[9])
    assert found.difference is None
    assert (found.rounds, found.from_at, found.to_at) == (6, times[4], times[9])


@pytest.mark.parametrize("lost", [1, 2, 5])
async def test_samples_that_have_aged_out_are_no_difference(lost: int) -> None:
    fleet = await recorded()
    stream = fleet.server.streams[subjects.METRICS_STREAM]
    for sequence in list(stream.entries)[:lost]:
        del stream.entries[sequence]
    found = await again(fleet)
    assert found.difference is None
    assert found.begins == "snapshot"
    assert found.reason == "samples of its beginning have aged out"


async def test_from_a_snapshot_the_rounds_after_it_come_out_to_the_bit() -> None:
    fleet = await recorded(rounds=10, snapshot_every=8.0)
    async with fleet.worker("w2", snapshot_every=3600.0) as worker:
        for _ in range(4):
            await fleet.report(spend_micros=200_000)
            await fleet.clock.advance(2)
        worker.task.cancel()
    stream = fleet.server.streams[subjects.METRICS_STREAM]
    for sequence in list(stream.entries)[:5]:
        del stream.entries[sequence]
    found = await again(fleet)
    assert (found.begins, found.rounds, found.difference) == ("snapshot", 4, None)


async def test_a_what_if_changes_decisions_and_not_the_comparison_with_the_record() -> None:
    fleet = await recorded()
    found = await again(fleet, "max_bid=0.05")
    assert found.difference is None
    assert found.comparison is not None
    by_name = {one.campaign: one for one in found.comparison.campaigns}
    mine = by_name[NAME]
    assert mine.rounds == len(await fleet.rounds())
    assert mine.changed == ROUNDS  # all but the one due before the flight
    assert mine.bid_micros_then == 50_000
    assert mine.bid_micros is not None
    assert mine.bid_micros > 50_000


async def test_a_what_if_that_changes_nothing_decides_the_same() -> None:
    fleet = await recorded()
    found = (await again(fleet, "budget=x1")).comparison
    assert found is not None
    decided = sum(record.decided for record in await fleet.rounds())
    assert (found.changed, found.decisions) == (0, decided)
    assert found.actions == found.actions_then


async def test_a_what_if_begins_at_its_time_and_not_before() -> None:
    fleet = await recorded()
    times = [record.at_ms / 1000 for record in await fleet.rounds()]
    found = (await again(fleet, "max_bid=0.05", from_at=times[-3])).comparison
    assert found is not None
    by_name = {one.campaign: one for one in found.campaigns}
    assert (by_name[NAME].rounds, by_name[NAME].changed) == (3, 3)


async def test_another_window_runs_beside_from_the_beginning() -> None:
    fleet = await recorded()
    found = (await again(fleet, "window=3")).comparison
    assert found is not None
    assert found.changed > 0
    same = (await again(fleet, "window=64")).comparison
    assert same is not None
    assert same.changed == 0


async def test_another_window_needs_the_beginning() -> None:
    fleet = await recorded()
    fleet.forget_frames()
    with pytest.raises(EngineError, match="another window needs the recording from its beginning"):
        await again(fleet, "window=3")


async def test_a_what_if_that_makes_no_campaign_is_refused() -> None:
    fleet = await recorded()
    with pytest.raises(ConfigError, match=r"guardrails\.max_change"):
        await again(fleet, "max_change=7")


async def test_a_partition_without_rounds_has_nothing_to_decide_again() -> None:
    assert await again(Fleet()) == Rerun(P, "nothing", 0, None, None)


async def test_a_replay_writes_nothing() -> None:
    fleet = await recorded()
    before = {name: stream.last for name, stream in fleet.server.streams.items()}
    await again(fleet, "max_bid=0.05")
    assert {name: stream.last for name, stream in fleet.server.streams.items()} == before
