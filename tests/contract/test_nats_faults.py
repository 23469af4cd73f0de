"""The traps of nats-py and JetStream, each met for real: they were all reproduced first.

Beyond the contract, which both brokers keep: paused servers, swallowed answers, stalled sockets,
consumers that vanish, servers killed under load, servers that are not what they should be.
"""

import asyncio
import gc
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from engine.clock import SystemClock
from engine.errors import BrokerError, FencedError
from engine.messaging import wire
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.link import UnansweredError
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.permissions import Role
from engine.messaging.ports import Message
from engine.messaging.reader import BATCH
from engine.messaging.streams import wanted_streams
from support.nats import paused, server_with
from support.proxy import proxy_to
from support.waiting import wait_until


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with embedded_server(name="faults") as running:
        yield running


def client(url: str, **options: Any) -> AbstractAsyncContextManager[NatsBroker]:  # noqa: ANN401
    return connect(url, name="test", clock=SystemClock(), **options)


async def api(broker: NatsBroker, subject: str, **request: object) -> dict[str, Any]:
    """Ask JetStream's API something."""
    delivery = await broker.link.request(f"$JS.API.{subject}", json.dumps(request).encode())
    answer: dict[str, Any] = json.loads(delivery.payload)
    return answer


async def stored(broker: NatsBroker, stream: str) -> int:
    state = (await api(broker, f"STREAM.INFO.{stream}"))["state"]
    return int(state["messages"])


async def test_no_worker_starts_by_a_clock_that_is_wrong(server: EmbeddedServer) -> None:
    class Ahead(SystemClock):
        def now(self) -> float:
            return super().now() + 3600

    with pytest.raises(BrokerError, match=r"clock within 60 s of the server's .*, found \+3600"):
        async with connect(server.url, name="w", clock=Ahead(), role=Role.WORKER):
            pass
    async with connect(server.url, name="w", clock=SystemClock(), role=Role.WORKER):
        pass


async def test_an_append_whose_answer_is_lost_is_found_and_stored_once(
    server: EmbeddedServer,
) -> None:
    async with (
        proxy_to(server.url) as proxy,
        client(proxy.url) as broker,
        client(server.url) as witness,
    ):
        first = await broker.chain.append(3, b"one", expected=0)
        proxy.swallows_answers = True
        append = asyncio.ensure_future(broker.chain.append(3, b"two", expected=first))
        while (head := await witness.chain.head(3)) is None or head.payload != b"two":
            assert not append.done()
        proxy.swallows_answers = False
        assert await asyncio.wait_for(append, 15) == head.sequence
        assert [m.payload async for m in witness.chain.read(3)] == [b"one", b"two"]


async def test_a_large_append_whose_answer_is_lost_is_found_and_stored_once(
    server: EmbeddedServer,
) -> None:
    large = bytes(range(256)) * 10_000
    async with (
        proxy_to(server.url) as proxy,
        client(proxy.url) as broker,
        client(server.url) as witness,
    ):
        first = await broker.chain.append(3, b"one", expected=0)
        proxy.swallows_answers = True
        append = asyncio.ensure_future(broker.chain.append(3, large, expected=first))
        while (head := await witness.chain.head(3)) is None or head.payload != large:
            assert not append.done()
        proxy.cut()
        proxy.swallows_answers = False
        assert await asyncio.wait_for(append, 15) == head.sequence
        assert [m.payload async for m in witness.chain.read(3)] == [b"one", large]
    assert head.sequence == first + 3


async def test_a_large_append_cut_off_half_way_is_stored_once_or_not_at_all(
    server: EmbeddedServer,
) -> None:
    large = bytes(range(256)) * 20_000
    async with (
        proxy_to(server.url) as proxy,
        client(proxy.url) as broker,
        client(server.url) as witness,
    ):
        head = 0
        for cut_after_s in (0.0, 0.002, 0.005, 0.01, 0.02):
            append = asyncio.ensure_future(broker.chain.append(3, large, expected=head))
            asyncio.get_running_loop().call_later(cut_after_s, proxy.cut)
            before, head = head, await asyncio.wait_for(append, 15)
            assert head > before
        assert [m.payload async for m in witness.chain.read(3)] == [large] * 5


