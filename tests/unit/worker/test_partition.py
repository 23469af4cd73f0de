"""One partition: when its rounds come, what they count, and what ends them."""

import asyncio
import itertools

import pytest
from structlog.testing import capture_logs

from engine.domain.campaign import Flight, PlatformBounds
from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.errors import FencedError
from engine.messaging.records import Keep, Release, Take, decisions_of, decode_record, encode
from support.clock import settle
from support.definitions import START, names_in
from support.one_partition import NAME, Fleet, P


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


async def test_rounds_come_at_multiples_of_the_interval_shifted_by_partition(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker(interval=2):
        await fleet.clock.advance(10)
    rounds = await fleet.rounds()
    assert {record.at_ms % 2000 for record in rounds} == {2000 * P // 64}
    assert [b.at_ms - a.at_ms for a, b in itertools.pairwise(rounds)] == [2000] * 5
    assert [record.round for record in rounds] == [1, 2, 3, 4, 5, 6]


async def test_a_record_names_the_inputs_it_has_counted(fleet: Fleet) -> None:
    revision = await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(2)
        await fleet.report(spend_micros=3_000_000)
        await fleet.report(platform="meta", spend_micros=1_000_000)
        await fleet.clock.advance(2)
        newest = (await fleet.rounds())[-1]
    assert newest.campaigns_revision == revision
    assert newest.metrics_sequence == 2
    assert newest.settled_micros == 4_000_000
    assert newest.changed.campaign == [NAME]
    assert newest.changed.settled_micros == [4_000_000]


async def test_every_record_names_the_one_before(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker() as running:
        await fleet.clock.advance(6)
        running.partition.stop()
        await settle()
    messages = [message async for message in fleet.broker.chain.read(P)]
    records = [decode_record("", message.payload) for message in messages]
    assert isinstance(records[0], Take)
    assert isinstance(records[-1], Release)
    assert [r.previous for r in records] == [0, *(m.sequence for m in messages[:-1])]


async def test_a_definition_applies_at_the_next_round(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(2)
        second = names_in(P, 1)[0]
        revision = await fleet.publish(second)
        before = await fleet.rounds()
        await fleet.clock.advance(2)
        after = await fleet.rounds()
    assert before[-1].decided == 1
    assert after[len(before)].decided == 2
    assert after[len(before)].campaigns_revision == revision


async def test_a_platform_that_a_definition_drops_is_told_to_stop_by_the_next_owner_too(
    fleet: Fleet,
) -> None:
    revision = await fleet.publish()
    async with fleet.worker("w1", snapshot_every=1) as first:
        await fleet.clock.advance(4)
        platforms = {"google": PlatformBounds()}
        await fleet.publish(expected=revision, platforms=platforms)
        await fleet.clock.advance(2)
        first.partition.stop()
        await settle()
        told = (await fleet.rounds())[-1]
    async with fleet.worker("w2"):
        await fleet.clock.advance(2)
        await fleet.report(spend_micros=700_000)
        await fleet.clock.advance(2)
        again = (await fleet.rounds())[-1]
    for record in (told, again):
        (decision,) = decisions_of(record)
        dropped = {one.platform: one for one in decision.platforms}["meta"]
        assert (dropped.bid_micros, dropped.cap_micros) == (0, 0)
        assert dropped.bound_by is Binding.DROPPED
        assert dropped.cvr is None
    assert again.owner == "w2"


async def test_a_partition_without_campaigns_writes_no_rounds(fleet: Fleet) -> None:
    async with fleet.worker():
        await fleet.clock.advance(60)
        assert [type(record) for record in await fleet.records()] == [Take]
        await fleet.publish()
        await fleet.clock.advance(2)
        assert [record.round for record in await fleet.rounds()] == [1]


async def test_a_fenced_partition_is_dropped_at_once(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker() as running:
        await fleet.clock.advance(4)
        rounds = len(await fleet.rounds())
        head = await fleet.broker.chain.head(P)
        assert head is not None
        last = decode_record("", head.payload)
        steal = Take(
            partition=P,
            previous=head.sequence,
            epoch=last.epoch + 1,
            owner="thief",
            at_ms=last.at_ms,
            round=last.round,
            metrics_sequence=last.metrics_sequence,
            campaigns_revision=last.campaigns_revision,
        )
        await fleet.broker.chain.append(P, encode(steal), expected=head.sequence)
        await fleet.clock.advance(4)
        assert running.task.done()
        with pytest.raises(FencedError):
            running.task.result()
        assert running.partition.is_owned  # it is the worker's to say so
    assert len(await fleet.rounds()) == rounds


async def test_a_late_round_is_decided_once_and_missed_ones_are_not(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker(interval=2):
        await fleet.clock.advance(4)
        before = await fleet.rounds()
        fleet.server.disconnect()
        await fleet.clock.advance(21)
        fleet.server.reconnect()
        await fleet.clock.advance(0.5)
        await fleet.clock.advance(4)
        after = (await fleet.rounds())[len(before) :]
    assert after[0].round == before[-1].round + 1
    assert len(after) <= 4
    assert all(b.at_ms - a.at_ms == 2000 for a, b in itertools.pairwise(after))
    assert after[0].at_ms > before[-1].at_ms + 18_000


async def test_an_unknown_outcome_leaves_neither_gap_nor_double(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(2)
        fleet.server.lose_answers(1)
        await fleet.clock.advance(2)
        fleet.server.lose_requests(2)
        await fleet.clock.advance(4)
        rounds = [record.round for record in await fleet.rounds()]
    assert rounds == list(range(1, len(rounds) + 1))
    assert len(rounds) >= 4


async def test_a_poison_frame_is_buried_and_passed(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(2)
        await fleet.broker.frames.publish(P, b"no frame", message_id="poison")
        await fleet.report(spend_micros=2_000_000)
        await fleet.clock.advance(2)
        newest = (await fleet.rounds())[-1]
        letters = [letter async for letter in fleet.broker.dead_letters.all()]
    assert newest.metrics_sequence == 2
    assert newest.settled_micros == 2_000_000
    assert [(letter.origin, letter.payload) for letter in letters] == [
        (f"engine.metrics.{P}", b"no frame")
    ]
    assert "sequence 1" in letters[0].reason


async def test_a_poison_entry_is_buried_and_the_old_one_stays_in_force(fleet: Fleet) -> None:
    revision = await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(2)
        newer = await fleet.broker.campaigns.put(NAME, b"nonsense", expected=revision)
        await fleet.clock.advance(2)
        newest = (await fleet.rounds())[-1]
        letters = [letter async for letter in fleet.broker.dead_letters.all()]
    assert newest.decided == 1
    assert newest.campaigns_revision == newer
    assert len(letters) == 1


async def test_a_flight_begins_and_ends_by_itself(fleet: Fleet) -> None:
    flight = Flight(starts_at=START + 5, ends_at=START + 15)
    await fleet.publish(state=State.SCHEDULED, flight=flight)
    async with fleet.worker():
        await fleet.clock.advance(4)
        assert (await fleet.entry()).state is State.SCHEDULED
        await fleet.clock.advance(4)
        begun = await fleet.entry()
        await fleet.clock.advance(10)
        ended = await fleet.entry()
        before = len(fleet.server.streams["KV_engine_campaigns"].entries)
        await fleet.clock.advance(10)
        assert len(fleet.server.streams["KV_engine_campaigns"].entries) == before
    assert (begun.state, begun.changed_by, begun.note) == (
        State.ACTIVE,
        "w1",
        "the flight has begun",
    )
    assert (ended.state, ended.note) == (State.COMPLETED, "the flight is over")


async def test_a_spent_budget_exhausts_the_campaign(fleet: Fleet) -> None:
    await fleet.publish(budget_micros=5_000_000)
    async with fleet.worker():
        await fleet.clock.advance(4)
        await fleet.report(spend_micros=2_500_000)
        await fleet.report(platform="meta", spend_micros=2_500_000)
        await fleet.clock.advance(6)
        assert (await fleet.entry()).state is State.EXHAUSTED
        assert (await fleet.rounds())[-1].reserved_micros == 0


async def test_a_change_by_somebody_else_wins_over_the_workers(fleet: Fleet) -> None:
    revision = await fleet.publish(budget_micros=5_000_000)
    async with fleet.worker():
        await fleet.clock.advance(4)
        await fleet.report(spend_micros=2_500_000)
        await fleet.report(platform="meta", spend_micros=2_500_000)
        # Raised in the very moment in which the worker finds it spent.
        await fleet.publish(budget_micros=50_000_000, expected=revision)
        await fleet.clock.advance(6)
        newest = await fleet.entry()
    assert (newest.state, newest.definition.budget_micros) == (State.ACTIVE, 50_000_000)


async def test_a_keep_holds_every_ledger(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker(keep_every=10):
        await fleet.clock.advance(4)
        await fleet.report(spend_micros=1_500_000)
        await fleet.clock.advance(9)
        keeps = [record for record in await fleet.records() if isinstance(record, Keep)]
    assert [keep.campaign for keep in keeps] == [[NAME]]
    assert keeps[0].settled_micros == [1_500_000]


async def test_an_idle_partition_keeps_its_head_young(fleet: Fleet) -> None:
    async with fleet.worker(keep_every=10):
        await fleet.clock.advance(35)
        kinds = [type(record) for record in await fleet.records()]
    assert kinds == [Take, Keep, Keep, Keep]


async def test_times_rise_although_the_clock_is_set_back(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker():
        await fleet.clock.advance(6)
        fleet.clock.step(-3600)
        await fleet.clock.advance(6)
        times = [record.at_ms for record in await fleet.rounds()]
    assert times == sorted(set(times))
    assert len(times) >= 6


async def test_a_clock_that_was_ahead_is_caught_up_with(fleet: Fleet) -> None:
    await fleet.publish()
    fleet.clock.step(600)
    async with fleet.worker("w1"):
        await fleet.clock.advance(6)
    fleet.clock.step(-600)
    async with fleet.worker("w2"):
        await fleet.clock.advance(60)
        before = (await fleet.rounds())[-1].at_ms
        assert before / 1000 > fleet.clock.now() + 500
        await fleet.clock.advance(1_400)
        after = (await fleet.rounds())[-1].at_ms
    assert after / 1000 <= fleet.clock.now()


async def test_frames_beyond_what_may_wait_are_counted_in_early(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fleet.publish()
    async with fleet.worker() as running:
        running.partition.intake.inbox.largest = 100
        await fleet.clock.advance(2)
        for _ in range(5):
            await fleet.report(spend_micros=100_000)
            await fleet.clock.advance(0.01)
        await settle()
        assert running.partition.intake.inbox.frame_bytes <= 100
        late = await fleet.publish(names_in(P, 1)[0])
        await fleet.clock.advance(2)
        rounds = await fleet.rounds()
        await fleet.clock.advance(2)
        next_round = (await fleet.rounds())[len(rounds)]
    assert rounds[-1].settled_micros == 500_000
    assert rounds[-1].campaigns_revision < late  # came after the round's frames were counted in
    assert next_round.campaigns_revision == late


async def test_frames_that_there_is_no_room_for_stay_with_the_broker(fleet: Fleet) -> None:
    await fleet.publish()
    async with fleet.worker() as running:
        await fleet.clock.advance(2)
        intake = running.partition.intake
        intake._room.most = 100
        for _ in range(8):
            await fleet.report()
        await settle()
        assert intake.inbox.frames == 2  # of 64 bytes: after the second there is no room
        assert intake.lag == 8
        await fleet.clock.advance(12)
        assert intake.lag == 0
        rounds = await fleet.rounds()
        assert intake._room.waiting == 0
        await fleet.report()
        await settle()
        running.task.cancel()
        await asyncio.wait([running.task])
        assert intake._room.waiting == 0  # what it leaves behind takes no room from others
    assert rounds[-1].metrics_sequence == 8


async def test_rows_of_unknown_campaigns_are_spoken_of_once(fleet: Fleet) -> None:
    await fleet.publish()
    with capture_logs() as logs:
        async with fleet.worker():
            for _ in range(5):
                await fleet.report("nobody")
                await fleet.clock.advance(2)
    spoken = [line for line in logs if line["event"] == "rows_not_counted"]
    assert [(line["unknown"], line["refused"]) for line in spoken] == [(1, 0)]


async def test_reports_too_old_to_replace_anything_are_spoken_of(fleet: Fleet) -> None:
    await fleet.publish()
    with capture_logs() as logs:
        async with fleet.worker():
            for at in (*range(70), 0):  # a window holds 64
                await fleet.report(at=START + at, spend_micros=1_000)
            await fleet.clock.advance(2)
            settled = (await fleet.rounds())[-1].settled_micros
    spoken = [line for line in logs if line["event"] == "rows_added_late"]
    assert [line["added_late"] for line in spoken] == [1]
    assert settled == 71_000
