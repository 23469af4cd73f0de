"""What every broker promises of snapshots, dead letters and heartbeats."""

import os

import pytest

from engine.errors import BrokerError
from engine.messaging.ports import Broker
from engine.messaging.streams import MAX_CHUNK
from support.broker import Backend
from support.waiting import wait_until


async def test_a_partition_without_a_snapshot_has_none(broker: Broker) -> None:
    assert await broker.snapshots.newest(9) is None


@pytest.mark.parametrize("size", [0, 1, MAX_CHUNK, MAX_CHUNK + 1, 3 * MAX_CHUNK + 7])
async def test_a_snapshot_of_any_size_comes_back_whole(broker: Broker, size: int) -> None:
    payload = os.urandom(size)
    await broker.snapshots.put(9, payload)
    assert await broker.snapshots.newest(9) == payload
    assert await broker.snapshots.newest(8) is None


async def test_the_newest_of_many_snapshots_is_read(broker: Broker) -> None:
    for n in range(6):
        await broker.snapshots.put(9, bytes([n]) * (MAX_CHUNK * (n % 2) + 10))
    newest = await broker.snapshots.newest(9)
    assert newest == bytes([5]) * (MAX_CHUNK + 10)


async def test_dead_letters_keep_payload_origin_and_reason(broker: Broker) -> None:
    broker.dead_letters.bury("engine.metrics.4", "magic: wanted CEF1\r\nfound ü", b"\x00\xff")
    broker.dead_letters.bury("", "no origin", b"")
    broker.dead_letters.bury("feed file: *.csv >", "a comma", b"1,2")
    await broker.dead_letters.drain()  # type: ignore[attr-defined]  # of both, for tests
    found = [letter async for letter in broker.dead_letters.all()]
    assert [(d.origin, d.reason, d.payload) for d in found] == [
        ("engine.metrics.4", "magic: wanted CEF1\r\nfound ü", b"\x00\xff"),
        ("", "no origin", b""),
        ("feed file: *.csv >", "a comma", b"1,2"),
    ]
    assert [d.sequence for d in found] == sorted(d.sequence for d in found)


async def test_burying_neither_blocks_nor_raises_while_the_broker_is_away(
    backend: Backend,
) -> None:
    async with backend.client() as broker:
        await backend.down()
        for n in range(5000):
            broker.dead_letters.bury("engine.metrics.4", f"reason {n}", bytes(100))
        await backend.up()


async def test_a_dead_letter_is_removed_and_the_others_stay(broker: Broker) -> None:
    for n in range(3):
        broker.dead_letters.bury("feed", f"reason {n}", b"p")
    await broker.dead_letters.drain()  # type: ignore[attr-defined]  # of both, for tests
    second = [letter async for letter in broker.dead_letters.all()][1]
    for _ in range(2):
        await broker.dead_letters.remove(second.sequence)
    left = [letter.reason async for letter in broker.dead_letters.all()]
    assert left == ["reason 0", "reason 2"]


async def test_no_dead_letters_is_an_empty_list(broker: Broker) -> None:
    assert [letter async for letter in broker.dead_letters.all()] == []


async def test_heartbeats_are_heard_by_name(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        heard: list[tuple[str, bytes]] = []
        async with b.heartbeats.listen(lambda worker, payload: heard.append((worker, payload))):
            await a.heartbeats.beat("worker-1", b"alive")
            await b.heartbeats.beat("worker-2", b"too")
            await wait_until(lambda: len(heard) == 2)
            assert sorted(heard) == [("worker-1", b"alive"), ("worker-2", b"too")]
        await a.heartbeats.beat("worker-1", b"nobody listens")
        assert len(heard) == 2


async def test_gateways_and_workers_do_not_hear_each_other(backend: Backend) -> None:
    async with backend.client("a") as a, backend.client("b") as b:
        heard: list[tuple[str, str]] = []
        async with (
            b.heartbeats.listen(lambda name, _: heard.append(("worker", name))),
            b.gateways.listen(lambda name, _: heard.append(("gateway", name))),
        ):
            await a.gateways.beat("g-1", b"status")
            await a.heartbeats.beat("w-1", b"alive")
            await wait_until(lambda: len(heard) == 2)
            assert sorted(heard) == [("gateway", "g-1"), ("worker", "w-1")]


async def test_a_heartbeat_during_an_outage_is_lost_in_silence(backend: Backend) -> None:
    async with backend.client() as broker:
        await backend.down()
        await wait_until(lambda: not broker.is_connected)
        await broker.heartbeats.beat("worker-1", b"alive")
        await backend.up()
        await wait_until(lambda: broker.is_connected)


async def test_a_read_gives_up_on_a_broker_that_stays_away(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.messaging.jetstream.READ_S", 0.3)
    monkeypatch.setattr("engine.messaging.memory.READ_S", 0.3)
    async with backend.client() as broker:
        await backend.down()
        with pytest.raises(BrokerError):
            await broker.chain.head(3)
        await backend.up()
