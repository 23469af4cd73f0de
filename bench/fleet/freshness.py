"""How old a sample is when the first decision that counted it is committed, under a steady feed."""

import asyncio
import sys
from typing import NamedTuple

import msgspec
import numpy as np

from bench.fleet.bare_round import BareRound
from bench.fleet.observed import Commits, Counted, Watch
from bench.fleet.place import Place, server_with
from bench.fleet.progress import Progress
from bench.fleet.supply import Supply
from engine.clock import SystemClock
from engine.messaging.background import beside

__all__ = ["Freshness", "Sent", "freshness", "latencies"]

SETTLED_S = 3.0  # of the feed before latencies count
PAUSE_S = 0.002  # of the publisher, between looks at what is due
LOOK_S = 0.1


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """How long after its publication a frame is in a decision that is committed.

    From the publisher's clock before it sends the frame, to the moment at which another reader has
    the record of the first round that counted it: it is stored by then, and synced where so told.
    """

    campaigns: int
    partitions: int
    workers: int
    rows: int
    syncs_always: bool
    interval_ms: float
    samples_per_s: float
    rounds_per_s: float
    decisions_per_s: float
    frames: int  # whose latency was taken
    p50_ms: float
    p99_ms: float
    max_ms: float
    waiting_ms: float  # a floor of p50: half an interval, in which a frame waits for its round
    bare_p50_ms: float  # the floor in this run: rounds that decide nothing, of one partition
    bare_p99_ms: float
    skipped: float  # share of rounds that were due and left out
    worker_cpu: float  # cores, all workers together
    server_cpu: float
    worker_mb: float
    server_mb: float


class Sent(NamedTuple):
    """A frame as it was sent: its place in the stream follows from its order."""

    partition: int
    at: float


async def freshness(
    *,
    campaigns: int,
    partitions: int,
    workers: int,
    rate: float,
    rows: int,
    seconds: float,
    interval: float,
    syncs_always: bool,
    progress: Progress,
) -> Freshness:
    """Publish `rate` samples a second for so long, and return how fresh decisions were."""
    supply = Supply(campaigns, partitions=partitions)
    progress.say(f"publishing {campaigns:,} campaigns")
    campaigns_now = supply.campaigns(SystemClock().now())
    flags = ("--interval", str(interval))
    async with server_with(campaigns_now, flags=flags, syncs_always=syncs_always) as place:
        commits, watch = Commits(place), Watch(place)
        async with commits.followed():
            for number in range(workers):
                await place.start(f"w{number}")
            await _awake(place, commits, supply)
            bare = BareRound(place, partition=supply.partitions[0], interval=interval)
            async with watch.kept(), beside(bare.run(), name="bare rounds"):
                sent = await _fed(place, supply, rate / rows, rows, seconds, progress)
                await _all_counted(place, commits, sent)
        rounds = commits.rounds
    since, until = sent[0].at + SETTLED_S, sent[-1].at
    ages = latencies(sent, rounds, since=since)
    counted = [record for at, record in rounds if since <= at < until]
    due = len(supply.partitions) * (until - since) / interval
    p50, p99, most = np.percentile(ages, [50, 99, 100]) * 1000
    bare_ages = [at - sent[number - 1].at for number, at in bare.stored if at >= since]
    bare_p50, bare_p99 = np.percentile(bare_ages, [50, 99]) * 1000
    cpu = watch.cpu(since, until)
    return Freshness(
        campaigns=campaigns,
        partitions=partitions,
        workers=workers,
        rows=rows,
        syncs_always=syncs_always,
        interval_ms=interval * 1000,
        samples_per_s=round(sum(rows for one in sent if one.at >= since) / (until - since)),
        rounds_per_s=round(len(counted) / (until - since)),
        decisions_per_s=round(sum(one.decided for one in counted) / (until - since)),
        frames=len(ages),
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
        max_ms=round(float(most), 2),
        waiting_ms=interval * 500,
        bare_p50_ms=round(float(bare_p50), 2),
        bare_p99_ms=round(float(bare_p99), 2),
        skipped=round(max(0.0, 1 - len(counted) / due), 4),
        worker_cpu=round(cpu[0] / (until - since), 3),
        server_cpu=round(cpu[1] / (until - since), 3),
        worker_mb=round(watch.worker_mb, 1),
        server_mb=round(watch.server_mb, 1),
    )


async def _awake(place: Place, commits: Commits, supply: Supply) -> None:
    """Return once every partition with campaigns has decided."""
    async with asyncio.timeout(60):
        while len({record.partition for _, record in commits.rounds}) < len(supply.partitions):
            await place.clock.sleep(0.05)


async def _fed(
    place: Place,
    supply: Supply,
    frames_per_s: float,
    rows: int,
    seconds: float,
    progress: Progress,
) -> list[Sent]:
    """Publish frames at their times, and return when each was sent."""
    clock, sent = place.clock, list[Sent]()
    began = clock.monotonic()
    while (passed := clock.monotonic() - began) < seconds:
        while len(sent) < passed * frames_per_s:
            partition, number, frame = supply.some(clock.now(), rows=rows)
            sent.append(Sent(partition, clock.monotonic()))
            await place.broker.frames.publish(
                partition, frame, message_id=f"bench:{partition}:{number}"
            )
        progress.share("feeding", int(passed), int(seconds))
        await clock.sleep(PAUSE_S)
    await place.broker.frames.flush()
    return sent


async def _all_counted(place: Place, commits: Commits, sent: list[Sent]) -> None:
    """Return once every frame is in a committed round."""
    left = {one.partition: sequence for sequence, one in enumerate(sent, 1)}
    seen = 0
    async with asyncio.timeout(60):
        while left:
            await place.clock.sleep(LOOK_S)
            rounds = commits.rounds
            for _, record in rounds[seen:]:
                if record.metrics_sequence >= left.get(record.partition, sys.maxsize):
                    del left[record.partition]
            seen = len(rounds)


def latencies(
    sent: list[Sent], rounds: list[tuple[float, Counted]], *, since: float
) -> list[float]:
    """Return, of each frame sent since, how long it was to the first round that counted it."""
    waiting: dict[int, list[tuple[int, float]]] = {}
    for sequence, one in enumerate(sent, 1):
        waiting.setdefault(one.partition, []).append((sequence, one.at))
    found, next_one = [], dict.fromkeys(waiting, 0)
    for at, record in rounds:
        frames, number = waiting.get(record.partition, []), next_one.get(record.partition, 0)
        while number < len(frames) and frames[number][0] <= record.metrics_sequence:
            if frames[number][1] >= since:
                found.append(at - frames[number][1])
            number += 1
        next_one[record.partition] = number
    return found
