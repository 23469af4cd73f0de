"""What every broker promises of metric frames."""

import asyncio

import pytest

from engine.errors import BrokerError
from engine.messaging.ports import Broker, Message
from engine.messaging.streams import MAX_FRAME
from support.broker import Backend
from support.waiting import wait_until


async def test_frames_arrive_by_partition_and_in_order(broker: Broker) -> None:
    heard: list[Message] = []
    for n in range(600):
        await broker.frames.publish(n % 3, b"%d" % n, message_id=f"p-{n}")
    await broker.frames.flush()
    async with broker.frames.follow(heard.append, partitions=[0, 2]) as follower:
        await follower.caught_up()
    assert {m.partition for m in heard} == {0, 2}
    assert [int(m.payload) for m in heard] == [n for n in range(600) if n % 3 != 1]


async def test_a_frame_with_the_same_id_is_stored_once(broker: Broker) -> None:
    heard: list[Message] = []
    for _ in range(3):
        await broker.frames.publish(5, b"frame", message_id="p-1")
    await broker.frames.publish(5, b"other", message_id="p-2")
    await broker.frames.flush()
    async with broker.frames.follow(heard.append) as follower:
        await follower.caught_up()
    assert [m.payload for m in heard] == [b"frame", b"other"]


async def test_flush_returns_at_once_where_nothing_was_published(broker: Broker) -> None:
    await asyncio.wait_for(broker.frames.flush(), 1)


async def test_a_frame_that_is_too_large_is_refused_with_its_size(broker: Broker) -> None:
    with pytest.raises(BrokerError, match=str(MAX_FRAME + 1)):
        await broker.frames.publish(5, bytes(MAX_FRAME + 1), message_id="p-1")
    await broker.frames.publish(5, bytes(MAX_FRAME), message_id="p-2")
    await broker.frames.flush()


async def test_frames_published_during_an_outage_arrive_once_and_in_order(
    backend: Backend,
) -> None:
    async with backend.client() as broker:
        heard: list[Message] = []
        async with broker.frames.follow(heard.append) as follower:
            for n in range(100):
                await broker.frames.publish(5, b"%d" % n, message_id=f"p-{n}")
            await backend.down()
            for n in range(100, 200):
                await broker.frames.publish(5, b"%d" % n, message_id=f"p-{n}")
            await backend.up()
            await asyncio.wait_for(broker.frames.flush(), 10)
            await asyncio.wait_for(follower.caught_up(), 10)
            assert [int(m.payload) for m in heard] == list(range(200))


async def test_publishing_waits_for_room_and_can_be_cancelled(backend: Backend) -> None:
    async with backend.client() as broker:
        await backend.down()
        await wait_until(lambda: not broker.is_connected)
        published = 0

        async def publish() -> None:
            nonlocal published
            for n in range(10_000):
                await broker.frames.publish(5, b"frame", message_id=f"p-{n}")
                published += 1

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(publish(), 0.3)
        assert 0 < published <= 1000
        await backend.up()
        await asyncio.wait_for(broker.frames.flush(), 10)


async def test_a_follower_of_new_frames_gets_no_old_ones(broker: Broker) -> None:
    heard: list[Message] = []
    await broker.frames.publish(5, b"old", message_id="p-1")
    await broker.frames.flush()
    async with broker.frames.follow(heard.append, after=None):
        await broker.frames.publish(5, b"new", message_id="p-2")
        await wait_until(lambda: heard)
    assert [m.payload for m in heard] == [b"new"]


async def test_a_follower_that_wants_no_more_gets_the_rest_when_it_does(broker: Broker) -> None:
    heard: list[Message] = []
    most = 100
    for n in range(2_000):
        await broker.frames.publish(5, b"%d" % n, message_id=f"p-{n}")
    await broker.frames.flush()
    async with broker.frames.follow(
        heard.append, partitions=[5], wants_more=lambda: len(heard) < most
    ) as follower:
        await wait_until(lambda: len(heard) >= most, within_s=10)
        assert len(heard) < 2_000
        most = 3_000
        follower.go_on()
        await asyncio.wait_for(follower.caught_up(), 10)
    assert [int(m.payload) for m in heard] == list(range(2_000))
