"""The whole load in one go: throughput, freshness and start, as one object and as a table."""

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.fleet.freshness import Freshness, freshness
from bench.fleet.progress import Progress
from bench.fleet.start import Start, start
from bench.fleet.throughput import Throughput, throughput

__all__ = ["MODES", "Asked", "Load", "flat", "load", "table"]


MODES = ("throughput", "freshness", "start")
FEED_ROWS = 16  # samples a frame of a freshness: many small ones, as they come
INTERVAL_S = 2.0  # between the rounds of a throughput: as they usually are


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. The counts are combined: each of campaigns with each of workers."""

    modes: Sequence[str] = MODES
    campaigns: Sequence[int] = (10_000,)
    workers: Sequence[int] = (1,)
    partitions: int = 64
    samples: int = 20_000_000  # of a throughput
    rows: int = 256
    rate: float = 20_000.0  # samples a second of a freshness
    seconds: float = 15.0
    interval_ms: float = 50.0
    tries: int = 5  # of a start


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Of the first run of each kind the figures by name, and all runs."""

    jetstream_samples_per_s: float | None
    jetstream_cpu_s_per_million: float | None
    jetstream_bare_samples_per_s: float | None
    jetstream_bare_cpu_s_per_million: float | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    latency_bare_p50_ms: float | None
    latency_bare_p99_ms: float | None
    latency_synced_p50_ms: float | None
    latency_synced_p99_ms: float | None
    start_s: float | None
    imports_s: float | None
    help_s: float | None
    python_s: float | None
    throughput: list[Throughput]
    freshness: list[Freshness]
    start: Start | None


async def load(asked: Asked, *, progress: Progress) -> Load:
    """Measure what is asked for, one after the other."""
    throughputs: list[Throughput] = []
    freshnesses: list[Freshness] = []
    started: Start | None = None
    sizes = [(campaigns, workers) for campaigns in asked.campaigns for workers in asked.workers]
    if "throughput" in asked.modes:
        for campaigns, workers in sizes:
            full = await throughput(
                campaigns=campaigns,
                partitions=asked.partitions,
                workers=workers,
                samples=asked.samples,
                rows=asked.rows,
                interval=INTERVAL_S,
                syncs_always=False,
                progress=progress,
            )
            throughputs.append(full)
    if "freshness" in asked.modes:
        for campaigns, workers in sizes:
            for syncs_always in (False, True):
                found = await freshness(
                    campaigns=campaigns,
                    partitions=asked.partitions,
                    workers=workers,
                    rate=asked.rate,
                    rows=FEED_ROWS,
                    seconds=asked.seconds,
                    interval=asked.interval_ms / 1000,
                    syncs_always=syncs_always,
                    progress=progress,
                )
                freshnesses.append(found)
    if "start" in asked.modes:
        started = await start(tries=asked.tries, campaigns=128, progress=progress)
    progress.end()
    return flat(throughputs, freshnesses, started)


def flat(
    throughputs: list[Throughput], freshnesses: list[Freshness], started: Start | None
) -> Load:
    full = throughputs[0] if throughputs else None
    lazy = next((one for one in freshnesses if not one.syncs_always), None)
    synced = next((one for one in freshnesses if one.syncs_always), None)
    return Load(
        jetstream_samples_per_s=None if full is None else full.samples_per_s,
        jetstream_cpu_s_per_million=None if full is None else full.worker_cpu,
        jetstream_bare_samples_per_s=None if full is None else full.bare_samples_per_s,
        jetstream_bare_cpu_s_per_million=None if full is None else full.bare_cpu,
        latency_p50_ms=None if lazy is None else lazy.p50_ms,
        latency_p99_ms=None if lazy is None else lazy.p99_ms,
        latency_bare_p50_ms=None if lazy is None else lazy.bare_p50_ms,
        latency_bare_p99_ms=None if lazy is None else lazy.bare_p99_ms,
        latency_synced_p50_ms=None if synced is None else synced.p50_ms,
        latency_synced_p99_ms=None if synced is None else synced.p99_ms,
        start_s=None if started is None else started.start_s,
        imports_s=None if started is None else started.imports_s,
        help_s=None if started is None else started.help_s,
        python_s=None if started is None else started.python_s,
        throughput=throughputs,
        freshness=freshnesses,
        start=started,
    )


def table(found: Load) -> str:
    """Return all runs as text: a block a kind, a line a figure, a column a run."""
    kinds: list[Sequence[msgspec.Struct]] = [found.throughput, found.freshness]
    kinds += [[found.start]] if found.start is not None else []
    return "\n\n".join(_block(runs) for runs in kinds if runs)


def _block(runs: Sequence[msgspec.Struct]) -> str:
    rows: list[dict[str, Any]] = [msgspec.structs.asdict(run) for run in runs]
    lines = (
        f"  {name:<20}" + "".join(f"{_shown(row[name]):>14}" for row in rows) for name in rows[0]
    )
    return "\n".join([type(runs[0]).__name__.lower(), *lines])


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
