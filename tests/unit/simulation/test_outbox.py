"""Frames leave in order, each once, however often the broker refuses."""

import asyncio

from engine.errors import BrokerError
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.ports import Message
from engine.simulation.outbox import Outbox, OutFrame
from support.clock import ManualClock, settle


class Flaky:
    """Frames that a broker refuses now and then."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.stored: list[str] = []

    async def publish(self, partition: int, frame: bytes, *, message_id: str) -> None:
        if self.failures:
            self.failures -= 1
            raise BrokerError("away")
        self.stored.append(message_id)

    async def flush(self) -> None:
        pass


def frames(count: int) -> list[OutFrame]:
    return [OutFrame(0, f"id-{i}", b"x%d" % i) for i in range(count)]


async def test_frames_are_published_in_order_each_once() -> None:
    server, clock, found = MemoryServer(), ManualClock(), list[Message]()
    broker = MemoryBroker(server=server, clock=clock)
    outbox = Outbox(frames=broker.frames, clock=clock, capacity=10)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(frames(3))
        server.lose_answers(2)
        await outbox.drained()
        task.cancel()
    async with broker.frames.follow(found.append, after=0) as follower:
        await follower.caught_up()
    assert [one.payload for one in found] == [b"x0", b"x1", b"x2"]


async def test_a_frame_that_was_refused_is_tried_again_before_the_next() -> None:
    clock, flaky = ManualClock(), Flaky(failures=3)
    outbox = Outbox(frames=flaky, clock=clock, capacity=10)  # type: ignore[arg-type]  # writes only
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outbox.run())
        outbox.put(frames(2))
        await settle()
        assert len(outbox) == 2
        await clock.advance(1.0)
        task.cancel()
    assert flaky.stored == ["id-0", "id-1"]
    assert len(outbox) == 0


async def test_it_says_when_it_is_full() -> None:
    outbox = Outbox(frames=Flaky(0), clock=ManualClock(), capacity=2)  # type: ignore[arg-type]  # idem
    assert not outbox.is_full
    outbox.put(frames(2))
    assert outbox.is_full
