"""How soon a fleet decides again once its nats-server, killed with -9, listens again."""

import asyncio
import random
from collections.abc import Callable

import msgspec

from bench.fleet.place import place, stored
from bench.fleet.spread import Spread
from engine.domain.ids import PARTITIONS
from engine.messaging.records import Decide, Take

__all__ = ["restart"]

REST_S = 2.0


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """From the port being back to each partition's next round, and of those to the first."""

    restarts: int
    interval_s: float
    workers: int
    first: Spread | None
    each: Spread | None
    takes: int  # partitions that changed hands meanwhile


async def restart(
    *, restarts: int, interval: float, workers: int, campaigns: int, seed: int
) -> Restart:
    """Kill the server so often and return how long the fleet took to be back."""
    chance = random.Random(seed)
    back: list[float] = []
    async with place(campaigns=campaigns, flags=("--interval", str(interval))) as found:
        for number in range(workers):
            await found.start(f"w{number}")
        await found.even()
        await found.clock.sleep(REST_S)
        began = found.clock.now()
        for _ in range(restarts):
            port = int(found.server.url.rpartition(":")[2])
            await found.server.kill()
            await found.clock.sleep(0.5 + 2.5 * chance.random())
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_listens(found.clock.now, port))
                group.create_task(found.server.start())
            back.append(listening.result())
            await found.clock.sleep(REST_S)
        records = [one async for one in stored(found)]
    first: list[float] = []
    each: list[float] = []
    for since in back:
        after: dict[int, float] = {}
        for at, record in records:
            if isinstance(record, Decide) and since < at < since + REST_S:
                after.setdefault(record.partition, at - since)
        each += after.values()
        first += [min(after.values())] if after else []
        assert len(after) > PARTITIONS // 2, f"only {len(after)} partitions decide again"
    takes = sum(isinstance(record, Take) and at > began for at, record in records)
    return Restart(
        restarts=restarts,
        interval_s=interval,
        workers=workers,
        first=Spread.of(first),
        each=Spread.of(each),
        takes=takes,
    )


async def _listens(now: Callable[[], float], port: int) -> float:
    """Return when somebody listens on a port of this machine."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.002)
            continue
        at = now()
        writer.close()
        return at
