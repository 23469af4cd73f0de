"""top, status, explain, halt and doctor, over a real nats-server with a worker at work."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.domain.campaign import Campaign
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.ports import Broker
from engine.wiring import open_broker
from support.definitions import frame, report
from support.processes import Auditor, publish, worker_process
from support.terminal import at_work
from support.waiting import wait_until

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(240)]  # a dozen processes in a row


@pytest.fixture
async def server() -> AsyncIterator[EmbeddedServer]:
    async with embedded_server() as server:
        yield server


async def engine(server: EmbeddedServer, *arguments: str, **environ: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.cli", *arguments),
        env=os.environ | {"ENGINE_NATS": server.url} | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def fleet(server: EmbeddedServer, *campaigns: Campaign) -> AsyncIterator[Broker]:
    """Run a worker that has decided each campaign upon samples."""
    auditor = Auditor()
    async with open_broker(server.url, name="test") as broker, auditor.following(broker):
        for one in campaigns:
            await publish(broker, one)
        flags = ("--nats", server.url, "--name", "w1", "--interval", "0.2")
        async with worker_process(*flags, "--snapshot-every", "0.5"):
            for one in campaigns:
                await feed(broker, one)
            wanted = {partition_of(one.definition.id) for one in campaigns}
            await wait_until(
                lambda: all(any(r.metrics_sequence for r in auditor.rounds(p)) for p in wanted),
                within_s=30,
                what="a round over samples, of each campaign",
            )
            yield broker


async def feed(broker: Broker, one: Campaign) -> None:
    """Send samples of the last minute, one a second."""
    name, now = one.definition.id, one.changed_at
    partition = partition_of(name)
    for n in range(60):
        rows = [
            report(name, platform, at=now - 60 + n, clicks=20, spend_micros=8_000_000 + n * 1000,
                   conversions=1.0)
            for platform in one.definition.platforms
        ]  # fmt: skip
        payload = frame(partition, rows, sequence=n + 1, producer=hash(name) & 0xFFFF)
        await broker.frames.publish(partition, payload, message_id=f"{name}-{n}")
    await broker.frames.flush()


async def well(server: EmbeddedServer) -> str:
    """Return what status says once all is well: on a busy machine a heartbeat may be late."""
    for _ in range(5):
        code, out, err = await engine(server, "status")
        if code == 0:
            return out
    raise AssertionError(out + err)


async def test_the_fleet_is_seen_asked_and_halted(server: EmbeddedServer, tmp_path: Path) -> None:
    one, other = at_work("spring-shoes"), at_work("summer-hats")
    async with fleet(server, one, other):
        out = await well(server)
        assert out.startswith(f"workers     1 alive, {PARTITIONS} of {PARTITIONS} partitions owned")
        assert out.endswith("all is well\n")

        code, out, _ = await engine(server, "top", "--sort", "id")
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == ["campaign", "spring-shoes",
                                                                  "summer-hats"]  # fmt: skip
        code, out, _ = await engine(server, "top", "workers", "--json")
        assert [(row["worker"], row["partitions"]) for row in json.loads(out)] == [
            ("w1", PARTITIONS)
        ]
        code, out, _ = await engine(server, "top", "platforms", "--json")
        assert {row["platform"]: row["campaigns"] for row in json.loads(out)} == {
            "google": 2,
            "meta": 2,
        }

        code, out, err = await engine(server, "halt", "--yes", "--note", "drill")
        assert (code, err) == (0, "")
        assert f"{PARTITIONS} partitions hold, the last after" in out
        code, out, err = await engine(server, "status", "--json")
        assert code == 1
        assert json.loads(out)["holding"] == {"halted": 2}
        code, out, _ = await engine(server, "explain", "spring-shoes", "--json")
        toggle = json.loads(out)["otherwise"][0]
        assert (toggle["lever"], toggle["threshold"]) == ("halt", "off")
        assert toggle["decision"]["action"] == "bid"
        code, out, _ = await engine(server, "halt", "--off", "--yes", "--json")
        found = json.loads(out)
        assert (code, found["waiting"], found["unowned"]) == (0, [], [])
        await well(server)
    code, out, err = await engine(server, "status")
    assert code == 1
    assert "!  no worker is alive" in err


async def test_a_decision_is_explained_by_deciding_it_again(server: EmbeddedServer) -> None:
    one = at_work("spring-shoes", target_cpa_micros=6_000_000)
    async with fleet(server, one) as broker:
        code, out, err = await engine(server, "explain", "spring-shoes")
        assert (code, err) == (0, "")
        assert "checked    decided again from the " in out
        assert out.endswith("equal to the record, to the bit\n")
        assert "gate       no gateway heard" in out
        assert "sent       google: nothing was sent: the definition names no ad_account" in out
        assert "cpc 0.4" in out
        code, out, _ = await engine(server, "explain", "spring-shoes", "--json")
        found = json.loads(out)
        assert found["difference"] is None
        turns = {(turn["lever"], turn["sign"]): turn for turn in found["otherwise"]}
        settled = found["decision"]["settled_micros"]
        # Below what is spent there is nothing left to bid with: known without deciding.
        budget = turns["budget", "<="]
        assert budget["decision"]["binding"] == "budget"
        assert float(budget["threshold"]) * 1e6 == pytest.approx(settled, rel=0.05)
        before = one.changed_at - 3600
        code, _, err = await engine(server, "explain", "spring-shoes", "--at", str(before))
        assert code == 1
        assert err
        code, _, err = await engine(server, "explain", "spring-shoe")
        assert (code, "did you mean spring-shoes?" in err) == (1, True)
        assert broker.is_connected


async def test_the_doctor_looks_at_each_thing_by_itself(server: EmbeddedServer) -> None:
    code, out, _ = await engine(server, "doctor", "--json")
    found = {one["what"]: one for one in json.loads(out)}
    assert code == 1  # no streams yet
    assert found["nats-server"]["verdict"] == "ok"
    assert found["clock"]["verdict"] == "ok"
    assert found["ENGINE_DECISIONS"] == {
        "what": "ENGINE_DECISIONS",
        "verdict": "fail",
        "found": "is not there",
        "todo": "engine provision, as operator",
    }
    assert (await engine(server, "provision"))[0] == 0
    code, out, _ = await engine(server, "doctor", "--role", "worker")
    assert code == 0
    assert "all that is needed" in out


async def test_top_draws_and_obeys_keys_on_a_terminal(server: EmbeddedServer) -> None:
    async with fleet(server, at_work("spring-shoes"), at_work("summer-hats")):
        ours, its = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "engine.cli", "top", "--every", "0.2"),
            env=os.environ | {"ENGINE_NATS": server.url, "TERM": "xterm", "COLUMNS": "120",
                              "LINES": "24"},
            stdin=its,
            stdout=its,
            stderr=its,
        )  # fmt: skip
        os.close(its)
        seen = bytearray()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours, lambda: seen.extend(os.read(ours, 65536)))

        async def shows(words: str) -> None:
            await wait_until(lambda: words.encode() in seen, within_s=20, what=f"{words!r}")
            seen.clear()

        try:
            await shows("summer-hats")
            os.write(ours, b"2")
            await shows("heard")
            os.write(ours, b"?")
            await shows("turn the order round")
            os.write(ours, b"?1/id=spring-shoes\r")
            await shows("1-1 of 1  filter id=spring-shoes")
            os.write(ours, b"/\x15roi<<\r")
            await shows("an amount to compare with")
            os.write(ours, b"\x1bq")
            async with asyncio.timeout(20):
                assert await process.wait() == 0
        finally:
            loop.remove_reader(ours)
            os.close(ours)


async def test_a_context_is_read_only_until_said_otherwise(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    file = tmp_path / "contexts.yaml"
    file.write_text(
        f"contexts:\n  here: {{nats: '{server.url}'}}\n"
        f"  there: {{nats: '{server.url}', writable: true}}\n"
    )
    environ = {"ENGINE_CONTEXTS": str(file), "ENGINE_NATS": "nats://127.0.0.1:1"}
    assert (await engine(server, "provision", "--context", "there", **environ))[0] == 0
    code, _, err = await engine(server, "--context", "here", "list", **environ)
    assert (code, err) == (0, "no campaigns\n")
    code, _, err = await engine(server, "halt", "--yes", "--context", "here", **environ)
    assert (code, "this context is read-only" in err) == (2, True)
    code, _, err = await engine(server, "worker", "--context", "here", **environ)
    assert (code, "this context is read-only" in err) == (2, True)
    off = ("halt", "--off", "--yes")
    assert (await engine(server, *off, "--context=here", "--write", **environ))[0] == 0
    assert (await engine(server, *off, ENGINE_CONTEXT="there", **environ))[0] == 0
