"""The commands as processes, over a real nats-server."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.domain.ids import partition_of
from engine.messaging import records
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.wiring import open_broker

pytestmark = pytest.mark.fleet

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with embedded_server() as server:
        yield server


async def start(server: EmbeddedServer, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "engine.cli",
        *arguments,
        env=os.environ | {"ENGINE_NATS": server.url},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=_hear_ctrl_c,
    )


def _hear_ctrl_c() -> None:
    """Take SIGINT as from a terminal, although the tests may run in a script's background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


async def engine(server: EmbeddedServer, *arguments: str) -> tuple[int | None, str, str]:
    process = await start(server, *arguments)
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_campaigns_and_samples_go_in_and_come_out(server: EmbeddedServer) -> None:
    campaigns, metrics = str(EXAMPLES / "campaigns.csv"), str(EXAMPLES / "metrics.csv")
    assert await engine(server, "publish", campaigns) == (
        0,
        "published 3: 3 created, 0 updated, 0 unchanged; 0 refused\n",
        "",
    )
    code, out, err = await engine(server, "metrics", metrics)
    assert (code, err) == (0, "")
    assert out.startswith("published 7 samples in ")
    code, out, err = await engine(server, "pause", "spring-shoes", "nobody")
    assert (code, out) == (1, "spring-shoes: active → paused\n")
    code, out, err = await engine(server, "list", "--json")
    assert [one["state"] for one in json.loads(out)] == ["active", "paused", "active"]


async def test_a_broker_that_is_away_is_one_line(server: EmbeddedServer) -> None:
    code, out, err = await engine(server, "list", "--nats", "nats://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert err.startswith("engine: ")
    assert err.count("\n") == 1


async def test_decisions_are_followed_until_ctrl_c(server: EmbeddedServer) -> None:
    partition = partition_of("spring-shoes")
    async with open_broker(server.url, name="test") as broker:
        sequence = 0
        process = await start(server, "decisions", "--follow", "--json")
        assert process.stdout is not None
        seen: list[dict[str, object]] = []
        async with asyncio.timeout(30):
            for number in range(1, 6):
                sequence = await broker.chain.append(
                    partition, records.encode(_round(number, sequence)), expected=sequence
                )
                seen.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            _, err = await process.communicate()
    assert [one["round"] for one in seen] == [1, 2, 3, 4, 5]
    assert process.returncode == 130
    assert err.decode() == "engine: interrupted\n"


def _round(number: int, previous: int) -> records.Decide:
    return records.Decide(
        partition=partition_of("spring-shoes"),
        previous=previous,
        epoch=1,
        owner="w1",
        round=number,
        at_ms=1_790_000_000_000 + 2_000 * number,
        metrics_sequence=0,
        campaigns_revision=1,
        decided=1,
        settled_micros=0,
        reserved_micros=0,
        platforms=["google"],
        changed=records.Columns(
            campaign=["spring-shoes"],
            action=[0],
            binding=[12],
            best=[-1],
            pacing_multiplier=[1.0],
            settled_micros=[0],
            reserved_micros=[0],
            series_count=[0],
        ),
    )
