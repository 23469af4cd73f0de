"""Workers together: who takes what, how they leave, and what befalls one partition alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.domain.codec import encode_campaign
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.link import UnansweredError
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Message
from engine.messaging.records import Decide, Record, Release, Take, decode_record
from engine.worker.service import Worker
from engine.worker.settings import WorkerSettings
from support.clock import ManualClock, settle
from support.definitions import START, campaign


class Nodes:
    """Workers on one broker, with one clock."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.server = MemoryServer()
        self.broker = MemoryBroker(server=self.server, name="test", clock=self.clock)

    @asynccontextmanager
    async def worker(self, name: str) -> AsyncIterator["Node"]:
        node = Node(self, name)
        await settle()
        try:
            yield node
        finally:
            node.task.cancel()
            await asyncio.wait([node.task])

    async def publish(self, name: str) -> None:
        await self.broker.campaigns.put(name, encode_campaign(campaign(name)), expected=0)

    async def records(self, partition: int) -> list[Record]:
        return [
            decode_record("", message.payload)
            async for message in self.broker.chain.read(partition)
        ]

    async def epochs_above(self, epoch: int) -> list[bool]:
        """Return, of each partition, whether it was taken more often than so."""
        chains = [await self.records(partition) for partition in range(PARTITIONS)]
        return [chain[-1].epoch > epoch for chain in chains]


class Node:
    """A worker at work."""

    def __init__(self, nodes: Nodes, name: str) -> None:
        self.broker = MemoryBroker(server=nodes.server, name=name, clock=nodes.clock)
        self.worker = Worker(
            broker=self.broker, clock=nodes.clock, name=name, settings=WorkerSettings(interval=1)
        )
        self.task = asyncio.create_task(self.worker.run())


@pytest.fixture
def nodes() -> Nodes:
    return Nodes()


async def test_a_lone_worker_listens_first_and_then_takes_everything(nodes: Nodes) -> None:
    async with nodes.worker("a") as a:
        await nodes.clock.advance(0.1)
        assert a.worker.held() == []
        await nodes.clock.advance(0.3)
        assert a.worker.held() == list(range(PARTITIONS))


async def test_at_the_start_only_what_is_nobodys_is_taken_early(nodes: Nodes) -> None:
    async with nodes.worker("a") as a:
        await nodes.clock.advance(1)
        a.worker._partitions[7].stop()  # that one it gives back
        await nodes.clock.advance(0.05)
        a.task.cancel()  # and the others it is killed with
        await asyncio.wait([a.task])
    assert isinstance((await nodes.records(7))[-1], Release)
    async with nodes.worker("b") as b:
        await nodes.clock.advance(0.5)
        assert b.worker.held() == [7]
        await nodes.clock.advance(0.5)
        assert b.worker.held() == list(range(PARTITIONS))


async def test_two_workers_that_start_together_share_without_moving_any(nodes: Nodes) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        assert len(a.worker.held()) == len(b.worker.held()) == PARTITIONS // 2
        assert sorted(a.worker.held() + b.worker.held()) == list(range(PARTITIONS))
    for partition in range(PARTITIONS):
        assert [type(record) for record in await nodes.records(partition)] == [Take]


async def test_a_worker_that_joins_is_given_its_share(nodes: Nodes) -> None:
    async with nodes.worker("a") as a:
        await nodes.clock.advance(2)
        async with nodes.worker("b") as b:
            await nodes.clock.advance(0.5)
            assert len(a.worker.held()) == PARTITIONS  # b only listens yet
            await nodes.clock.advance(1.5)
            assert len(a.worker.held()) == len(b.worker.held()) == PARTITIONS // 2
            moved = b.worker.held()[0]
            kinds = [type(record) for record in await nodes.records(moved)]
            assert kinds == [Take, Release, Take]


async def test_a_dead_workers_partitions_are_taken_after_the_suspicion_time(nodes: Nodes) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        b.task.cancel()
        await asyncio.wait([b.task])
        await nodes.clock.advance(0.4)
        assert len(a.worker.held()) == PARTITIONS // 2
        await nodes.clock.advance(0.5)
        assert len(a.worker.held()) == PARTITIONS