async def test_an_append_whose_answer_is_lost_is_fenced_by_a_take_on_top(
    server: EmbeddedServer,
) -> None:
    async with (
        proxy_to(server.url) as proxy,
        client(proxy.url) as broker,
        client(server.url) as thief,
    ):
        proxy.swallows_answers = True
        append = asyncio.ensure_future(broker.chain.append(3, b"decide", expected=0))
        while (head := await thief.chain.head(3)) is None:
            assert not append.done()
        await thief.chain.append(3, b"take", expected=head.sequence)
        proxy.swallows_answers = False
        with pytest.raises(FencedError):
            await asyncio.wait_for(append, 15)


async def test_a_busy_client_leaves_a_connection_that_stalls(server: EmbeddedServer) -> None:
    """nats-py alone waits for ever to close a socket that still has bytes to send."""
    async with proxy_to(server.url) as proxy, client(proxy.url) as broker:
        proxy.stall()
        began = time.monotonic()
        for n in range(200):  # 40 MB: more than the socket's buffers hold
            await broker.frames.publish(3, bytes(200_000), message_id=f"p-{n}")
        await asyncio.wait_for(broker.frames.flush(), 20)
        assert time.monotonic() - began < 15
        assert broker.link.connection == 2
        assert await stored(broker, "ENGINE_METRICS") == 200


