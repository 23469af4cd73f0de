"""Real nats-server, real worker processes: start, kill -9, restart, stop."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.domain.campaign import Flight
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.nats import NatsBroker, connect
from support.definitions import campaign, frame, report
from support.processes import Auditor, publish, worker_process
from support.waiting import wait_until

pytestmark = pytest.mark.fleet

NAMES = [f"campaign-{number}" for number in range(12)]
NAME = NAMES[0]
P = partition_of(NAME)
INTERVAL = 0.2


class Place:
    """A nats-server, a client on it, and an auditor of everything decided."""

    def __init__(self, server: EmbeddedServer, broker: NatsBroker, auditor: Auditor) -> None:
        self.server = server
        self.broker = broker
        self.auditor = auditor
        self._frames = 0

    def flags(self, name: str) -> tuple[str, ...]:
        return ("--nats", self.server.url, "--name", name, "--interval", str(INTERVAL))

    async def report(self, name: str = NAME, *, spend_micros: int = 1_000_000) -> None:
        self._frames += 1
        partition = partition_of(name)
        rows = [report(name, "google", at=time.time(), spend_micros=spend_micros)]
        payload = frame(partition, rows, sequence=self._frames)
        await self.broker.frames.publish(partition, payload, message_id=f"test-{self._frames}")
        await self.broker.frames.flush()

    async def rounds_go_on(self, *, by: int = 3, within_s: float = 10.0) -> None:
        """Wait until partition P has decided a few rounds more."""
        rounds = len(self.auditor.rounds(P))
        await wait_until(
            lambda: len(self.auditor.rounds(P)) >= rounds + by, within_s=within_s, what="rounds"
        )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    now = time.time()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_server())
        broker = await stack.enter_async_context(
            connect(server.url, name="test", clock=SystemClock())
        )
        auditor = await stack.enter_async_context(Auditor().following(broker))
        flight = Flight(starts_at=now - 60, ends_at=now + 3600)
        await publish(broker, *(campaign(name, flight=flight) for name in NAMES))
        yield Place(server, broker, auditor)
    assert auditor.faults == []


async def test_a_worker_takes_everything_and_counts_what_is_reported(place: Place) -> None:
    async with worker_process(*place.flags("w1")):
        await place.rounds_go_on()
        await place.report(spend_micros=1_500_000)
        await wait_until(
            lambda: place.auditor.rounds(P)[-1].settled_micros == 1_500_000, what="settled spend"
        )
        await wait_until(
            lambda: all(place.auditor.owners(number) for number in range(PARTITIONS)), what="takes"
        )
    decided = {name for record in place.auditor.rounds() for name in record.changed.campaign}
    assert decided == set(NAMES)


async def test_sigterm_releases_every_partition_and_exits_0(place: Place) -> None:
    async with worker_process(*place.flags("w1")) as worker:
        await place.rounds_go_on()
        worker.signal(signal.SIGTERM)
        code, _ = await worker.ended(within_s=5)
    assert code == 0
    await wait_until(
        lambda: len(place.auditor.released()) == PARTITIONS, what="a Release of every partition"
    )


async def test_another_worker_goes_on_where_a_killed_one_was(place: Place) -> None:
    async with worker_process(*place.flags("w1")) as first:
        await place.rounds_go_on()
        await place.report(spend_micros=2_000_000)
        await place.rounds_go_on()
        first.kill()
        await first.ended(within_s=5)
    async with worker_process(*place.flags("w2")):
        await place.rounds_go_on()
    assert place.auditor.owners(P) == ["w1", "w2"]
    assert place.auditor.rounds(P)[-1].settled_micros == 2_000_000


async def test_the_other_worker_takes_over_within_two_seconds_of_kill_9(place: Place) -> None:
    async with worker_process(*place.flags("w1")) as first, worker_process(*place.flags("w2")):
        await place.rounds_go_on()

        def shares() -> dict[str, int]:
            owners = [place.auditor.owners(number)[-1:] for number in range(PARTITIONS)]
            return {name: owners.count([name]) for name in ("w1", "w2")}

        # One of them may have begun alone, and have to give back first.
        half = PARTITIONS // 2
        await wait_until(lambda: shares() == {"w1": half, "w2": half}, what="even shares")
        first.kill()
        await wait_until(
            lambda: all(place.auditor.owners(p)[-1] == "w2" for p in range(PARTITIONS)),
            within_s=2,
            what="a takeover",
        )


async def test_decisions_resume_after_kill_9_of_the_broker(place: Place) -> None:
    async with worker_process(*place.flags("w1")) as worker:
        await place.rounds_go_on()
        await place.server.kill()
        await worker.says("broker_away")
        await place.server.start()
        await place.rounds_go_on(within_s=5)
        assert not worker.has_ended
        assert place.auditor.owners(P) == ["w1"]  # nobody had to take it again


async def test_a_worker_waits_for_a_broker_that_comes_later(tmp_path: Path) -> None:
    async with embedded_server(tmp_path / "store") as server:
        await server.stop()
        async with worker_process("--nats", server.url, "--name", "w1") as worker:
            await worker.says("broker_awaited")
            await server.start()
            async with connect(server.url, name="test", clock=SystemClock()) as broker:
                auditor = Auditor()
                async with auditor.following(broker):
                    await wait_until(lambda: auditor.owners(0) == ["w1"], what="a take")
            worker.signal(signal.SIGINT)
            code, _ = await worker.ended(within_s=10)
            assert code == 0


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "line"),
    [
        (("--interval", "fast"), {}, 2, "seconds above 0 such as 2"),
        ((), {"ENGINE_INTERVAL": "-1"}, 2, "ENGINE_INTERVAL: seconds above 0 such as 2"),
        (("--config", "none.yaml"), {}, 2, "none.yaml: a file to read"),
        (("--colour", "red"), {}, 2, "--colour"),
        (("--nats", "nats://127.0.0.1:1", "--patience", "0"), {}, 1, "127.0.0.1:1"),
    ],
)
async def test_a_worker_that_cannot_start_says_why_in_one_line(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, line: str
) -> None:
    async with worker_process(*arguments, environ=environ) as worker:
        found, lines = await worker.ended(within_s=10)
    assert found == code
    assert len(lines) == 1
    assert line in lines[0]


async def test_a_worker_tells_over_http_how_it_is(place: Place) -> None:
    flags = (*place.flags("w1"), "--health", ":0")
    async with worker_process(*flags) as worker:
        line = json.loads(await worker.says("health_served"))
        host, _, port = line["address"].rpartition(":")
        assert host == "127.0.0.1"
        await place.rounds_go_on()
        assert await asked(int(port), "/live") == (200, {"live": True})
        assert (await asked(int(port), "/ready"))[0] == 200
        code, status = await asked(int(port), "/status")
        assert (code, status["worker"], status["ready"]) == (200, "w1", True)
        assert status["rounds"] > 0
        await place.server.kill()
        await worker.says("broker_away")
        code, said = await asked(int(port), "/ready")
        assert (code, said["hindrances"]) == (503, ["the broker is away"])
        assert (await asked(int(port), "/live"))[0] == 200


async def asked(port: int, path: str) -> tuple[int, dict[str, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body)
