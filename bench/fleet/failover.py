"""How long the partitions of a worker that dies go without a decision: by broker's times.

Workers are killed (SIGKILL) or held (SIGSTOP) one after another; each is replaced, and the next is
chosen once every partition is owned again in even shares.
"""

import random
import signal
from typing import NamedTuple

import msgspec

from bench.fleet.place import Place, Stored, place, stored
from bench.fleet.spread import Spread
from engine.domain.ids import PARTITIONS
from engine.messaging.records import Decide, Take

__all__ = ["failover"]

ROUNDS_A_SNAPSHOT = 15
REST_S = 0.6  # of even rounds, before the next one dies


class Failover(msgspec.Struct, frozen=True, kw_only=True):
    """From a fault to the take, to the next owner's first decision, and how late that was."""

    fault: str
    with_events: bool
    interval_s: float
    workers: int
    faults: int
    taken: Spread | None
    decided: Spread | None
    overdue: Spread | None  # after the fault, or after the first round missed was due
    took_over: Spread | None  # from one fault to the last decision of all that it hit


class _Fault(NamedTuple):
    at: float
    target: str
    partitions: frozenset[int]


async def failover(
    *,
    kills: int,
    interval: float,
    workers: int,
    campaigns: int,
    events: bool,
    stop: bool,
    seed: int,
) -> Failover:
    """Do harm so often and return how long it took."""
    chance = random.Random(seed)
    faults: list[_Fault] = []
    # As many rounds between two snapshots as with the usual settings: so many are replayed.
    flags = ("--interval", str(interval), "--snapshot-every", str(ROUNDS_A_SNAPSHOT * interval))
    async with place(campaigns=campaigns, flags=flags, tells_of_clients=events) as found:
        for number in range(workers):
            await found.start(f"w{number}-0")
        await found.even()
        for number in range(kills):
            await found.clock.sleep(REST_S + chance.random() * interval)
            target = chance.choice(sorted(found.workers))
            hit = frozenset(p for p, owner in found.owners.items() if owner == target)
            faults.append(_Fault(found.clock.now(), target, hit))
            found.send(target, signal.SIGSTOP if stop else signal.SIGKILL)
            await _taken(found, target)
            found.send(target, signal.SIGKILL)
            await found.ended(target)
            await found.start(f"{target.partition('-')[0]}-{number + 1}")
            await found.even()
        records = [one async for one in stored(found)]
    return _figures(records, faults, interval=interval, workers=workers, events=events, stop=stop)


async def _taken(found: Place, target: str) -> None:
    until = found.clock.monotonic() + 20.0
    while target in found.owners.values():
        if found.clock.monotonic() > until:
            raise AssertionError(f"nobody takes what {target} held")
        await found.clock.sleep(0.01)


def _figures(
    records: list[Stored],
    faults: list[_Fault],
    *,
    interval: float,
    workers: int,
    events: bool,
    stop: bool,
) -> Failover:
    chains: dict[int, list[Stored]] = {p: [] for p in range(PARTITIONS)}
    for at, record in records:
        chains[record.partition].append((at, record))
    taken, decided, overdue, took_over = [], [], [], []
    for fault in faults:
        last = 0.0
        for partition in fault.partitions:
            took, first, due = _after(chains[partition], fault, interval)
            if took is not None:
                taken.append(took - fault.at)
            if first is not None:
                decided.append(first - fault.at)
                overdue.append(first - max(fault.at, due))
                last = max(last, first - fault.at)
        took_over.append(last)
    return Failover(
        fault="SIGSTOP" if stop else "kill -9",
        with_events=events,
        interval_s=interval,
        workers=workers,
        faults=len(faults),
        taken=Spread.of(taken),
        decided=Spread.of(decided),
        overdue=Spread.of(overdue),
        took_over=Spread.of(took_over),
    )


def _after(
    chain: list[Stored], fault: _Fault, interval: float
) -> tuple[float | None, float | None, float]:
    """Return when another took the partition, when it first decided, and when a round was due."""
    took = first = None
    due = 0.0
    for at, record in chain:
        if isinstance(record, Decide) and record.owner == fault.target:
            due = record.at_ms / 1000 + interval
        elif at > fault.at and record.owner != fault.target:
            if isinstance(record, Take) and took is None:
                took = at
            if isinstance(record, Decide):
                first = at
                break
    return took, first, due