async def test_a_client_of_a_paused_server_comes_back_with_it(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        heard: list[Message] = []
        async with broker.frames.follow(heard.append) as follower:
            with paused(server):
                for n in range(150):
                    await broker.frames.publish(3, bytes(200_000), message_id=f"p-{n}")
                await wait_until(lambda: not broker.is_connected, within_s=12)
            await asyncio.wait_for(broker.frames.flush(), 15)
            await asyncio.wait_for(follower.caught_up(), 15)
        assert len(heard) == 150


async def test_nothing_is_published_after_its_caller_gave_up(server: EmbeddedServer) -> None:
    async with (
        proxy_to(server.url) as proxy,
        client(proxy.url) as broker,
        client(server.url) as witness,
    ):
        proxy.stall()
        filler = [broker.link.send("engine.nowhere", bytes(500_000)) for _ in range(40)]
        await asyncio.gather(*filler)  # so that what follows stays in the client's own buffers
        with pytest.raises(UnansweredError):
            await broker.link.request("engine.metrics.3", b"ghost", timeout_s=0.2)
        await wait_until(lambda: broker.link.connection == 2, within_s=15)
        await broker.frames.publish(3, b"real", message_id="p-1")
        await broker.frames.flush()
        assert await stored(witness, "ENGINE_METRICS") == 1


async def test_a_publish_without_a_connection_fails_at_once(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        await server.kill()
        await wait_until(lambda: not broker.is_connected)
        began = time.monotonic()
        with pytest.raises(UnansweredError):
            await broker.link.request("engine.metrics.3", b"ghost")
        assert time.monotonic() - began < 0.5


async def test_a_callback_that_raises_does_not_end_the_connection(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        heard = []

        def deliver(worker: str, payload: bytes) -> None:
            heard.append(payload)
            raise RuntimeError("a fault in the caller's code")

        async with broker.heartbeats.listen(deliver):
            for n in range(3):
                await broker.heartbeats.beat("w", b"%d" % n)
            await wait_until(lambda: len(heard) == 3)
            assert await broker.chain.append(3, b"still alive", expected=0) == 1


async def test_a_follower_outlives_its_consumer(server: EmbeddedServer) -> None:
    async with client(server.url) as broker, client(server.url) as other:
        heard: list[Message] = []
        head = 0
        async with broker.chain.follow(heard.append) as follower:
            for n in range(3):
                head = await other.chain.append(3, b"%d" % n, expected=head)
                await follower.caught_up()
                names = (await api(other, "CONSUMER.NAMES.ENGINE_DECISIONS"))["consumers"]
                for name in names:
                    await api(other, f"CONSUMER.DELETE.ENGINE_DECISIONS.{name}")
            await asyncio.wait_for(follower.caught_up(), 10)
            assert [m.payload for m in heard] == [b"0", b"1", b"2"]


async def test_a_follower_leaves_no_consumer_behind(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        async with broker.chain.follow(lambda message: None) as follower:
            await follower.caught_up()
        async for _ in broker.campaigns.all():
            pass
        for stream in ("ENGINE_DECISIONS", "KV_engine_campaigns"):
            async with asyncio.timeout(5):
                while (await api(broker, f"CONSUMER.NAMES.{stream}"))["consumers"]:
                    pass


async def test_one_follower_of_many_partitions_has_one_consumer(server: EmbeddedServer) -> None:
    async with (
        client(server.url) as broker,
        broker.frames.follow(lambda message: None, partitions=range(40)) as follower,
    ):
        await follower.caught_up()
        names = (await api(broker, "CONSUMER.NAMES.ENGINE_METRICS"))["consumers"]
        assert len(names) == 1


async def test_nothing_is_lost_or_doubled_by_servers_killed_under_load(
    server: EmbeddedServer,
) -> None:
    async with client(server.url) as writer, client(server.url) as reader:
        frames: list[Message] = []
        records: list[Message] = []
        appended: list[int] = []
        published = 0
        is_over = False

        async def append() -> None:
            while not is_over:
                head = appended[-1] if appended else 0
                record = b"%d" % len(appended)
                appended.append(await writer.chain.append(3, record, expected=head))

        async def publish() -> None:
            nonlocal published
            while not is_over:
                frame = published.to_bytes(4, "big") + bytes(4000)
                await writer.frames.publish(published % 8, frame, message_id=f"p-{published}")
                published += 1
                if published % 50 == 0:
                    await asyncio.sleep(0.001)

        async def more_appended(count: int) -> None:
            enough = len(appended) + count
            await wait_until(lambda: len(appended) >= enough, within_s=20)

        async with (
            reader.frames.follow(frames.append) as frame_follower,
            reader.chain.follow(records.append) as record_follower,
        ):
            work = [asyncio.ensure_future(append()), asyncio.ensure_future(publish())]
            for _ in range(3):
                await more_appended(30)
                await server.kill()
                await server.start()
            await more_appended(20)
            is_over = True
            await asyncio.wait_for(asyncio.gather(*work), 20)
            await asyncio.wait_for(writer.frames.flush(), 20)
            await asyncio.wait_for(frame_follower.caught_up(), 20)
            await asyncio.wait_for(record_follower.caught_up(), 20)

        assert [m.sequence for m in records] == appended
        assert [int(m.payload) for m in records] == list(range(len(appended)))
        # A frame delivered, lost with the unwritten tail and stored again was delivered twice.
        for numbers in by_partition(frames):
            assert list(dict.fromkeys(numbers)) == sorted(set(numbers))
        assert {n for numbers in by_partition(frames) for n in numbers} == set(range(published))
        kept: list[Message] = []
        async with reader.frames.follow(kept.append) as again:
            await asyncio.wait_for(again.caught_up(), 20)
        for partition, numbers in enumerate(by_partition(kept)):
            assert numbers == list(range(partition, published, 8))


def by_partition(frames: list[Message]) -> list[list[int]]:
    """Return the numbers that the frames of each of eight partitions begin with."""
    numbers: list[list[int]] = [[] for _ in range(8)]
    for frame in frames:
        numbers[frame.partition].append(int.from_bytes(frame.payload[:4], "big"))
    return numbers


async def test_a_reader_goes_back_where_the_stream_lost_its_tail(tmp_path: Path) -> None:
    """A store put back to an earlier state stands for a tail that was never written."""
    store, saved = tmp_path / "store", tmp_path / "saved"
    async with embedded_server(store) as server, client(server.url) as broker:
        heard: list[Message] = []
        head = 0
        async with broker.chain.follow(heard.append) as follower:
            for n in range(100):
                if n == 60:
                    await server.stop()
                    shutil.copytree(store, saved)
                    await server.start()
                head = await broker.chain.append(3, b"before %d" % n, expected=head)
            await follower.caught_up()
            await server.kill()
            shutil.rmtree(store)
            saved.rename(store)
            await server.start()
            head = 60
            async with client(server.url) as other:
                for n in range(60, 120):
                    head = await other.chain.append(3, b"after %d" % n, expected=head)
            await asyncio.wait_for(follower.caught_up(), 15)
        payloads = [m.payload for m in heard]
        assert payloads[:100] == [b"before %d" % n for n in range(100)]
        assert payloads[100:] == [b"after %d" % n for n in range(60, 120)]
        assert follower.position == head


async def test_a_reader_that_begins_past_the_end_hears_what_comes_next(
    server: EmbeddedServer,
) -> None:
    async with client(server.url) as broker:
        heard: list[Message] = []
        head = await broker.chain.append(3, b"one", expected=0)
        async with broker.chain.follow(heard.append, after=head + 50) as follower:
            await broker.chain.append(3, b"two", expected=head)
            await asyncio.wait_for(follower.caught_up(), 10)
            assert [m.payload for m in heard] == [b"two"]


async def test_nothing_listening_is_said_in_one_line_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.messaging.nats.CONNECT_S", 1.0)
    began = time.monotonic()
    with pytest.raises(BrokerError) as caught:
        async with client("nats://me:secret@127.0.0.1:1"):
            pass
    said = str(caught.value)
    assert "127.0.0.1:1" in said
    assert "secret" not in said
    assert "\n" not in said
    assert time.monotonic() - began < 5


async def test_a_server_that_hangs_is_given_up_soon(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.messaging.nats.CONNECT_S", 1.0)
    with paused(server), pytest.raises(BrokerError, match="no nats-server answers"):
        async with client(server.url):
            pass


async def test_a_wrong_password_is_said_at_once(tmp_path: Path) -> None:
    configuration = 'authorization { user: "me", password: "right" }'
    async with server_with(configuration, tmp_path) as address:
        began = time.monotonic()
        with pytest.raises(BrokerError, match="refuses the user or the password"):
            async with client(f"nats://me:wrong@{address}"):
                pass
        assert time.monotonic() - began < 2


async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    async with server_with("", tmp_path) as address:
        with pytest.raises(BrokerError, match="no JetStream"):
            async with client(f"nats://{address}"):
                pass


async def test_a_server_that_is_too_old_is_refused(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.messaging.nats.API_LEVEL", 1000)
    with pytest.raises(BrokerError, match=r"is nats-server .*2\.12 or later"):
        async with client(server.url):
            pass


async def test_streams_that_stand_are_left_as_they_are(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        before = [await api(broker, f"STREAM.INFO.{name}") for name in await streams(broker)]
        await broker.chain.append(3, b"one", expected=0)
    async with client(server.url) as broker:
        after = [await api(broker, f"STREAM.INFO.{name}") for name in await streams(broker)]
        assert len(after) == len(wanted_streams(1))
        assert [i["config"] for i in after] == [i["config"] for i in before]
        assert await stored(broker, "ENGINE_DECISIONS") == 1


async def test_the_streams_have_the_settings_that_safety_rests_on(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        configs = {
            name: (await api(broker, f"STREAM.INFO.{name}"))["config"]
            for name in await streams(broker)
        }
    decisions, metrics = configs["ENGINE_DECISIONS"], configs["ENGINE_METRICS"]
    assert decisions["deny_delete"]
    assert decisions["deny_purge"]
    assert decisions["allow_atomic"]
    assert decisions["storage"] == "file"
    assert decisions.get("persist_mode", "default") == "default"
    assert metrics["persist_mode"] == "async"
    assert configs["KV_engine_campaigns"]["max_msgs_per_subject"] == 8


async def test_limits_set_by_an_operator_stay_and_settings_relied_on_are_mended(
    server: EmbeddedServer,
) -> None:
    async with client(server.url) as broker:
        config = (await api(broker, "STREAM.INFO.ENGINE_STATE"))["config"]
        config |= {"max_bytes": 50_000_000, "allow_direct": False}
        assert "error" not in await api(broker, "STREAM.UPDATE.ENGINE_STATE", **config)
    async with client(server.url) as broker:
        config = (await api(broker, "STREAM.INFO.ENGINE_STATE"))["config"]
        assert config["max_bytes"] == 50_000_000
        assert config["allow_direct"] is True


async def test_a_stream_that_cannot_serve_is_refused_and_left_alone(
    server: EmbeddedServer,
) -> None:
    async with client(server.url, provision=False) as broker:
        config = {"name": "ENGINE_DECISIONS", "subjects": ["engine.decisions.*"]}
        config |= {"retention": "workqueue", "storage": "memory"}
        assert "error" not in await api(broker, "STREAM.CREATE.ENGINE_DECISIONS", **config)
        await broker.link.request("engine.decisions.1", b"somebody's")
    with pytest.raises(BrokerError, match="ENGINE_DECISIONS exists with retention"):
        async with client(server.url):
            pass
    async with client(server.url, provision=False) as broker:
        assert await stored(broker, "ENGINE_DECISIONS") == 1


async def test_a_decision_stream_that_may_lose_what_it_acknowledged_is_refused(
    server: EmbeddedServer,
) -> None:
    async with client(server.url, provision=False) as broker:
        config: dict[str, object] = {
            "name": "ENGINE_DECISIONS",
            "subjects": ["engine.decisions.*"],
        }
        config |= {"retention": "limits", "storage": "file", "persist_mode": "async"}
        config |= {"deny_delete": True, "deny_purge": True}
        assert "error" not in await api(broker, "STREAM.CREATE.ENGINE_DECISIONS", **config)
    with pytest.raises(BrokerError, match="persist_mode async"):
        async with client(server.url):
            pass


async def test_a_scan_goes_on_after_the_server_was_killed(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        names = [f"c{n}" for n in range(2000)]
        for at in range(0, 2000, 500):
            puts = (broker.campaigns.put(n, n.encode(), expected=0) for n in names[at : at + 500])
            await asyncio.gather(*puts)
        found = []
        async for message in broker.campaigns.all():
            found.append(message.payload.decode())
            if len(found) == 10:
                await server.kill()
                await server.start()
        assert sorted(found) == sorted(names)


async def test_a_scan_that_is_dropped_half_way_leaves_nothing_running(
    server: EmbeddedServer,
) -> None:
    async with client(server.url) as broker:
        for n in range(50):
            await broker.campaigns.put(f"c{n}", b"x", expected=0)
        before = len(asyncio.all_tasks())
        async for _ in broker.campaigns.all():
            break
        async with asyncio.timeout(5):
            while len(asyncio.all_tasks()) > before:
                gc.collect()
                await asyncio.sleep(0.005)


async def test_following_a_stream_that_is_not_there_says_so(server: EmbeddedServer) -> None:
    async with client(server.url, provision=False) as broker:
        with pytest.raises(BrokerError, match="ENGINE_METRICS"):
            async with broker.frames.follow(lambda message: None):
                pass


async def test_an_end_for_good_is_told_and_ends_the_block(server: EmbeddedServer) -> None:
    reasons: list[str] = []

    async def work() -> None:
        async with proxy_to(server.url) as proxy, client(proxy.url, closed=reasons.append):
            proxy.say(b"-ERR 'Boom'\r\n")
            await asyncio.Event().wait()

    with pytest.raises(BrokerError, match="ended for good: boom"):
        await asyncio.wait_for(work(), 10)
    assert len(reasons) == 1
    assert "ended for good: boom" in reasons[0]


async def test_an_ordinary_end_is_not_told(server: EmbeddedServer) -> None:
    reasons: list[str] = []
    async with client(server.url, closed=reasons.append):
        pass
    assert reasons == []


async def test_leaving_does_not_wait_for_a_server_that_is_paused(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        with paused(server):
            for n in range(100):
                await broker.frames.publish(3, bytes(200_000), message_id=f"p-{n}")
            began = time.monotonic()
            await broker.link.close()
            assert time.monotonic() - began < 4


async def test_many_large_snapshots_read_at_once_do_not_cost_the_connection(tmp_path: Path) -> None:
    # As large to this server as some GB are to one with its usual 64 MB.
    configuration = f'max_pending: 12MB\njetstream {{ store_dir: "{tmp_path}" }}'
    partitions = range(24)
    async with server_with(configuration, tmp_path) as address, client(address) as broker:
        snapshots = {partition: os.urandom(4 * 2**20) for partition in partitions}
        for partition, snapshot in snapshots.items():
            await broker.snapshots.put(partition, snapshot)
        found = await asyncio.gather(*map(broker.snapshots.newest, partitions))
        assert found == list(snapshots.values())
        assert broker.link.connection == 1


async def test_a_reader_keeps_its_consumer_from_pull_to_pull(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        for n in range(5 * BATCH):
            await broker.frames.publish(3, b"frame", message_id=f"p-{n}")
        await broker.frames.flush()
        with capture_logs() as spoken:
            async with broker.frames.follow(lambda _: None, partitions=[3]) as follower:
                await asyncio.wait_for(follower.caught_up(), 30)
        assert "reader_begins_anew" not in [line["event"] for line in spoken]


async def test_many_large_frames_that_wait_do_not_cost_the_connection(tmp_path: Path) -> None:
    configuration = f'max_pending: 24MB\njetstream {{ store_dir: "{tmp_path}" }}'
    async with server_with(configuration, tmp_path) as address:
        async with client(address) as feed:
            for n in range(320):
                await feed.frames.publish(3, bytes(250_000), message_id=f"p-{n}")
            await feed.frames.flush()
        async with client(address) as broker:
            heard: list[int] = []

            def slowly(message: Message) -> None:
                heard.append(message.sequence)
                time.sleep(0.002)  # as a book at work does

            async with broker.frames.follow(slowly, partitions=[3]) as follower:
                await asyncio.wait_for(follower.caught_up(), 60)
            assert heard == list(range(1, 321))
            assert broker.link.connection == 1


async def test_a_message_larger_than_what_a_reader_asks_for_at_a_time_comes_all_the_same(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.messaging.reader.MOST_BYTES", 1000)
    async with client(server.url) as broker:
        frames = [bytes([n]) * size for n, size in enumerate((300, 300, 300, 5000, 300, 5000))]
        for n, frame in enumerate(frames):
            await broker.frames.publish(3, frame, message_id=f"p-{n}")
        await broker.frames.flush()
        heard: list[bytes] = []
        async with broker.frames.follow(
            lambda message: heard.append(message.payload), partitions=[3]
        ) as follower:
            await asyncio.wait_for(follower.caught_up(), 30)
        assert heard == frames


async def test_snapshots_half_written_are_passed_over(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        whole = os.urandom(1_200_000)
        await broker.snapshots.put(3, whole)
        # A writer that died between its chunks and its manifest, and one that wrote nonsense.
        await broker.link.request("engine.state.3.0", b"a chunk of another")
        await broker.link.request("engine.state.3", b"not a manifest")
        assert await broker.snapshots.newest(3) == whole


async def test_a_frame_for_no_partition_is_buried(server: EmbeddedServer) -> None:
    async with client(server.url) as broker:
        heard: list[Message] = []
        async with broker.frames.follow(heard.append) as follower:
            ack = wire.puback(await broker.link.request("engine.metrics.lost", b"?"))
            assert ack.error is None
            await broker.frames.publish(3, b"frame", message_id="p-1")
            await broker.frames.flush()
            await follower.caught_up()
        await broker.dead_letters.drain()
        assert [m.payload for m in heard] == [b"frame"]
        letters = [letter async for letter in broker.dead_letters.all()]
        assert [letter.origin for letter in letters] == ["engine.metrics.lost"]


async def streams(broker: NatsBroker) -> list[str]:
    names: list[str] = (await api(broker, "STREAM.NAMES"))["streams"]
    return sorted(names)
