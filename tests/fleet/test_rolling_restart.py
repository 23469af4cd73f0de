"""All workers are replaced, one after the other: nobody who reads the chains would know."""

import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from engine.clock import SystemClock
from engine.domain.campaign import Flight
from engine.domain.ids import PARTITIONS, partition_of
from engine.messaging.embedded import embedded_server
from engine.messaging.nats import connect
from engine.messaging.records import Decide
from support.definitions import campaign, names_in
from support.processes import Auditor, publish, worker_process
from support.waiting import wait_until

pytestmark = pytest.mark.fleet

INTERVAL_MS = 1000
NAMES = [name for partition in range(PARTITIONS) for name in names_in(partition, 1)]


async def test_a_rolling_restart_of_all_workers_skips_no_round_of_any_campaign() -> None:
    clock, auditor = SystemClock(), Auditor()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(embedded_server())
        broker = await stack.enter_async_context(connect(server.url, name="test", clock=clock))
        now = time.time()
        flight = Flight(starts_at=now - 60, ends_at=now + 3600)
        await publish(broker, *(campaign(name, flight=flight) for name in NAMES))
        await stack.enter_async_context(auditor.following(broker))
        flags = ("--nats", server.url, "--interval", str(INTERVAL_MS / 1000))
        workers = []
        for number in range(3):
            one = worker_process(*flags, "--name", f"old-{number}")
            workers.append(await stack.enter_async_context(one))
        await shared_by(auditor, [f"old-{number}" for number in range(3)])
        for number, old in enumerate(workers):
            one = worker_process(*flags, "--name", f"new-{number}")
            await stack.enter_async_context(one)
            old.signal(signal.SIGTERM)
            code, _ = await old.ended(within_s=10)
            assert code == 0
            stay = [f"old-{left}" for left in range(number + 1, 3)]
            await shared_by(auditor, stay + [f"new-{new}" for new in range(number + 1)])
        await rounds_of_everybody(auditor, by=2)
    assert auditor.faults == []
    assert sum(len(auditor.owners(partition)) for partition in range(PARTITIONS)) > 2 * PARTITIONS
    assert skipped(auditor) == {}


async def shared_by(auditor: Auditor, workers: Sequence[str]) -> None:
    """Wait until just these workers have the partitions, and have decided them."""

    def holders() -> set[str]:
        return {auditor.owners(p)[-1] for p in range(PARTITIONS) if auditor.owners(p)}

    await wait_until(lambda: holders() == set(workers), within_s=15, what=f"{workers} at work")
    await wait_until(lambda: not auditor.released(), within_s=5, what="every partition taken")
    await rounds_of_everybody(auditor, by=1)


async def rounds_of_everybody(auditor: Auditor, *, by: int) -> None:
    before = [len(auditor.rounds(partition)) for partition in range(PARTITIONS)]
    await wait_until(
        lambda: all(len(auditor.rounds(p)) >= before[p] + by for p in range(PARTITIONS)),
        within_s=10,
        what="rounds of every partition",
    )


def skipped(auditor: Auditor) -> dict[str, list[int]]:
    """Return, for each campaign, the steps between its rounds that are not one interval."""
    found = {}
    for name in NAMES:
        times = [record.at_ms for record in auditor.rounds(partition_of(name)) if decided(record)]
        steps = [after - before for before, after in pairwise(times)]
        assert len(steps) > 5
        if wrong := [step for step in steps if step != INTERVAL_MS]:
            found[name] = wrong
    return found


def decided(record: Decide) -> bool:
    return record.decided == 1
