"""Followers of single partitions on a real nats-server: few consumers, and every frame once."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.clock import SystemClock
from engine.domain.ids import PARTITIONS
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.ports import Follower, Message
from support.waiting import wait_until

STREAM = "ENGINE_METRICS"


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with embedded_server() as running:
        yield running


@pytest.fixture
async def broker(server: EmbeddedServer) -> AsyncIterator[NatsBroker]:
    async with connect(server.url, name="test", clock=SystemClock()) as connected:
        yield connected


class Feed:
    """Frames that are numbered, by turns to some partitions."""

    def __init__(self, broker: NatsBroker, partitions: int) -> None:
        self.published = 0
        self._broker = broker
        self._partitions = partitions

    async def publish(self, count: int, *, saying: bytes = b"") -> None:
        for _ in range(count):
            number, self.published = self.published, self.published + 1
            partition = number % self._partitions
            payload = b"%d %s" % (number, saying)
            await self._broker.frames.publish(partition, payload, message_id=f"{saying!r} {number}")
        await self._broker.frames.flush()

    async def more(self, count: int) -> None:
        """Return once so many more have been published, by somebody else."""
        enough = self.published + count
        await wait_until(lambda: self.published >= enough, within_s=20)

    def of(self, partition: int) -> list[int]:
        """Return the numbers that a partition has been sent."""
        return list(range(partition, self.published, self._partitions))


class Ear:
    """What one follower has heard."""

    def __init__(self) -> None:
        self.heard: list[Message] = []

    @property
    def numbers(self) -> list[int]:
        return [int(message.payload.split()[0]) for message in self.heard]


async def follow(stack: AsyncExitStack, broker: NatsBroker, partition: int) -> tuple[Ear, Follower]:
    ear = Ear()
    following = broker.frames.follow(ear.heard.append, partitions=[partition])
    return ear, await stack.enter_async_context(following)


async def api(broker: NatsBroker, what: str) -> dict[str, Any]:
    delivery = await broker.link.request(f"$JS.API.{what}")
    found: dict[str, Any] = msgspec.json.decode(delivery.payload)
    return found


async def until_one_consumer(broker: NatsBroker) -> str:
    """Wait until the followers of all partitions read together; return their consumer."""
    async with asyncio.timeout(10):
        while len(names := (await api(broker, f"CONSUMER.NAMES.{STREAM}"))["consumers"]) != 1:
            pass
    name: str = names[0]
    return name


async def test_followers_of_many_partitions_share_a_consumer(broker: NatsBroker) -> None:
    feed = Feed(broker, 40)
    await feed.publish(400)
    async with AsyncExitStack() as stack:
        followers = [await follow(stack, broker, partition) for partition in range(40)]
        await until_one_consumer(broker)
        await feed.publish(400)
        for partition, (ear, follower) in enumerate(followers):
            await asyncio.wait_for(follower.caught_up(), 10)
            assert ear.numbers == feed.of(partition)


async def test_who_begins_later_and_further_back_disturbs_nobody(broker: NatsBroker) -> None:
    feed = Feed(broker, 4)
    await feed.publish(6_000)
    async with AsyncExitStack() as stack:
        first, follower = await follow(stack, broker, 0)
        await asyncio.wait_for(follower.caught_up(), 10)
        second, other = await follow(stack, broker, 1)
        publishing = asyncio.create_task(feed.publish(2_000))
        await until_one_consumer(broker)
        await asyncio.wait_for(publishing, 20)
        for each in (follower, other):
            await asyncio.wait_for(each.caught_up(), 10)
        assert first.numbers == feed.of(0)
        assert second.numbers == feed.of(1)


async def test_what_nobody_follows_any_more_is_not_read(broker: NatsBroker) -> None:
    feed = Feed(broker, 4)
    async with AsyncExitStack() as staying:
        ear, follower = await follow(staying, broker, 0)
        async with AsyncExitStack() as leaving:
            await follow(leaving, broker, 1)
            await until_one_consumer(broker)
        await feed.publish(40)
        async with asyncio.timeout(10):
            while True:
                name = await until_one_consumer(broker)
                info = await api(broker, f"CONSUMER.INFO.{STREAM}.{name}")
                if info.get("config", {}).get("filter_subjects") == ["engine.metrics.0"]:
                    break
        await asyncio.wait_for(follower.caught_up(), 10)
        assert ear.numbers == feed.of(0)
        assert follower.lag == 0
    assert follower.lag is None  # a partition is asked for it while it is given back, too
    async with asyncio.timeout(10):
        while (await api(broker, f"CONSUMER.NAMES.{STREAM}"))["consumers"]:
            pass


async def test_frames_that_replace_a_lost_tail_are_heard_by_all(tmp_path: Path) -> None:
    """A store put back to an earlier state stands for a tail that was never written."""
    store, saved = tmp_path / "store", tmp_path / "saved"
    async with (
        embedded_server(store) as server,
        connect(server.url, name="test", clock=SystemClock()) as broker,
        AsyncExitStack() as stack,
    ):
        followers = [await follow(stack, broker, partition) for partition in range(2)]
        # A publisher that stays would send again what it lost: this one has gone by then.
        async with connect(server.url, name="writer", clock=SystemClock()) as writer:
            feed = Feed(writer, 2)
            await feed.publish(60, saying=b"before")
            await server.stop()
            shutil.copytree(store, saved)
            await server.start()
            await feed.publish(40, saying=b"before")
        for _, follower in followers:
            await asyncio.wait_for(follower.caught_up(), 10)
        await server.kill()
        shutil.rmtree(store)
        saved.rename(store)
        await server.start()
        async with connect(server.url, name="other", clock=SystemClock()) as other:
            again = Feed(other, 2)
            again.published = 60
            await again.publish(60, saying=b"after")
        for partition, (ear, follower) in enumerate(followers):
            await asyncio.wait_for(follower.caught_up(), 15)
            after = [m.payload for m in ear.heard if m.payload.endswith(b"after")]
            wanted = range(60 + partition, 120, 2)
            assert [payload.split()[0] for payload in after] == [b"%d" % n for n in wanted]


async def test_a_slow_follower_leaves_frames_at_the_broker_and_gets_them_all(
    broker: NatsBroker,
) -> None:
    feed, ear, is_held = Feed(broker, 1), Ear(), True
    await feed.publish(5_000)
    following = broker.frames.follow(
        ear.heard.append, partitions=[0], wants_more=lambda: not is_held or len(ear.heard) < 300
    )
    async with following as follower:
        await wait_until(lambda: len(ear.heard) >= 300, within_s=10)
        await broker.link.request("$JS.API.INFO")  # what was on its way has come
        most = len(ear.heard)
        await feed.publish(500)
        assert len(ear.heard) <= most + 512 < 5_000
        is_held = False
        follower.go_on()
        await asyncio.wait_for(follower.caught_up(), 10)
    assert ear.numbers == feed.of(0)


async def test_nothing_is_lost_by_servers_killed_while_many_read_together(
    server: EmbeddedServer, broker: NatsBroker
) -> None:
    async with connect(server.url, name="writer", clock=SystemClock()) as writer:
        feed, is_over = Feed(writer, 8), False

        async def publish() -> None:
            while not is_over:
                await feed.publish(100)

        async with AsyncExitStack() as stack:
            publishing = asyncio.create_task(publish())
            followers = []
            for partition in range(8):
                followers.append(await follow(stack, broker, partition))
                if partition % 3 == 2:
                    await feed.more(300)
                    await server.kill()
                    await server.start()
            is_over = True
            await asyncio.wait_for(publishing, 30)
            for partition, (ear, follower) in enumerate(followers):
                await asyncio.wait_for(follower.caught_up(), 20)
                # A frame delivered, lost with the unwritten tail and stored again comes twice.
                assert sorted(set(ear.numbers)) == feed.of(partition)
                assert list(dict.fromkeys(ear.numbers)) == feed.of(partition)


async def test_who_follows_all_partitions_asks_for_them_in_one_word(broker: NatsBroker) -> None:
    feed = Feed(broker, PARTITIONS)
    async with AsyncExitStack() as stack:
        followers = [await follow(stack, broker, partition) for partition in range(PARTITIONS)]
        name = await until_one_consumer(broker)
        info = await api(broker, f"CONSUMER.INFO.{STREAM}.{name}")
        assert info["config"]["filter_subjects"] == ["engine.metrics.*"]
        await feed.publish(2 * PARTITIONS)
        for partition, (ear, follower) in enumerate(followers):
            await asyncio.wait_for(follower.caught_up(), 10)
            assert ear.numbers == feed.of(partition)
