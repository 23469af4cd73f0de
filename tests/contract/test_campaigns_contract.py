"""What every broker promises of the table of campaigns."""

import asyncio

import pytest

from engine.domain.ids import partition_of
from engine.errors import BrokerError, ConflictError
from engine.messaging.ports import Broker, Message
from engine.messaging.streams import MAX_ENTRY
from support.broker import Backend


async def test_a_campaign_that_was_never_written_is_not_there(broker: Broker) -> None:
    assert await broker.campaigns.get("spring-shoes") is None
    assert await broker.campaigns.get("not an id") is None


async def test_an_entry_is_created_read_and_updated(broker: Broker) -> None:
    first = await broker.campaigns.put("spring-shoes", b"draft", expected=0)
    second = await broker.campaigns.put("spring-shoes", b"active", expected=first)
    partition = partition_of("spring-shoes")
    expected = Message(partition, second, b"active")
    assert await broker.campaigns.get("spring-shoes") == expected


async def test_a_put_over_an_old_revision_is_a_conflict(broker: Broker) -> None:
    first = await broker.campaigns.put("spring-shoes", b"draft", expected=0)
    await broker.campaigns.put("spring-shoes", b"active", expected=first)
    with pytest.raises(ConflictError, match="spring-shoes") as caught:
        await broker.campaigns.put("spring-shoes", b"paused", expected=first)
    assert caught.value.expected == first


async def test_a_campaign_is_created_once(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        await a.campaigns.put("spring-shoes", b"same", expected=0)
        with pytest.raises(ConflictError):
            await b.campaigns.put("spring-shoes", b"same", expected=0)


async def test_an_id_that_is_no_token_is_refused(broker: Broker) -> None:
    with pytest.raises(BrokerError, match="spring shoes"):
        await broker.campaigns.put("spring shoes", b"x", expected=0)


async def test_an_entry_that_is_too_large_is_refused_with_its_size(broker: Broker) -> None:
    with pytest.raises(BrokerError, match=f"one.*{MAX_ENTRY + 1}"):
        await broker.campaigns.put("one", bytes(MAX_ENTRY + 1), expected=0)
    assert await broker.campaigns.put("one", bytes(MAX_ENTRY), expected=0) >= 1


async def test_all_gives_the_newest_entry_of_every_campaign_once(broker: Broker) -> None:
    revisions = {}
    for n in range(50):
        revisions[n] = await broker.campaigns.put(f"c{n}", b"old %d" % n, expected=0)
    for n in range(0, 50, 2):
        revisions[n] = await broker.campaigns.put(f"c{n}", b"new %d" % n, expected=revisions[n])
    found = [m async for m in broker.campaigns.all()]
    assert sorted(m.sequence for m in found) == sorted(revisions.values())
    assert sorted(m.payload for m in found) == sorted(
        b"%s %d" % (b"old" if n % 2 else b"new", n) for n in range(50)
    )


async def test_all_of_some_partitions_gives_only_theirs(broker: Broker) -> None:
    names = [f"c{n}" for n in range(200)]
    await asyncio.gather(*(broker.campaigns.put(n, n.encode(), expected=0) for n in names))
    found = [m async for m in broker.campaigns.all(partitions=[3, 5])]
    wanted = {name for name in names if partition_of(name) in (3, 5)}
    assert {m.payload.decode() for m in found} == wanted
    assert all(m.partition == partition_of(m.payload.decode()) for m in found)
    assert [m async for m in broker.campaigns.all(partitions=[])] == []


async def test_all_of_an_empty_table_is_empty(broker: Broker) -> None:
    assert [m async for m in broker.campaigns.all()] == []


async def test_a_follower_from_the_beginning_gets_the_newest_then_each_change(
    broker: Broker,
) -> None:
    heard: list[Message] = []
    one = await broker.campaigns.put("one", b"1", expected=0)
    one = await broker.campaigns.put("one", b"2", expected=one)
    await broker.campaigns.put("two", b"1", expected=0)
    async with broker.campaigns.follow(heard.append) as follower:
        await follower.caught_up()
        assert [m.payload for m in heard][-2:] == [b"2", b"1"]
        for payload in (b"3", b"4", b"5"):
            one = await broker.campaigns.put("one", payload, expected=one)
        await follower.caught_up()
    assert [m.payload for m in heard][-3:] == [b"3", b"4", b"5"]


async def test_a_follower_with_history_gets_the_older_entries_that_are_kept(
    broker: Broker,
) -> None:
    heard: list[Message] = []
    revision = 0
    for number in range(10):
        revision = await broker.campaigns.put("one", b"%d" % number, expected=revision)
    async with broker.campaigns.follow(heard.append, with_history=True) as follower:
        await follower.caught_up()
    assert [m.payload for m in heard] == [b"%d" % number for number in range(2, 10)]


async def test_a_follower_after_a_revision_gets_what_came_later(broker: Broker) -> None:
    heard: list[Message] = []
    one = await broker.campaigns.put("one", b"1", expected=0)
    two = await broker.campaigns.put("one", b"2", expected=one)
    async with broker.campaigns.follow(heard.append, after=one) as follower:
        await follower.caught_up()
    assert [m.sequence for m in heard] == [two]


async def test_a_put_waits_out_an_outage(backend: Backend) -> None:
    async with backend.client() as broker:
        first = await broker.campaigns.put("one", b"1", expected=0)
        await backend.down()
        put = asyncio.ensure_future(broker.campaigns.put("one", b"2", expected=first))
        await backend.up()
        assert await asyncio.wait_for(put, 10) > first


async def test_the_history_of_a_campaign_is_its_newest_eight_entries_oldest_first(
    broker: Broker,
) -> None:
    await broker.campaigns.put("other", b"other", expected=0)
    revision = 0
    for n in range(10):
        revision = await broker.campaigns.put("spring-shoes", b"%d" % n, expected=revision)
    found = [message async for message in broker.campaigns.history("spring-shoes")]
    assert [message.payload for message in found] == [b"%d" % n for n in range(2, 10)]
    assert found[-1].sequence == revision
    assert [message async for message in broker.campaigns.history("not an id")] == []
