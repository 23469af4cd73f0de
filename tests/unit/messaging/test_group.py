"""Writes that wait for one another go to the broker together, and stand each for itself."""

import asyncio
from collections.abc import Sequence

import pytest

from engine.errors import ConflictError
from engine.messaging.link import UnansweredError
from engine.messaging.memory import MemoryBroker, MemoryServer

NAMES = [f"c{number}" for number in range(40)]


class Counting(MemoryServer):
    """Counts what is stored at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []
        self.loses_answer_of = 0
        self.holds = asyncio.Event()
        self.holds.set()

    def store_batch(self, stream: str, batch: Sequence[tuple]) -> int:  # type: ignore[type-arg]
        self.sizes.append(len(batch))
        sequence = super().store_batch(stream, batch)
        if self.loses_answer_of == len(batch):
            self.loses_answer_of = 0
            raise UnansweredError("lost")
        return sequence


@pytest.fixture
def server() -> Counting:
    return Counting()


async def put_all(broker: MemoryBroker, expected: dict[str, int] | None = None) -> list[object]:
    puts = (
        broker.campaigns.put(name, name.encode(), expected=(expected or {}).get(name, 0))
        for name in NAMES
    )
    return await asyncio.gather(*puts, return_exceptions=True)


async def test_many_puts_at_once_are_few_stores_each_with_its_own_revision(
    server: Counting,
) -> None:
    broker = MemoryBroker(server=server)
    revisions = await put_all(broker)
    assert server.sizes == [len(NAMES)]
    for name, revision in zip(NAMES, revisions, strict=True):
        found = await broker.campaigns.get(name)
        assert found is not None
        assert (found.sequence, found.payload) == (revision, name.encode())


async def test_one_conflict_is_that_of_one(server: Counting) -> None:
    broker = MemoryBroker(server=server)
    await broker.campaigns.put(NAMES[7], b"mine", expected=0)
    results = await put_all(broker)
    refused = [i for i, result in enumerate(results) if isinstance(result, ConflictError)]
    assert refused == [7]
    assert sum(isinstance(result, int) for result in results) == len(NAMES) - 1


async def test_a_batch_whose_answer_is_lost_is_stored_once(server: Counting) -> None:
    broker = MemoryBroker(server=server)
    server.loses_answer_of = len(NAMES)
    revisions = await put_all(broker)
    assert sorted(revisions) == list(range(1, len(NAMES) + 1))  # type: ignore[type-var]


async def test_two_writes_of_one_campaign_are_not_put_into_one_batch(server: Counting) -> None:
    broker = MemoryBroker(server=server)
    results = await asyncio.gather(
        broker.campaigns.put("c1", b"one", expected=0),
        broker.campaigns.put("c1", b"two", expected=0),
        broker.campaigns.put("c2", b"three", expected=0),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, ConflictError, int]
    assert max(server.sizes) == 2


async def test_a_writer_that_gives_up_does_not_take_the_others_along(server: Counting) -> None:
    broker = MemoryBroker(server=server)
    server.disconnect()
    puts = [
        asyncio.ensure_future(broker.campaigns.put(name, name.encode(), expected=0))
        for name in NAMES
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    puts[0].cancel()  # it has the turn
    await asyncio.wait([puts[0]])
    server.reconnect()
    revisions = await asyncio.gather(*puts[1:])
    assert len(set(revisions)) == len(NAMES) - 1
    stored = [message.payload.decode() async for message in broker.campaigns.all()]
    assert set(stored) >= set(NAMES[1:])
