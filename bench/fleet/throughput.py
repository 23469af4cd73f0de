"""How fast workers follow a stream that is full of frames already: samples in, decisions out."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import numpy as np

from bench.fleet.observed import Commits, Counted, Watch
from bench.fleet.place import Place, server_with
from bench.fleet.progress import Progress
from bench.fleet.supply import PLATFORMS, Supply
from engine.clock import SystemClock

__all__ = ["Frames", "Throughput", "stretch", "throughput"]

SECONDS_A_WAVE = 2.0  # between two reports of a series, in the samples' own times
FROM, TO = 0.1, 0.9  # of all samples: the stretch that counts, start and end left out
LOOK_S = 0.1
LONGEST_S = 300.0


Frames = dict[int, tuple[list[int], list[int]]]
"""By partition: the sequences of its frames, and how many samples there are up to each."""


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """From a tenth of the samples committed to nine tenths. CPU in seconds a million samples."""

    campaigns: int
    partitions: int
    workers: int
    rows: int  # samples a frame, at most
    syncs_always: bool
    samples: int
    samples_per_s: float
    decisions_per_s: float
    worker_cpu: float  # all workers together
    server_cpu: float
    worker_mb: float  # resident, the most of any
    server_mb: float
    bare_samples_per_s: float  # the same frames, by a reader that only counts bytes
    bare_cpu: float


async def throughput(
    *,
    campaigns: int,
    partitions: int,
    workers: int,
    samples: int,
    rows: int,
    interval: float,
    syncs_always: bool,
    progress: Progress,
) -> Throughput:
    """Publish `samples` (whole reports of all series), let workers follow, say how fast."""
    supply, now = Supply(campaigns, partitions=partitions), SystemClock().now()
    progress.say(f"publishing {campaigns:,} campaigns")
    flags = ("--interval", str(interval))
    async with server_with(supply.campaigns(now), flags=flags, syncs_always=syncs_always) as place:
        waves = max(1, round(samples / (campaigns * len(PLATFORMS))))
        frames = await _filled(place, supply, waves, rows=rows, until=now, progress=progress)
        progress.say("reading them bare")
        bare = await _bare(place)
        commits, watch = Commits(place), Watch(place)
        for number in range(workers):
            await place.start(f"w{number}")
        async with commits.followed(), watch.kept():
            await _committed(place, commits, frames, progress)
        since, until, decided = stretch(commits.rounds, frames)
    total = sum(counts[-1] for _, counts in frames.values())
    millions = total * (TO - FROM) / 1e6
    worker_cpu, server_cpu = watch.cpu(since, until)
    return Throughput(
        campaigns=campaigns,
        partitions=partitions,
        workers=workers,
        rows=rows,
        syncs_always=syncs_always,
        samples=total,
        samples_per_s=round(millions * 1e6 / (until - since)),
        decisions_per_s=round(decided / (until - since)),
        worker_cpu=round(worker_cpu / millions, 4),
        server_cpu=round(server_cpu / millions, 4),
        worker_mb=round(watch.worker_mb, 1),
        server_mb=round(watch.server_mb, 1),
        bare_samples_per_s=round(total / bare["seconds"]),
        bare_cpu=round(bare["cpu_s"] / total * 1e6, 4),
    )


async def _filled(
    place: Place, supply: Supply, waves: int, *, rows: int, until: float, progress: Progress
) -> Frames:
    """Fill the stream. Nobody else publishes into it, so sequences count up from 1."""
    frames: Frames = {partition: ([], []) for partition in supply.partitions}
    sequence = 0
    for wave in range(waves):
        at = until - (waves - wave) * SECONDS_A_WAVE
        for partition, number, frame in supply.wave(at, rows=rows):
            await place.broker.frames.publish(
                partition, frame, message_id=f"bench:{partition}:{number}"
            )
            sequence += 1
            sequences, counts = frames[partition]
            sequences.append(sequence)
            counts.append((counts[-1] if counts else 0) + (len(frame) - 32) // 32)
        progress.share("publishing samples", wave + 1, waves)
    await place.broker.frames.flush()
    (size,) = await place.broker.sizes(["ENGINE_METRICS"])
    assert size.last_sequence == sequence, (size, sequence)
    return frames


async def _committed(place: Place, commits: Commits, frames: Frames, progress: Progress) -> None:
    """Return once every frame is in a committed round."""
    until = place.clock.monotonic() + LONGEST_S
    left = {partition: sequences[-1] for partition, (sequences, _) in frames.items()}
    seen = 0
    while left:
        assert place.clock.monotonic() < until, f"not committed in {LONGEST_S} s: {len(left)}"
        await place.clock.sleep(LOOK_S)
        rounds = commits.rounds
        for _, record in rounds[seen:]:
            if record.metrics_sequence >= left.get(record.partition, sys.maxsize):
                del left[record.partition]
        seen = len(rounds)
        progress.share("partitions followed to the end", len(frames) - len(left), len(frames))


def stretch(rounds: list[tuple[float, Counted]], frames: Frames) -> tuple[float, float, int]:
    """Return when FROM and TO of all samples were committed, and the decisions between."""
    wanted = sum(counts[-1] for _, counts in frames.values())
    done = dict.fromkeys(frames, 0)
    since = until = 0.0
    decided = total = 0
    for at, record in rounds:
        if record.partition not in frames:
            continue
        sequences, counts = frames[record.partition]
        found = int(np.searchsorted(sequences, record.metrics_sequence, side="right"))
        now = counts[found - 1] if found else 0
        total += now - done[record.partition]
        done[record.partition] = now
        if since and not until:
            decided += record.decided
        if not since and total >= FROM * wanted:
            since = at
        if not until and total >= TO * wanted:
            until = at
    return since, until, decided


async def _bare(place: Place) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.fleet.bare", place.server.url),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    said, _ = await process.communicate()
    found: dict[str, float] = json.loads(said)
    return found
