"""What the next owner decides is what the former one would have, to the bit."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import msgspec
import pytest

from engine.domain.campaign import Flight
from engine.domain.lifecycle import State
from engine.messaging.records import Release, Take
from engine.worker import recovery
from support.clock import settle
from support.definitions import START, names_in
from support.one_partition import DamagedSnapshots, Fleet, NoSnapshots, P

ROUNDS = 12


async def decisions(fleet: Fleet) -> list[bytes]:
    """Return the rounds without what differs by owner: epoch, name, links, what it wrote itself."""
    bare = {"previous": 0, "epoch": 0, "owner": "", "entries": []}
    return [
        msgspec.msgpack.encode(msgspec.structs.replace(record, **bare))
        for record in await fleet.rounds()
    ]


async def inputs(fleet: Fleet, round_: int) -> None:
    """Give what comes in before a round: reports, a second campaign, a changed definition."""
    await fleet.report(spend_micros=700_000 + round_ * 1_000, clicks=50 + round_ % 7)
    await fleet.report(platform="meta", spend_micros=400_000, clicks=40, conversions=round_ % 3)
    if round_ == 3:
        fleet.second = names_in(P, 1)[0]
        fleet.revision = await fleet.publish(fleet.second, state=State.ACTIVE)
    if round_ == 5:
        fleet.revision = await fleet.publish(
            fleet.second, expected=fleet.revision, budget_micros=60_000_000
        )
    if round_ >= 3:  # from the round on in which it is published
        await fleet.report(fleet.second, spend_micros=300_000)
    if round_ == 8:
        await fleet.broker.frames.publish(P, b"poison", message_id=f"poison-{round_}")


async def run(
    fleet: Fleet,
    *,
    change_after: int | None,
    kill: bool = True,
    **settings: Any,  # noqa: ANN401
) -> None:
    """Run ROUNDS rounds; after one of them another worker goes on."""
    await fleet.publish(flight=Flight(START, START + 20))
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(fleet.worker("w1", **settings))
        for number in range(1, ROUNDS + 1):
            await inputs(fleet, number)
            await fleet.clock.advance(2)
            if number == change_after:
                if kill:
                    worker.task.cancel()
                else:
                    worker.partition.stop()
                await asyncio.wait([worker.task])
                await settle()
                await stack.enter_async_context(fleet.worker("w2", **settings))


@contextmanager
def held_back(chain: Any) -> Iterator[asyncio.Event]:  # noqa: ANN401
    """Let appends wait for the event given."""
    append, go_on = chain.append, asyncio.Event()

    async def slowly(partition: int, payload: bytes, *, expected: int) -> int:
        await go_on.wait()
        found: int = await append(partition, payload, expected=expected)
        return found

    chain.append = slowly
    try:
        yield go_on
    finally:
        chain.append = append


@pytest.mark.parametrize("after", range(1, ROUNDS))
async def test_a_takeover_after_any_round_decides_the_same(after: int) -> None:
    undisturbed, disturbed = Fleet(), Fleet()
    await run(undisturbed, change_after=None, snapshot_every=5)
    await run(disturbed, change_after=after, snapshot_every=5)
    assert await decisions(disturbed) == await decisions(undisturbed)
    takes = [record for record in await disturbed.records() if isinstance(record, Take)]
    assert [(take.epoch, take.owner) for take in takes] == [(1, "w1"), (2, "w2")]


@pytest.mark.parametrize("after", [1, 4, 7])
async def test_a_graceful_handover_decides_the_same(after: int) -> None:
    undisturbed, disturbed = Fleet(), Fleet()
    await run(undisturbed, change_after=None)
    await run(disturbed, change_after=after, kill=False)
    assert await decisions(disturbed) == await decisions(undisturbed)
    kinds = [type(record) for record in await disturbed.records()]
    assert kinds.index(Release) + 1 == len(kinds) - 1 - kinds[::-1].index(Take)


@pytest.mark.parametrize("after", [4, 8])  # before and after a definition is written over
async def test_a_replay_from_the_first_record_decides_the_same(after: int) -> None:
    undisturbed, disturbed = Fleet(), Fleet()
    await run(undisturbed, change_after=None)
    disturbed.snapshots = NoSnapshots()
    await run(disturbed, change_after=after)
    assert await decisions(disturbed) == await decisions(undisturbed)


async def test_a_chain_longer_than_one_reading_is_decided_again_from_its_first_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "LOOK_BACK", 4)
    undisturbed, disturbed = Fleet(), Fleet()
    await run(undisturbed, change_after=None, keep_every=3)
    disturbed.snapshots = NoSnapshots()
    await run(disturbed, change_after=10, keep_every=3)
    assert await decisions(disturbed) == await decisions(undisturbed)
    origins = {letter.origin async for letter in disturbed.broker.dead_letters.all()}
    assert origins == {f"engine.metrics.{P}"}  # the poison of round 8, no replay that differs


async def test_a_chain_whose_beginning_is_too_old_is_not_decided_again_from_its_midst(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recovery, "LOOK_BACK", 4)
    monkeypatch.setattr(recovery, "LOOK_BACK_MS", 4_000)
    fleet = Fleet()
    fleet.snapshots = NoSnapshots()
    await run(fleet, change_after=10, keep_every=3)
    origins = {letter.origin async for letter in fleet.broker.dead_letters.all()}
    assert f"engine.decisions.{P}" not in origins
    assert (await fleet.rounds())[-1].owner == "w2"


async def test_rounds_go_on_after_a_chain_whose_times_were_ahead_though_its_inputs_are_gone() -> (
    None
):
    fleet = Fleet()
    fleet.snapshots = NoSnapshots()
    await fleet.publish()
    async with fleet.worker("w1") as first:
        for _ in range(3):
            await fleet.report(spend_micros=2_000_000)
            await fleet.clock.advance(2)
        fleet.clock.step(600)  # its clock is wrong
        await fleet.clock.advance(2)
        first.task.cancel()
        await asyncio.wait([first.task])
    fleet.forget_frames()
    fleet.clock.step(-600)
    async with fleet.worker("w2"):
        await fleet.clock.advance(6)
    times = [record.at_ms for record in await fleet.rounds()]
    assert times == sorted(set(times))
    assert (await fleet.rounds())[-1].owner == "w2"


async def test_a_damaged_snapshot_means_a_longer_replay_and_a_dead_letter() -> None:
    undisturbed, disturbed = Fleet(), Fleet()
    await run(undisturbed, change_after=None)
    disturbed.snapshots = DamagedSnapshots()
    await run(disturbed, change_after=4)
    assert await decisions(disturbed) == await decisions(undisturbed)
    letters = [letter async for letter in disturbed.broker.dead_letters.all()]
    assert f"engine.state.{P}" in {letter.origin for letter in letters}


async def test_inputs_that_have_aged_out_leave_the_chains_ledger_in_force() -> None:
    fleet = Fleet()
    fleet.snapshots = NoSnapshots()
    await fleet.publish()
    async with fleet.worker("w1") as first:
        for _ in range(3):
            await fleet.report(spend_micros=2_000_000)
            await fleet.clock.advance(2)
        first.task.cancel()
        await asyncio.wait([first.task])
    before = (await fleet.rounds())[-1]
    fleet.forget_frames()
    async with fleet.worker("w2"):
        await fleet.clock.advance(4)
    after = (await fleet.rounds())[-1]
    letters = [letter async for letter in fleet.broker.dead_letters.all()]
    assert before.settled_micros == 6_000_000
    assert after.settled_micros >= 6_000_000
    # What platforms may have spent on the caps they were given is not given out again.
    assert after.settled_micros + after.reserved_micros <= 100_000_000
    assert after.settled_micros >= before.settled_micros
    assert f"engine.decisions.{P}" in {letter.origin for letter in letters}


async def test_a_partition_taken_meanwhile_is_left_alone() -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker("w1") as first, fleet.worker("w2") as second:
        await fleet.clock.advance(6)
        owners = {record.owner for record in (await fleet.rounds())[1:]}
        assert len(owners) == 1
        loser = first if owners == {"w2"} else second
        assert loser.task.done()


async def test_an_entry_written_over_since_does_not_lose_what_was_counted_under_it() -> None:
    fleet = Fleet()
    fleet.snapshots = NoSnapshots()
    revision = await fleet.publish()
    async with fleet.worker("w1") as first:
        await fleet.report(spend_micros=2_000_000)
        await fleet.clock.advance(4)
        await fleet.publish(expected=revision, name="written over", labels={"team": "b"})
        await fleet.clock.advance(4)
        first.task.cancel()
        await asyncio.wait([first.task])
    before = (await fleet.rounds())[-1]
    async with fleet.worker("w2"):
        await fleet.clock.advance(2)
    after = (await fleet.rounds())[-1]
    assert (after.settled_micros, before.settled_micros) == (2_000_000, 2_000_000)
    assert [letter async for letter in fleet.broker.dead_letters.all()] == []


async def many_changes(fleet: Fleet, *, change_after: int | None) -> list[bytes]:
    """Change a campaign in each of ROUNDS rounds, more often than the table keeps entries."""
    fleet.snapshots = NoSnapshots()
    revision = await fleet.publish(budget_micros=80_000_000)
    async with AsyncExitStack() as stack:
        worker = await stack.enter_async_context(fleet.worker("w1"))
        for number in range(1, ROUNDS + 1):
            await fleet.report(spend_micros=300_000 + number, clicks=20)
            revision = await fleet.publish(
                expected=revision, budget_micros=80_000_000 - number * 1_000_000
            )
            await fleet.clock.advance(2)
            if number == change_after:
                worker.task.cancel()
                await asyncio.wait([worker.task])
                await stack.enter_async_context(fleet.worker("w2"))
    return await decisions(fleet)


async def test_a_campaign_changed_more_often_than_the_table_remembers_is_replayed_exactly() -> None:
    undisturbed = await many_changes(Fleet(), change_after=None)
    fleet = Fleet()
    assert await many_changes(fleet, change_after=ROUNDS - 1) == undisturbed
    assert [letter async for letter in fleet.broker.dead_letters.all()] == []
    takes = [record for record in await fleet.records() if isinstance(record, Take)]
    assert [take.owner for take in takes] == ["w1", "w2"]


async def test_a_snapshot_is_of_a_record_and_of_nothing_that_came_after_it() -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker("w1", snapshot_every=0.1) as first:
        await fleet.clock.advance(2)
        first.partition.intake.inbox.largest = 1
        with held_back(first.broker.chain) as go_on:
            await fleet.clock.advance(2)  # the next round is decided, its append under way
            await fleet.report(spend_micros=100_000)
            await fleet.clock.advance(0.1)
            assert first.partition.intake.inbox.frames == 0  # counted in early
            go_on.set()
            await settle()
        first.task.cancel()
        await asyncio.wait([first.task])
    reported = fleet.frames * 100_000
    async with fleet.worker("w2"):
        await fleet.clock.advance(2)
    after = (await fleet.rounds())[-1]
    assert after.metrics_sequence == fleet.frames
    assert after.settled_micros == reported
    assert [letter async for letter in fleet.broker.dead_letters.all()] == []


async def before_the_next_round(fleet: Fleet, seconds: float) -> float:
    """Let time pass until the next round is due in so many seconds; return when that is."""
    await fleet.clock.advance(5)
    due = (await fleet.rounds())[-1].at_ms / 1000 + 2
    await fleet.clock.advance(due - seconds - fleet.clock.now())
    return due


async def test_a_round_that_is_about_to_be_due_is_decided_before_the_partition_is_given_back() -> (
    None
):
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker("w1") as one:
        due = await before_the_next_round(fleet, 0.1)
        one.partition.stop()
        await fleet.clock.advance(0.05)
        assert not one.task.done()
        await fleet.clock.advance(0.1)
        assert one.task.done()
    assert (await fleet.rounds())[-1].at_ms == due * 1000
    assert isinstance((await fleet.records())[-1], Release)


async def test_a_partition_with_time_for_the_next_owner_is_given_back_at_once() -> None:
    fleet = Fleet()
    await fleet.publish()
    async with fleet.worker("w1") as one:
        due = await before_the_next_round(fleet, 0.5)
        one.partition.stop()
        await settle()
        assert one.task.done()
    assert (await fleet.rounds())[-1].at_ms == (due - 2) * 1000
    assert isinstance((await fleet.records())[-1], Release)
