"""Gateways killed with -9 while they change a platform: nothing is lost, nothing is applied twice.

Checked from two sides that know nothing of each other: the journal, and the platform's own count.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.messaging.changes import Change, Done, Intend, JournalRecord, Take, decode_journal
from engine.messaging.embedded import EmbeddedServer, embedded_server
from engine.messaging.nats import connect
from engine.messaging.ports import Broker, Message
from engine.messaging.subjects import changes_subject
from engine.platforms.port import Lever
from support.gateway import Floor, linked
from support.tcp_platform import serving
from support.waiting import wait_until

pytestmark = pytest.mark.fleet

ENTITIES = [f"adGroups/{number}" for number in range(40)]
SUBJECT = changes_subject("google", "123")


def name_of(entity: str) -> str:
    return entity.replace("/", "-")


class Journal:
    """What the gateways wrote, as it comes."""

    def __init__(self) -> None:
        self.records: list[tuple[int, JournalRecord]] = []

    def deliver(self, message: Message) -> None:
        self.records.append((message.sequence, decode_journal(SUBJECT, message.payload)))

    @property
    def owner(self) -> str:
        return self.records[-1][1].owner if self.records else ""

    @property
    def owners(self) -> list[str]:
        return [one.owner for _, one in self.records if isinstance(one, Take)]

    def faults(self) -> list[str]:
        """Return what is wrong with the chain, and with what is left open."""
        faults, before, epoch = [], 0, 0
        open_: dict[int, Intend] = {}
        for sequence, one in self.records:
            if one.previous != before:
                faults.append(f"{sequence} is not on top of {before}")
            if one.epoch != epoch + isinstance(one, Take):
                faults.append(f"{sequence}: epoch {one.epoch} after {epoch}")
            before, epoch = sequence, one.epoch
            if isinstance(one, Intend):
                faults += [f"{sequence}: intended while {other} is open" for other in open_]
                open_[sequence] = one
            elif isinstance(one, Done) and open_.pop(one.intend, None) is None:
                faults.append(f"{sequence}: {one.intend} is done twice")
        return faults + [f"{sequence}: nobody knows what became of it" for sequence in open_]

    def outcomes(self) -> dict[str, Counter[str]]:
        """Return how often each change became what."""
        found: dict[str, Counter[str]] = {}
        for _, one in self.records:
            if isinstance(one, Done):
                for result in one.results:
                    found.setdefault(result.id, Counter())[result.result] += 1
        return found

    def applied(self) -> list[Change]:
        """Return what was applied, in the order of the journal."""
        intends = {sequence: one for sequence, one in self.records if isinstance(one, Intend)}
        return [
            change
            for _, one in self.records
            if isinstance(one, Done)
            for result in one.results
            for change in intends[one.intend].changes
            if change.id == result.id and result.result == "applied"
        ]


@asynccontextmanager
async def gateway_process(server: EmbeddedServer, name: str, port: int) -> AsyncIterator[int]:
    """Run a gateway; yields its process id."""
    root = Path(__file__).parents[2]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("ENGINE_")}
    path = [str(root / "tests"), str(root / "python"), environ.get("PYTHONPATH", "")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.gateway_process", server.url, name, str(port),
        env=environ | {"PYTHONPATH": os.pathsep.join(path)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class Fleet:
    """Two gateways, of which the one that is at work is killed, and started anew."""

    def __init__(self, server: EmbeddedServer, port: int, stack: AsyncExitStack) -> None:
        self.kills = 0
        self._server = server
        self._port = port
        self._stack = stack
        self._pids: dict[str, int] = {}

    async def start(self, name: str) -> None:
        self._pids[name] = await self._stack.enter_async_context(
            gateway_process(self._server, name, self._port)
        )

    def is_alive(self, name: str) -> bool:
        return name in self._pids

    async def kill(self, name: str) -> None:
        os.kill(self._pids.pop(name), signal.SIGKILL)
        self.kills += 1
        await self.start(f"{name.partition('-')[0]}-{self.kills}")


async def drill(seconds: float, *, seed: int) -> tuple[Journal, Floor, Fleet, dict[str, int]]:
    """Decide, kill and take over for so long; return what is left once everything is quiet."""
    luck = random.Random(seed)
    floor, journal, wanted = Floor(), Journal(), {}
    for entity in ENTITIES:
        floor.platform.stand(entity)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_server(name="gateways"))
        port = await stack.enter_async_context(serving(floor.platform, seed=seed, cut=0.1))
        broker: Broker = await stack.enter_async_context(
            connect(server.url, name="drill", clock=SystemClock())
        )
        floor.broker = broker  # type: ignore[assignment]  # the same ports
        for entity in ENTITIES:
            await floor.publish(name_of(entity), platforms=linked(entity))
        await stack.enter_async_context(broker.journal.follow(journal.deliver, subject=SUBJECT))
        fleet = Fleet(server, port, stack)
        for name in ("a", "b"):
            await fleet.start(name)
        await wait_until(lambda: journal.records, within_s=20, what="the first Take")
        ends_at, kill_at = time.monotonic() + seconds, 0.0
        while time.monotonic() < ends_at:
            entity = luck.choice(ENTITIES)
            wanted[entity] = luck.randrange(10, 100) * 10_000
            await floor.decide(name_of(entity), bid=wanted[entity])
            is_due = time.monotonic() > kill_at and fleet.is_alive(journal.owner)
            if is_due and isinstance(journal.records[-1][1], Intend):
                # Somewhere between the intent and the outcome, or just behind it.
                await asyncio.sleep(luck.uniform(0, 0.06))
                await fleet.kill(journal.owner)
                kill_at = time.monotonic() + luck.uniform(1.0, 2.5)
        await wait_until(
            lambda: all(
                floor.platform.value(entity, Lever.BID) == bid for entity, bid in wanted.items()
            ),
            within_s=60,
            what="what was decided last",
        )
    return journal, floor, fleet, wanted


def check(journal: Journal, floor: Floor, fleet: Fleet, wanted: dict[str, int]) -> None:
    assert fleet.kills >= 2
    assert len(set(journal.owners)) > fleet.kills / 2, "who is killed is followed by another"
    assert journal.faults() == []
    applied = {id_: found["applied"] for id_, found in journal.outcomes().items()}
    counted = floor.platform.applied
    twice = {id_: count for id_, count in counted.items() if count != 1}
    assert twice == {}, "applied twice"
    assert {id_ for id_, count in applied.items() if count} == set(counted), "lost, or made up"
    assert all(count <= 1 for count in applied.values())
    history = [(one.target.entity, one.value) for one in floor.platform.history]
    assert Counter(history) == Counter((one.entity, one.value) for one in journal.applied())
    assert {e: floor.platform.value(e, Lever.BID) for e in wanted} == wanted


@pytest.mark.timeout(180)
async def test_gateways_that_are_killed_lose_no_change_and_apply_none_twice() -> None:
    check(*await drill(12.0, seed=7))


@pytest.mark.drill
@pytest.mark.timeout(1200)
async def test_so_it_is_for_minutes() -> None:
    check(*await drill(300.0, seed=int(time.time())))