async def test_a_worker_known_to_be_gone_is_not_waited_for(nodes: Nodes) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        b.task.cancel()
        await asyncio.wait([b.task])
        nodes.server.tell_lost(b.broker.heartbeats.connection)
        await nodes.clock.advance(0.02)
        assert len(a.worker.held()) == PARTITIONS


async def test_the_loss_of_a_worker_that_is_alive_after_all_moves_nothing_for_long(
    nodes: Nodes,
) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        held = b.worker.held()
        nodes.server.tell_lost("memory/of-before")
        await nodes.clock.advance(0.5)
        assert b.worker.held() == held
        nodes.server.tell_lost(b.broker.heartbeats.connection)
        b.broker.heartbeats.client = "another"
        await nodes.clock.advance(3)
        assert b.worker.held() == held
        assert len(a.worker.held()) == PARTITIONS // 2


async def test_a_partition_without_campaigns_is_not_left_to_whoever_lost_it(nodes: Nodes) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        nodes.server.tell_lost(b.broker.heartbeats.connection)  # but b lives, and is not told
        await nodes.clock.advance(0.05)
        assert len(a.worker.held()) == PARTITIONS
        b.broker.heartbeats.client = "another"
        await nodes.clock.advance(5)
        for partition in range(PARTITIONS):
            last = (await nodes.records(partition))[-1]
            assert not isinstance(last, Release), partition
            holder = next(one for one in (a, b) if partition in one.worker.held())
            assert last.owner == holder.worker.name, partition


async def test_a_worker_that_is_cut_off_takes_nothing_and_waits_when_it_is_back(
    nodes: Nodes,
) -> None:
    async with nodes.worker("a") as a:
        hears = nodes.server.listeners[0]
        async with nodes.worker("b") as b:
            await nodes.clock.advance(3)
            half = b.worker.held()
            nodes.server.listeners.remove(hears)  # it does not know: its connection stands
            await nodes.clock.advance(5)
            assert b.worker.held() == half
            assert len(a.worker.held()) == PARTITIONS // 2
            b.task.cancel()
            await asyncio.wait([b.task])
            nodes.server.listeners.append(hears)
            await nodes.clock.advance(0.5)
            assert len(a.worker.held()) == PARTITIONS // 2  # it has not listened for long enough
            await nodes.clock.advance(0.5)
            assert len(a.worker.held()) == PARTITIONS


async def test_a_worker_that_was_held_waits_before_it_judges_the_others(nodes: Nodes) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        nodes.clock.leap(30)  # SIGSTOP and SIGCONT: nobody ran, nobody was heard
        await nodes.clock.advance(0.5)
        assert len(a.worker.held()) == len(b.worker.held()) == PARTITIONS // 2
        b.task.cancel()
        await asyncio.wait([b.task])
        await nodes.clock.advance(1.5)
        assert len(a.worker.held()) == PARTITIONS
    assert not any(await nodes.epochs_above(3))


async def test_a_stopped_worker_releases_everything_and_another_has_it_at_once(
    nodes: Nodes,
) -> None:
    async with nodes.worker("a") as a, nodes.worker("b") as b:
        await nodes.clock.advance(2)
        given = b.worker.held()
        b.worker.stop()
        await nodes.clock.advance(0.3)
        assert b.task.done()
        assert b.task.exception() is None
        assert len(a.worker.held()) == PARTITIONS
    kinds = [type(record) for record in await nodes.records(given[0])]
    assert kinds[:3] == [Take, Release, Take]


async def test_a_stop_before_the_start_and_a_second_stop_are_harmless(nodes: Nodes) -> None:
    worker = Worker(broker=nodes.broker, clock=nodes.clock, name="early", settings=WorkerSettings())
    worker.stop()
    await worker.run()
    assert await nodes.records(0) == []
    async with nodes.worker("a") as a:
        await nodes.clock.advance(2)
        a.worker.stop()
        a.worker.stop()
        await settle()
        await nodes.clock.advance(1)
        assert a.task.done()
        a.worker.stop()


