"""A fleet's own record, replayed and forecast from, over a real nats-server."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from engine.clock import SystemClock
from engine.domain.campaign import Flight
from engine.domain.ids import partition_of
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.nats import NatsBroker, connect
from support.definitions import campaign, frame, report
from support.processes import Auditor, publish, worker_process
from support.waiting import wait_until

pytestmark = pytest.mark.fleet

NAMES = [f"campaign-{number}" for number in range(6)]
INTERVAL = 0.1
REPORTS = 30


class Place:
    """A server on which a worker has decided for a while, killed and started again meanwhile."""

    def __init__(self, server: EmbeddedServer, broker: NatsBroker) -> None:
        self.server = server
        self.broker = broker
        self.sequences: dict[int, int] = {}

    async def report(self) -> None:
        for name in NAMES:
            partition = partition_of(name)
            sequence = self.sequences[partition] = self.sequences.get(partition, 0) + 1
            rows = [
                report(name, platform, at=time.time(), spend_micros=40_000, clicks=5)
                for platform in ("google", "meta")
            ]
            payload = frame(partition, rows, sequence=sequence)
            await self.broker.frames.publish(
                partition, payload, message_id=f"{partition}-{sequence}"
            )
        await self.broker.frames.flush()

    async def engine(self, *arguments: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "engine.cli", *arguments),
            env=os.environ | {"ENGINE_NATS": self.server.url},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()


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
        place = Place(server, broker)
        for name in ("w1", "w2"):
            flags = ("--nats", server.url, "--name", name, "--interval", str(INTERVAL))
            async with worker_process(*flags) as worker:
                for _ in range(REPORTS):
                    await place.report()
                    rounds = len(auditor.rounds())
                    await wait_until(
                        lambda rounds=rounds: len(auditor.rounds()) > rounds,  # type: ignore[misc]
                        within_s=20,
                        what="rounds",
                    )
                worker.kill()
        yield place


async def test_what_a_fleet_decided_is_decided_again_to_the_bit(place: Place) -> None:
    code, out, err = await place.engine("replay", "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    assert found["is_equal"]
    assert found["rounds"] > 2 * REPORTS
    assert {one["partition"] for one in found["partitions"]} == {partition_of(n) for n in NAMES}
    assert {one["begins"] for one in found["partitions"]} == {"origin"}


async def test_a_what_if_and_a_forecast_are_read_from_the_same_record(place: Place) -> None:
    partition = str(partition_of(NAMES[0]))
    code, out, _ = await place.engine(
        "replay", "--partition", partition, "--set", "max_bid=0.02", "--json"
    )
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    comparison = found["partitions"][0]["comparison"]
    assert 0 < comparison["changed"] <= comparison["decisions"]
    code, out, err = await place.engine("forecast", NAMES[0], "--budget", "50", "--days", "2")
    assert code == 0
    assert out.startswith(f"{NAMES[0]}: 50.00 USD over 2 days\n")
    assert "data are thin" in err
