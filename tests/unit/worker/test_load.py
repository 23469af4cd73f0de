"""More rounds than there is time for: which are left out, and that no campaign falls silent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.domain.codec import encode_campaign
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Decide, Heartbeat, decode_heartbeat, decode_record
from engine.worker.load import (
    GOOD_REVIEWS,
    LATE_REVIEWS,
    MOST,
    SELDOM,
    SETTLING_REVIEWS,
    SPARE,
    Load,
    Told,
)
from engine.worker.service import Worker
from engine.worker.settings import WorkerSettings
from support.clock import ManualClock, settle
from support.definitions import START, campaign, names_in

BUSY = range(0, 64, 4)  # the partitions that have a campaign, each with a larger budget
INTERVAL = 1


class SlowBroker(MemoryBroker):
    """Takes its time for each record, one after another."""

    def __init__(self, *, server: MemoryServer, clock: ManualClock) -> None:
        super().__init__(server=server, name="w1", clock=clock)
        self.takes_s = 0.0
        self._turn = asyncio.Lock()
        append = self.chain.append

        async def slowly(partition: int, payload: bytes, *, expected: int) -> int:
            if self.takes_s and isinstance(decode_record("", payload), Decide):
                async with self._turn:
                    await clock.sleep(self.takes_s)
            return await append(partition, payload, expected=expected)

        self.chain.append = slowly  # type: ignore[method-assign]


class Site:
    """One worker with more and more at stake from partition to partition."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = MemoryServer()
        self.broker = SlowBroker(server=self.server, clock=self.clock)
        self.worker = Worker(
            broker=self.broker,
            clock=self.clock,
            name="w1",
            settings=WorkerSettings(interval=INTERVAL),
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        for partition in BUSY:
            (name,) = names_in(partition, 1)
            budget = 10_000_000 * 2 ** (partition // 4)
            payload = encode_campaign(campaign(name, budget_micros=budget))
            await self.broker.campaigns.put(name, payload, expected=0)
        task = asyncio.create_task(self.worker.run())
        await settle()
        await self.clock.advance(5)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def steps(self, partition: int, since: float) -> list[int]:
        """Return how many intervals lie between the rounds of a partition since a time."""
        records = [
            decode_record("", message.payload)
            async for message in self.broker.chain.read(partition)
        ]
        times = [
            record.at_ms
            for record in records
            if isinstance(record, Decide) and record.at_ms > since * 1000
        ]
        return [(after - before) // (1000 * INTERVAL) for before, after in pairwise(times)]


@pytest.fixture
def site() -> Site:
    return Site()


async def test_under_overload_those_with_most_at_stake_are_decided_every_time(site: Site) -> None:
    async with site.at_work():
        site.broker.takes_s = 0.125  # eight rounds in an interval, and sixteen are due
        with capture_logs() as spoken:
            await site.clock.advance(14)
        since = site.clock.now()
        await site.clock.advance(24)
        steps = {partition: await site.steps(partition, since) for partition in BUSY}
        beats: list[Heartbeat] = []
        async with site.broker.heartbeats.listen(
            lambda _, payload: beats.append(decode_heartbeat("", payload))
        ):
            await site.clock.advance(1)
        for partition in BUSY[-4:]:
            assert set(steps[partition]) <= {1, 2}
            assert steps[partition].count(1) >= 10
        for partition in BUSY[:4]:
            assert steps[partition].count(1) == 0
        assert all(max(found) <= SELDOM + 1 for found in steps.values())  # nobody falls silent
        status = site.worker.status()
        assert status["overloaded"] is True
        # The newest heartbeat is older than this by less than two rounds of any partition.
        assert status["shed_rounds"] in (beats[-1].shed_rounds, beats[-1].shed_rounds + 1)
        assert beats[-1].shed_share == status["shed_share"]
        assert beats[-1].shed_rounds > 0
        assert site.worker.shed_share >= beats[-1].shed_share - 0.001 > 0
        said = [line for line in spoken if line["event"] == "overloaded"]
        assert said
        assert said[-1]["partitions_decided_less_often"] > 0


async def test_all_is_decided_every_time_again_when_there_is_time(site: Site) -> None:
    async with site.at_work():
        site.broker.takes_s = 0.125
        await site.clock.advance(8)
        site.broker.takes_s = 0.0
        with capture_logs() as spoken:
            await site.clock.advance(60)
        assert site.worker.status()["overloaded"] is False
        since = site.clock.now()
        await site.clock.advance(10)
        for partition in BUSY:
            assert set(await site.steps(partition, since)) == {1}
        assert [line["event"] for line in spoken if "overload" in line["event"]][-1] == (
            "overload_over"
        )


async def test_what_people_change_does_not_wait_for_a_partitions_turn(site: Site) -> None:
    async with site.at_work():
        site.broker.takes_s = 0.25
        await site.clock.advance(16)
        (name,) = names_in(BUSY[0], 1)
        assert site.worker._load.every(BUSY[0]) == SELDOM
        before = await site.broker.campaigns.get(name)
        assert before is not None
        payload = encode_campaign(campaign(name, budget_micros=7_000_000))
        revision = await site.broker.campaigns.put(name, payload, expected=before.sequence)
        await site.clock.advance(3 * INTERVAL)
        last = [
            decode_record("", message.payload) async for message in site.broker.chain.read(BUSY[0])
        ][-1]
        assert last.campaigns_revision == revision


async def test_an_outage_is_no_overload(site: Site) -> None:
    async with site.at_work():
        site.broker.takes_s = 0.02  # so that some records are on their way
        for _ in range(8):
            site.server.disconnect()
            await site.clock.advance(1.2)
            site.server.reconnect()
            await site.clock.advance(0.3)
        assert site.worker.status()["overloaded"] is False


def told(*, stake: int = 0, late: bool = False, lag: int = 0, campaigns: int = 9) -> Told:
    return Told(
        campaigns=campaigns,
        settled_micros=0,
        planned_micros=stake,
        late=late,
        slow=late,
        lag=lag,
    )


def rounds(load: Load, count: int, *, begin: int = 0, **fields: Any) -> None:  # noqa: ANN401
    """Tell of some intervals' rounds of ten partitions, partition p with p at stake."""
    for number in range(begin, begin + count):
        rounds_at(load, 1.0 + number, **fields)


def rounds_at(load: Load, now: float, **fields: Any) -> None:  # noqa: ANN401
    """Tell of a round of each of ten partitions."""
    for partition in range(10):
        load.tell(partition, told(stake=partition, **fields), now=now)


def test_a_late_interval_or_two_change_nothing() -> None:
    load = Load(worker="w1", interval=1.0)
    for begin in range(0, 30, 3):
        rounds(load, LATE_REVIEWS - 1, begin=begin, late=True)
        rounds(load, 1, begin=begin + LATE_REVIEWS - 1)
    assert not load.is_overloaded


def test_a_few_late_rounds_are_a_pause_and_no_overload() -> None:
    load = Load(worker="w1", interval=1.0)
    for number in range(4 * LATE_REVIEWS):
        for partition in range(10):
            load.tell(partition, told(late=partition == number % 10), now=1.0 + number)
    assert not load.is_overloaded


def test_short_intervals_are_reviewed_by_the_second_and_shed_what_a_second_has_no_time_for() -> (
    None
):
    load = Load(worker="w1", interval=0.05)
    for number in range(20 * LATE_REVIEWS):  # of twenty rounds a second five are done, and late
        if number % 4 == 0:
            rounds_at(load, 1.0 + 0.05 * number, late=True)
        assert not load.is_overloaded
    rounds_at(load, 1.0 + LATE_REVIEWS, late=True)
    assert load.share == pytest.approx(1 - (1 - SPARE) / 4)


def test_rounds_that_were_late_as_partitions_were_taken_are_no_overload() -> None:
    load = Load(worker="w1", interval=1.0)
    for number in range(3 * LATE_REVIEWS):
        load.disturbed()
        rounds(load, 1, begin=number, late=True)
    assert not load.is_overloaded
    rounds(load, LATE_REVIEWS + 2, begin=3 * LATE_REVIEWS, late=True)
    assert load.is_overloaded


def test_the_least_at_stake_is_left_out_first_and_only_as_much_as_is_needed() -> None:
    load = Load(worker="w1", interval=1.0)
    rounds(load, LATE_REVIEWS + 1, late=True)
    assert load.share == pytest.approx(SPARE)  # all rounds were done, though late
    assert [load.every(partition) for partition in range(10)] == [8, 2, 2] + [1] * 7


def test_frames_that_pile_up_in_the_stream_are_overload_too() -> None:
    load = Load(worker="w1", interval=1.0)
    for number in range(LATE_REVIEWS + 2):
        rounds(load, 1, begin=number, lag=1_000 * (1 + number))
    assert load.is_overloaded


def test_however_great_the_overload_each_partition_has_its_turn() -> None:
    load = Load(worker="w1", interval=1.0)
    rounds(load, 200, late=True)
    assert load.share == MOST
    for partition in range(10):
        due = [load.is_due(partition, 1000 * number) for number in range(10 * SELDOM)]
        assert sum(due) == 10 * SELDOM // load.every(partition)
        assert load.every(partition) <= SELDOM


def test_what_was_left_out_comes_back_step_by_step() -> None:
    load = Load(worker="w1", interval=1.0)
    rounds(load, LATE_REVIEWS + 1, late=True)
    shares = []
    for number in range(40):
        rounds(load, 1, begin=LATE_REVIEWS + 1 + number)
        shares.append(load.share)
    assert sorted(set(shares), reverse=True) == list(dict.fromkeys(shares))  # it only falls
    assert shares.index(0.0) == 2 * (SETTLING_REVIEWS + GOOD_REVIEWS) - 1
    assert {load.every(partition) for partition in range(10)} == {1}


def test_what_was_tried_again_too_early_is_tried_again_later() -> None:
    load = Load(worker="w1", interval=1.0)
    eased: list[int] = []
    before = 0.0
    for number in range(200):
        is_late = load.share < 0.1  # more than nine tenths is too much
        rounds(load, 1, begin=number, late=is_late)
        if load.share < before:
            eased.append(number)
        before = load.share
    waits = [after - before for before, after in pairwise(eased)]
    assert waits[0] < waits[1] < waits[2]


@pytest.mark.parametrize("late", [True, False])
def test_a_worker_that_has_lost_all_its_partitions_looks_at_the_next_ones_anew(late: bool) -> None:
    load = Load(worker="w1", interval=INTERVAL)
    told = Told(campaigns=4, settled_micros=0, planned_micros=1.0, late=True, slow=True, lag=0)
    for now in range(LATE_REVIEWS + 2):
        for partition in range(4):
            load.tell(partition, told, now=float(now))
    assert load.is_overloaded
    for partition in range(4):
        load.forget(partition)
    for now in range(100, 100 + 2 * (GOOD_REVIEWS + SETTLING_REVIEWS + LATE_REVIEWS)):
        load.tell(9, told._replace(late=late, slow=late), now=float(now))
        load.forget(9)
    assert load.every(9) == 1
