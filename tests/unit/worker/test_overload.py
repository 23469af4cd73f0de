"""Too much at once: records larger than a message, rounds longer than the interval."""

import asyncio

import pytest
from structlog.testing import capture_logs

from engine.domain.codec import encode_campaign
from engine.messaging.logs import LogChain
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Decide, Heartbeat, decode_heartbeat
from engine.messaging.streams import MAX_RECORD
from engine.worker.portion import Portion
from engine.worker.service import Worker
from engine.worker.settings import WorkerSettings
from support.clock import ManualClock, settle
from support.definitions import START, campaign, frame, names_in, report
from support.processes import Auditor

P = 25
LIMIT = 4_800


class One:
    """A worker on a broker in memory, and campaigns of one partition."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = MemoryServer()
        self.broker = MemoryBroker(server=self.server, name="test", clock=self.clock)
        self.largest = MAX_RECORD
        broker = MemoryBroker(server=self.server, name="w1", clock=self.clock)
        log = broker.chain._log
        broker.chain = LogChain(log=log, largest=lambda: self.largest)
        self.worker = Worker(
            broker=broker,
            clock=self.clock,
            name="w1",
            settings=WorkerSettings(interval=1),
        )

    async def publish(self, names: list[str]) -> None:
        for name in names:
            await self.broker.campaigns.put(name, encode_campaign(campaign(name)), expected=0)

    async def report(self, names: list[str]) -> None:
        for sequence, name in enumerate(names, 1):
            rows = [report(name, "google", at=self.clock.now(), spend_micros=1_000_000)]
            payload = frame(P, rows, sequence=sequence)
            await self.broker.frames.publish(P, payload, message_id=f"f{sequence}")

    async def until_all_is_counted(self, samples: int) -> None:
        """Let time pass. No longer: later on time alone changes all these campaigns at once."""
        for _ in range(60):
            await self.clock.advance(1)
            if self.worker.tally.samples >= samples and self.worker.held():
                return
        raise AssertionError(f"{self.worker.tally.samples} samples counted, of {samples}")

    async def audit(self) -> Auditor:
        auditor = Auditor()
        async for message in self.broker.chain.read(P):
            auditor.deliver(P, message.sequence, message.payload)
        return auditor

    async def sizes(self) -> list[int]:
        return [len(message.payload) async for message in self.broker.chain.read(P)]


@pytest.fixture
def one() -> One:
    return One()


async def ends(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_what_is_too_much_for_one_record_comes_in_several(one: One) -> None:
    names = names_in(P, 60)
    await one.publish(names)
    await one.report(names)
    one.largest = LIMIT
    task = asyncio.create_task(one.worker.run())
    await settle()
    with capture_logs() as spoken:
        await one.until_all_is_counted(len(names))
    auditor = await one.audit()
    rounds: list[Decide] = auditor.rounds(P)
    await ends(task)
    assert auditor.faults == []
    assert max(await one.sizes()) <= LIMIT
    assert rounds[-1].decided == len(names)
    assert rounds[-1].settled_micros == 1_000_000 * len(names)  # each sample, and once
    assert one.worker.hindrances() == []
    failed = [line["reason"] for line in spoken if line["event"] == "partition_failed"]
    assert failed
    assert f"partition {P}: a record of at most {LIMIT} bytes, found " in failed[0]
    assert "the next round takes in" in failed[0]


async def test_every_records_totals_are_those_of_the_newest_mentions(one: One) -> None:
    names = names_in(P, 60)
    await one.publish(names)
    await one.report(names)
    one.largest = LIMIT
    task = asyncio.create_task(one.worker.run())
    await settle()
    await one.until_all_is_counted(len(names))
    await ends(task)
    newest: dict[str, tuple[int, int]] = {}
    for record in (await one.audit()).rounds(P):
        columns = record.changed
        amounts = zip(columns.settled_micros, columns.reserved_micros, strict=True)
        newest |= dict(zip(columns.campaign, amounts, strict=True))
        assert record.settled_micros == sum(settled for settled, _ in newest.values())
        assert record.reserved_micros == sum(reserved for _, reserved in newest.values())


async def test_a_record_that_cannot_be_made_smaller_makes_the_worker_unready(
    one: One,
) -> None:
    one.largest = 300  # room for a Take
    await one.publish(names_in(P, 1))
    task = asyncio.create_task(one.worker.run())
    await settle()
    with capture_logs() as spoken:
        await one.clock.advance(5)
    assert one.worker.hindrances() == [
        f"records of partitions [{P}] are larger than a message may be"
    ]
    assert not one.worker.is_ready
    assert one.worker.is_live
    reasons = [line["reason"] for line in spoken if line["event"] == "partition_failed"]
    assert "more of its campaigns change at once than a record can tell" in reasons[0]
    one.largest = LIMIT
    await one.clock.advance(60)
    assert one.worker.hindrances() == []
    await ends(task)


def test_a_portion_shrinks_at_once_and_grows_back_round_by_round() -> None:
    portion = Portion()
    portion.exceeded(1_000, size=4_000_000, limit=1_000_000)
    assert (portion.most, portion.is_stuck) == (125, False)
    portion.exceeded(1, size=4_000_000, limit=1_000_000)
    assert (portion.most, portion.is_stuck) == (1, True)
    for taken in (1, 2, 3):
        portion.fitted(taken)
    assert (portion.most, portion.is_stuck) == (4, False)
    portion.fitted(3)  # nothing was left waiting
    assert not portion.is_limited


async def test_rounds_that_take_too_long_are_spoken_of_and_counted_in_the_heartbeat(
    one: One,
) -> None:
    await one.publish(names_in(P, 1))
    beats: list[Heartbeat] = []
    task = asyncio.create_task(one.worker.run())
    await settle()
    await one.clock.advance(4)
    with capture_logs() as spoken:
        one.server.lose_requests(18)  # a record is asked for again and again, some 3 s long
        await one.clock.advance(4)
        async with one.broker.heartbeats.listen(
            lambda _, payload: beats.append(decode_heartbeat("", payload))
        ):
            await one.clock.advance(2)
    await ends(task)
    late = [line for line in spoken if line["event"] == "rounds_late"]
    assert [(line["partition"], line["interval_ms"]) for line in late] == [(P, 1000)]
    assert late[0]["round_ms"] > 1000
    assert (beats[-1].late_rounds, beats[-1].skipped_rounds > 0) == (1, True)
    assert one.worker.status()["late_rounds"] == 1
    auditor = await one.audit()
    assert auditor.faults == []
