"""What a rolling restart costs: rounds skipped, and how late the next owner's first ones are."""

import signal

import msgspec

from bench.fleet.place import Place, Stored, place, stored
from bench.fleet.spread import Spread
from engine.domain.ids import PARTITIONS
from engine.messaging.records import Decide, Release, Take

__all__ = ["rolling"]

REST_S = 1.0


class Rolling(msgspec.Struct, frozen=True, kw_only=True):
    """Of all workers replaced in turn, each by one that was started before it was stopped."""

    workers: int
    interval_s: float
    rounds: int
    skipped: int  # rounds that were due and were never decided
    hand_overs: int
    without_owner: Spread | None  # from a Release to the next Take
    late: Spread | None  # the next owner's first round, after it was due or the partition taken


async def rolling(*, interval: float, workers: int, campaigns: int) -> Rolling:
    """Replace every worker and return what that cost."""
    async with place(campaigns=campaigns, flags=("--interval", str(interval))) as found:
        for number in range(workers):
            await found.start(f"old{number}")
        await found.even()
        await found.clock.sleep(REST_S)
        began = found.clock.now()
        for number in range(workers):
            await found.start(f"new{number}")
            await found.even()
            await _stopped(found, f"old{number}")
            await found.clock.sleep(REST_S)
        records = [one async for one in stored(found)]
    return _figures(records, began, interval=interval, workers=workers)


async def _stopped(found: Place, name: str) -> None:
    found.send(name, signal.SIGTERM)
    await found.ended(name)
    await found.even()


def _figures(records: list[Stored], began: float, *, interval: float, workers: int) -> Rolling:
    rounds = skipped = 0
    gaps: list[float] = []
    late: list[float] = []
    for partition in range(PARTITIONS):
        chain = [(at, record) for at, record in records if record.partition == partition]
        last_ms, released, taken = 0, 0.0, 0.0
        for at, record in chain:
            if isinstance(record, Release):
                released = at
            elif isinstance(record, Take):
                taken = at
                gaps += [at - released] if released > began else []
            elif isinstance(record, Decide):
                if last_ms and at > began:
                    rounds += 1
                    skipped += round((record.at_ms - last_ms) / (interval * 1000)) - 1
                if taken and released > began:
                    late.append(at - max(taken, last_ms / 1000 + interval))
                last_ms, taken = record.at_ms, 0.0
    return Rolling(
        workers=workers,
        interval_s=interval,
        rounds=rounds,
        skipped=skipped,
        hand_overs=len(gaps),
        without_owner=Spread.of(gaps),
        late=Spread.of(late),
    )