async def test_nothing_is_decided_or_taken_while_the_broker_is_away(nodes: Nodes) -> None:
    await nodes.publish("spring-shoes")
    partition = partition_of("spring-shoes")
    async with nodes.worker("a") as a:
        await nodes.clock.advance(4)
        nodes.server.disconnect()
        await nodes.clock.advance(10)
        assert not a.worker.is_ready
        nodes.server.reconnect()
        before = len(await nodes.records(partition))
        await nodes.clock.advance(0.5)
        assert a.worker.is_ready
        after = await nodes.records(partition)
        assert len(after) > before  # within half a second
    assert sum(isinstance(record, Take) for record in after) == 1


async def test_a_second_stop_leaves_without_the_broker(nodes: Nodes) -> None:
    await nodes.publish("spring-shoes")
    async with nodes.worker("a") as a:
        await nodes.clock.advance(4)
        nodes.server.disconnect()
        await nodes.clock.advance(2)
        a.worker.stop()
        await nodes.clock.advance(0.2)
        assert not a.task.done()  # the releases wait for the broker
        a.worker.stop()
        async with asyncio.timeout(5):
            await asyncio.wait([a.task])
        assert a.task.exception() is None


async def test_an_unreadable_chain_stops_its_partition_and_no_other(nodes: Nodes) -> None:
    await nodes.broker.chain.append(7, b"nonsense", expected=0)
    async with nodes.worker("a") as a:
        await nodes.clock.advance(5)
        assert a.worker.held() == [p for p in range(PARTITIONS) if p != 7]
        assert len([m async for m in nodes.broker.chain.read(7)]) == 1


async def test_a_partition_that_the_broker_says_nothing_of_is_tried_again_and_again(
    nodes: Nodes,
) -> None:
    async with nodes.worker("a") as a:
        head, is_silent = a.broker.chain.head, True

        async def answered(partition: int) -> Message | None:
            if partition == 7 and is_silent:
                raise UnansweredError("engine.decisions.7: no answer within 2.0 s")
            return await head(partition)

        a.broker.chain.head = answered  # type: ignore[method-assign]
        await nodes.clock.advance(20)
        assert a.worker.held() == [number for number in range(PARTITIONS) if number != 7]
        is_silent = False
        await nodes.clock.advance(1)  # were it a fault of the partition, it would wait for longer
        assert a.worker.held() == list(range(PARTITIONS))


async def test_a_malformed_heartbeat_is_buried(nodes: Nodes) -> None:
    async with nodes.worker("a") as a:
        await nodes.broker.heartbeats.beat("liar", b"nonsense")
        await nodes.clock.advance(2)
        assert len(a.worker.held()) == PARTITIONS
        letters = [letter async for letter in nodes.broker.dead_letters.all()]
    assert [letter.origin for letter in letters] == ["engine.heartbeat.liar"]


async def test_rounds_go_on_without_a_gap_through_joins_and_leaves(nodes: Nodes) -> None:
    names = [f"campaign-{number}" for number in range(20)]
    for name in names:
        await nodes.publish(name)
    async with nodes.worker("a") as a:
        await nodes.clock.advance(3)
        async with nodes.worker("b") as b:
            await nodes.clock.advance(3)
            a.worker.stop()
            await nodes.clock.advance(3)
            async with nodes.worker("c"):
                await nodes.clock.advance(3)
                b.task.cancel()  # as by kill -9
                await nodes.clock.advance(3)
    for partition in {partition_of(name) for name in names}:
        records = await nodes.records(partition)
        rounds = [record.round for record in records if isinstance(record, Decide)]
        assert rounds == list(range(1, len(rounds) + 1))
        times = [record.at_ms for record in records if isinstance(record, Decide)]
        assert times == sorted(set(times))
        epochs = [record.epoch for record in records]
        assert epochs == sorted(epochs)
        assert len(rounds) >= 10


async def test_an_outage_moves_no_partition(nodes: Nodes) -> None:
    async with nodes.worker("a"), nodes.worker("b"):
        await nodes.clock.advance(2)
        nodes.server.disconnect()
        await nodes.clock.advance(10)
        nodes.server.reconnect()
        await nodes.clock.advance(3)
    for partition in range(PARTITIONS):
        assert [type(record) for record in await nodes.records(partition)] == [Take]
