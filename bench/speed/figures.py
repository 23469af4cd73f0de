"""The figures that a run must give, and the file they are kept in: flat, to compare two of them.

A figure that was not measured is null; where a part could not, the reason is under `<key>_why`.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

__all__ = ["FIGURES", "Figure", "Results", "load", "merged", "save", "unmeasured"]

Results = dict[str, float | int | str | None]


class Figure(msgspec.Struct, frozen=True):
    """One figure of the run."""

    key: str
    part: str  # of `parts`, which measures it
    what: str
    unit: str
    goal: float
    is_least: bool = False  # whether the goal is the least that will do; else the most
    beside: tuple[tuple[str, str], ...] = ()  # keys of its floor or peer, with what they are

    def reached(self, results: Mapping[str, float | int | str | None]) -> bool | None:
        """Return whether the goal was reached; None where there is no figure."""
        found = results.get(self.key)
        if not isinstance(found, int | float):
            return None
        return found >= self.goal if self.is_least else found <= self.goal


_STEP = "one step (4 samples and a decision a campaign) through Python, one core, against "

FIGURES = (
    Figure(
        "ingest_floor_ratio",
        "sweep",
        "ingest of 100,000 campaigns x 4 in random order, one core: share of the floor",
        "",
        0.8,
        is_least=True,
        beside=(("ingest_floor_ns", "ns a sample to read and write two random lines"),),
    ),
    Figure(
        "ingest_samples_per_s",
        "sweep",
        "the same, samples a second",
        "samples/s",
        40e6,
        is_least=True,
    ),
    Figure(
        "sweep_floor_ratio",
        "sweep",
        "sweep of 1,000,000 campaigns x 4 (forecast, score, argmax, pacing), one core:"
        " share of the floor",
        "",
        0.9,
        is_least=True,
        beside=(
            ("sweep_floor_ns", "ns a campaign-platform to stream what must be read and written"),
        ),
    ),
    Figure(
        "tick_1m_ms",
        "sweep",
        "4,000,000 samples in, 1,000,000 closed-form decisions, one core",
        "ms",
        200,
        beside=(("tick_1m_floor_ms", "ms by the two floors"),),
    ),
    Figure("tick_1m_ms_two_cores", "sweep", "the same on two cores", "ms", 120),
    Figure(
        "round_ms_changed10",
        "rounds",
        "a round of 100,000 campaigns x 4 with shadow prices, one in ten heard from, one core",
        "ms",
        60,
        beside=(("round_floor_ms", "ms to read and write the state once"),),
    ),
    Figure("round_ms_all", "rounds", "the same, all heard from", "ms", 400),
    Figure(
        "solve_us",
        "criterion",
        "one decision with full landscapes, three platforms",
        "µs",
        50,
        beside=(("solve_read_us", "µs to read once the landscapes of all its scenarios"),),
    ),
    Figure("vs_numba", "peers", _STEP + "numba", "x", 3.5, is_least=True),
    Figure("vs_numpy", "peers", _STEP + "numpy, incremental sums", "x", 8, is_least=True),
    Figure("vs_go", "peers", _STEP + "Go on all cores", "x", 25, is_least=True),
    Figure("vs_river", "peers", _STEP + "river", "x", 500, is_least=True),
    Figure("vs_python", "peers", _STEP + "Python's statistics", "x", 1000, is_least=True),
    Figure(
        "jetstream_samples_per_s",
        "fleet",
        "through JetStream into one worker: windows updated, decisions committed",
        "samples/s",
        3e6,
        is_least=True,
        beside=(("jetstream_bare_samples_per_s", "samples/s by a reader that only counts bytes"),),
    ),
    Figure(
        "jetstream_cpu_s_per_million",
        "fleet",
        "the same, the worker's processor time",
        "CPU-s a million samples",
        0.35,
        beside=(("jetstream_bare_cpu_s_per_million", "CPU-s by that reader"),),
    ),
    Figure(
        "latency_p50_ms",
        "fleet",
        "sample in to the decision that used it committed, 10,000 campaigns, 50 ms rounds",
        "ms",
        60,
        beside=(
            ("latency_bare_p50_ms", "ms for rounds that decide nothing"),
            ("latency_synced_p50_ms", "ms with `sync_interval: always`"),
        ),
    ),
    Figure(
        "latency_p99_ms",
        "fleet",
        "the same, 99 of 100",
        "ms",
        120,
        beside=(
            ("latency_bare_p99_ms", "ms for rounds that decide nothing"),
            ("latency_synced_p99_ms", "ms with `sync_interval: always`"),
        ),
    ),
    Figure(
        "bytes_per_slot",
        "sweep",
        "memory of a campaign-platform, 64 samples, closed-form state",
        "bytes",
        1200,
        beside=(("ring_bytes_per_slot", "bytes of the samples alone"),),
    ),
    Figure(
        "bytes_per_slot_all",
        "rounds",
        "memory of a campaign-platform, all state of an aggregates-only campaign",
        "bytes",
        2000,
    ),
    Figure(
        "snapshot_copy_ratio",
        "snapshot",
        "snapshot and restore of 100,000 campaigns x 4, the slower, against copying the bytes",
        "x",
        2,
        beside=(("snapshot_copy_ms", "ms to copy them"),),
    ),
    Figure(
        "start_s",
        "fleet",
        "a worker's start to its first decision",
        "s",
        0.7,
        beside=(("imports_s", "s to import what it consists of"),),
    ),
    Figure(
        "help_s",
        "fleet",
        "`engine --help`",
        "s",
        0.3,
        beside=(("python_s", "s for an interpreter that does nothing"),),
    ),
)


def unmeasured(part: str, why: str) -> Results:
    """Return the figures of a part that failed: null with the reason, so that none is of before."""
    found: Results = {}
    for figure in FIGURES:
        if figure.part == part:
            found |= {figure.key: None, f"{figure.key}_why": why}
    return found


def load(path: Path) -> Results:
    """Return what a file holds; nothing where there is none."""
    if not path.exists():
        return {}
    return msgspec.json.decode(path.read_bytes(), type=Results)


def merged(before: Results, found: Results) -> Results:
    """Return results with new ones put in and every figure present, null where it never was.

    A reason stays only beside a null.
    """
    kept = before | found
    keys = [figure.key for figure in FIGURES]
    for key in keys:
        if kept.setdefault(key, None) is not None:
            kept.pop(f"{key}_why", None)
    rest = sorted(key for key in kept if key not in keys)
    return {key: kept[key] for key in [*keys, *rest]}


def save(results: Results, path: Path) -> None:
    """Write results, a line each."""
    content = msgspec.json.format(msgspec.json.encode(results), indent=1)
    path.write_bytes(content + b"\n")
