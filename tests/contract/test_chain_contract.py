"""What every broker promises of decision chains."""

import asyncio

import pytest

from engine.errors import BrokerError, FencedError
from engine.messaging.parts import LARGEST
from engine.messaging.ports import Broker, Chain, Message
from engine.messaging.streams import MAX_RECORD
from support.broker import Backend
from support.waiting import wait_until

LARGE = b"".join(b"%07d\n" % line for line in range(MAX_RECORD // 3))  # in three parts


async def grow(chain: Chain, partition: int, count: int, *, expected: int = 0) -> list[int]:
    """Append `count` records and return their sequences."""
    sequences = []
    for n in range(count):
        expected = await chain.append(partition, b"record %d" % n, expected=expected)
        sequences.append(expected)
    return sequences


async def test_a_chain_that_has_not_begun_has_no_head(broker: Broker) -> None:
    assert await broker.chain.head(7) is None


async def test_the_head_is_the_newest_record(broker: Broker) -> None:
    first = await broker.chain.append(7, b"one", expected=0)
    second = await broker.chain.append(7, b"two", expected=first)
    assert second > first >= 1
    assert await broker.chain.head(7) == Message(7, second, b"two")


async def test_an_append_on_an_old_head_is_fenced_and_stores_nothing(broker: Broker) -> None:
    first, second = await grow(broker.chain, 7, 2)
    with pytest.raises(FencedError) as caught:
        await broker.chain.append(7, b"late", expected=first)
    assert (caught.value.partition, caught.value.expected) == (7, first)
    head = await broker.chain.head(7)
    assert head is not None
    assert head.sequence == second


async def test_a_chain_is_begun_once(broker: Broker) -> None:
    await broker.chain.append(7, b"take of a", expected=0)
    with pytest.raises(FencedError):
        await broker.chain.append(7, b"take of b", expected=0)


async def test_an_expectation_from_the_future_is_fenced(broker: Broker) -> None:
    with pytest.raises(FencedError):
        await broker.chain.append(7, b"x", expected=12)


async def test_a_take_fences_the_former_owner(backend: Backend) -> None:
    async with backend.client("former") as former, backend.client("newer") as newer:
        head = await former.chain.append(3, b"take, epoch 1", expected=0)
        await newer.chain.append(3, b"take, epoch 2", expected=head)
        with pytest.raises(FencedError):
            await former.chain.append(3, b"decide, epoch 1", expected=head)


async def test_of_many_appends_on_one_head_exactly_one_is_stored(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        results = await asyncio.gather(
            *(
                client.chain.append(3, b"take %d" % i, expected=0)
                for i, client in enumerate([a, b] * 10)
            ),
            return_exceptions=True,
        )
        stored = [result for result in results if isinstance(result, int)]
        assert len(stored) == 1
        assert sum(isinstance(result, FencedError) for result in results) == 19
        assert [m.sequence async for m in a.chain.read(3)] == stored


async def test_equal_bytes_of_two_processes_are_not_taken_for_one_append(backend: Backend) -> None:
    """Two workers given one name by mistake may write equal Take records in one millisecond."""
    async with backend.client("worker") as one, backend.client("worker") as other:
        await one.chain.append(3, b"take", expected=0)
        with pytest.raises(FencedError):
            await other.chain.append(3, b"take", expected=0)


async def test_the_same_append_again_gives_the_same_sequence(broker: Broker) -> None:
    """As after an append that was cancelled when it had already been stored."""
    sequence = await broker.chain.append(3, b"take", expected=0)
    assert await broker.chain.append(3, b"take", expected=0) == sequence
    assert len([m async for m in broker.chain.read(3)]) == 1


async def test_a_record_that_is_too_large_is_refused_with_its_size(broker: Broker) -> None:
    assert broker.chain.largest == LARGEST
    with pytest.raises(BrokerError, match=str(LARGEST + 1)):
        await broker.chain.append(7, bytes(LARGEST + 1), expected=0)
    assert await broker.chain.append(7, bytes(MAX_RECORD), expected=0) >= 1


async def test_a_record_larger_than_a_message_is_read_as_one(broker: Broker) -> None:
    heard: list[Message] = []
    async with broker.chain.follow(heard.append) as follower:
        first = await broker.chain.append(7, b"take", expected=0)
        second = await broker.chain.append(7, LARGE, expected=first)
        third = await broker.chain.append(7, b"after", expected=second)
        await follower.caught_up()
        await wait_until(lambda: len(heard) == 3)
    wanted = [Message(7, first, b"take"), Message(7, second, LARGE), Message(7, third, b"after")]
    assert heard == wanted
    assert [message async for message in broker.chain.read(7)] == wanted
    assert [message async for message in broker.chain.read(7, after=first)] == wanted[1:]
    assert [message async for message in broker.chain.read(7, until=second)] == wanted[:2]


async def test_a_large_record_is_the_head_as_it_was_written(broker: Broker) -> None:
    sequence = await broker.chain.append(7, LARGE, expected=0)
    assert await broker.chain.head(7) == Message(7, sequence, LARGE)
    assert await broker.chain.append(7, LARGE, expected=0) == sequence  # asked again: mine


async def test_a_large_record_on_an_old_head_is_fenced_and_nothing_of_it_is_stored(
    broker: Broker,
) -> None:
    first, second = await grow(broker.chain, 7, 2)
    with pytest.raises(FencedError):
        await broker.chain.append(7, LARGE, expected=first)
    assert [m.sequence async for m in broker.chain.read(7)] == [first, second]
    assert await broker.chain.append(7, b"next", expected=second) > second


async def test_a_follower_from_within_a_large_record_passes_the_rest_of_it_over(
    broker: Broker,
) -> None:
    heard: list[Message] = []
    large = await broker.chain.append(7, LARGE, expected=0)
    after = await broker.chain.append(7, b"after", expected=large)
    async with broker.chain.follow(heard.append, after=large - 1) as follower:
        await follower.caught_up()
        await wait_until(lambda: bool(heard))
    assert heard == [Message(7, after, b"after")]


async def test_partitions_do_not_fence_each_other(broker: Broker) -> None:
    await grow(broker.chain, 1, 3)
    await grow(broker.chain, 2, 3)
    assert [m.partition async for m in broker.chain.read(2)] == [2, 2, 2]


async def test_reading_gives_the_records_after_a_sequence_in_order(broker: Broker) -> None:
    sequences = await grow(broker.chain, 4, 5)
    await grow(broker.chain, 5, 2)
    found = [m async for m in broker.chain.read(4, after=sequences[1])]
    assert [m.sequence for m in found] == sequences[2:]
    assert found[0].payload == b"record 2"
    assert [m async for m in broker.chain.read(4, after=sequences[-1])] == []
    assert [m async for m in broker.chain.read(63)] == []


async def test_reading_more_than_a_few_batches_misses_nothing(broker: Broker) -> None:
    sequences = await grow(broker.chain, 4, 800)
    assert [m.sequence async for m in broker.chain.read(4)] == sequences


async def test_reading_may_be_given_up_half_way(broker: Broker) -> None:
    await grow(broker.chain, 4, 20)
    records = broker.chain.read(4)
    async for record in records:
        if record.payload == b"record 3":
            break
    await records.aclose()  # type: ignore[attr-defined]  # an async generator in both brokers
    assert (await broker.chain.head(4)) is not None


async def test_a_follower_gets_old_and_new_records_once_and_in_order(broker: Broker) -> None:
    heard: list[Message] = []
    before = await grow(broker.chain, 4, 3)
    async with broker.chain.follow(heard.append) as follower:
        after = await grow(broker.chain, 4, 3, expected=before[-1])
        await follower.caught_up()
        assert [m.sequence for m in heard] == before + after
        assert follower.position == after[-1]
        assert follower.lag == 0


async def test_a_follower_hears_only_its_partitions_and_only_after_its_position(
    broker: Broker,
) -> None:
    heard: list[Message] = []
    one, two = await grow(broker.chain, 1, 2), await grow(broker.chain, 2, 2)
    await grow(broker.chain, 3, 2)
    async with broker.chain.follow(heard.append, partitions=[1, 2], after=one[0]) as follower:
        await follower.caught_up()
        assert [m.sequence for m in heard] == [one[1], *two]


async def test_a_follower_of_new_records_gets_no_old_ones(broker: Broker) -> None:
    heard: list[Message] = []
    before = await grow(broker.chain, 4, 3)
    async with broker.chain.follow(heard.append, after=None) as follower:
        assert follower.position >= before[-1]
        new = await broker.chain.append(4, b"new", expected=before[-1])
        await wait_until(lambda: heard)
        assert [m.sequence for m in heard] == [new]


async def test_a_follower_of_nothing_is_caught_up_at_once(broker: Broker) -> None:
    async with broker.chain.follow(lambda message: None) as follower:
        await follower.caught_up()
        assert (follower.position, follower.lag) == (0, 0)


async def test_what_a_follower_chokes_on_is_buried_and_the_rest_is_heard(broker: Broker) -> None:
    heard = []

    def deliver(message: Message) -> None:
        if message.payload == b"record 1":
            raise ValueError("cannot read this")
        heard.append(message.payload)

    async with broker.chain.follow(deliver) as follower:
        await grow(broker.chain, 4, 3)
        await follower.caught_up()
    assert heard == [b"record 0", b"record 2"]
    await broker.dead_letters.drain()  # type: ignore[attr-defined]  # of both, for tests
    letters = [letter async for letter in broker.dead_letters.all()]
    assert [(d.origin, d.payload) for d in letters] == [("engine.decisions.4", b"record 1")]
    assert "cannot read this" in letters[0].reason


async def test_an_error_inside_a_follow_block_comes_out_as_itself(broker: Broker) -> None:
    with pytest.raises(FencedError):
        async with broker.chain.follow(lambda message: None):
            await broker.chain.append(7, b"x", expected=12)


async def test_an_append_waits_out_an_outage(backend: Backend) -> None:
    async with backend.client() as broker:
        first = await broker.chain.append(3, b"one", expected=0)
        await backend.down()
        append = asyncio.ensure_future(broker.chain.append(3, b"two", expected=first))
        await wait_until(lambda: not broker.is_connected)
        assert not append.done()
        await backend.up()
        second = await asyncio.wait_for(append, 10)
        assert await broker.chain.head(3) == Message(3, second, b"two")


async def test_an_append_can_be_cancelled_while_the_broker_is_away(backend: Backend) -> None:
    async with backend.client() as broker:
        await backend.down()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await broker.chain.append(3, b"one", expected=0)
        await backend.up()
        assert await asyncio.wait_for(broker.chain.append(3, b"two", expected=0), 10) >= 1


async def test_a_follower_gets_everything_once_across_an_outage(backend: Backend) -> None:
    async with backend.client("reader") as reader, backend.client("writer") as writer:
        heard: list[Message] = []
        async with reader.chain.follow(heard.append) as follower:
            sequences = await grow(writer.chain, 3, 20)
            await backend.down()
            rest = asyncio.ensure_future(grow(writer.chain, 3, 20, expected=sequences[-1]))
            await wait_until(lambda: not reader.is_connected)
            await backend.up()
            sequences += await asyncio.wait_for(rest, 10)
            await asyncio.wait_for(follower.caught_up(), 10)
            assert [m.sequence for m in heard] == sequences
