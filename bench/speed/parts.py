"""The parts of a run: each starts what it times as a process and returns flat results."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from bench.speed.figures import Results

__all__ = ["PARTS", "PartFailedError"]

ROOT = Path(__file__).parents[2]
SIZES = (10_000, 100_000, 1_000_000)
MIDDLE, LARGEST = SIZES[1:]
LARGEST_BYTES = 12_000_000_000  # what a million campaigns and their floors take
# Of criterion's benches, which are many: enough to see a change of a tenth on a quiet machine.
TRIMMED = ("--warm-up-time", "0.3", "--measurement-time", "1", "--sample-size", "20", "--noplot")
CRITERION = ("forecast", "ingest", "outlook", "planner", "window")

Found = Mapping[str, float | int | str | None]


class PartFailedError(Exception):
    """What was started did not end well, or did not say what it found."""


def sweep() -> Results:
    """Time ingest and sweep beside their floors."""
    found: Results = {}
    for size in SIZES:
        if size == LARGEST and (free := _free_bytes()) < LARGEST_BYTES:
            why = f"{LARGEST_BYTES / 1e9:.0f} GB wanted, {free / 1e9:.1f} free"
            for key in ("sweep_floor_ratio", "tick_1m_ms", "tick_1m_ms_two_cores"):
                found |= {key: None, f"{key}_why": why}
            continue
        for one in _objects(_cargo("sweep", ENGINE_BENCH_CAMPAIGNS=str(size))):
            found |= swept(one)
    return found


def swept(one: Found) -> Results:
    """Return the results of one line of `bench/core/sweep.rs`: a size, and a number of threads."""
    size, threads = one["campaigns"], one["threads"]
    kept = ("ingest_ns", "ingest_floor_ns", "sweep_ns", "sweep_floor_ns", "tick_ms")
    found: Results = {f"rust_{size}_{threads}_{key}": one[key] for key in kept}
    if (size, threads) == (MIDDLE, 1):
        keys = ("ingest_floor_ratio", "ingest_samples_per_s", "ingest_floor_ns", "bytes_per_slot")
        found |= {key: one[key] for key in keys}
    if (size, threads) == (LARGEST, 1):
        found |= {key: one[key] for key in ("sweep_floor_ratio", "sweep_floor_ns")}
        floor_ns = float(one["ingest_floor_ns"] or 0) + float(one["sweep_floor_ns"] or 0)
        found |= {"tick_1m_ms": one["tick_ms"], "tick_1m_floor_ms": floor_ns * LARGEST * 4 / 1e6}
    if (size, threads) == (LARGEST, 2):
        found["tick_1m_ms_two_cores"] = one["tick_ms"]
    return found


def snapshot() -> Results:
    """Time snapshots beside a copy of their bytes."""
    found: Results = {}
    for one in _objects(_cargo("snapshot")):
        found |= {key: one[key] for key in one if key.startswith("snapshot_")}
    if "snapshot_copy_ratio" not in found:
        raise PartFailedError("bench/core/snapshot.rs printed no snapshot_copy_ratio")
    return found


def rounds() -> Results:
    """Time whole rounds of which none, one in ten or all campaigns were heard from."""
    found: Results = {}
    for size in SIZES[:2]:
        for one in _objects(_cargo("round", ROUND_CAMPAIGNS=str(size))):
            for heard in ("none", "changed10", "all"):
                found[f"round_{size}_{heard}_ms"] = one[f"round_ms_{heard}"]
            found[f"round_{size}_floor_ms"] = one["round_floor_ms"]
            found["bytes_per_slot_all"] = one["bytes_per_slot_all"]
    for heard in ("changed10", "all"):
        found[f"round_ms_{heard}"] = found[f"round_{MIDDLE}_{heard}_ms"]
    found["round_floor_ms"] = found[f"round_{MIDDLE}_floor_ms"]
    return found


def criterion() -> Results:
    """Run criterion's benches with little time for each, and read what a decision costs."""
    found: Results = {}
    for bench in CRITERION:
        for one in _objects(_cargo(bench, *TRIMMED)):
            found |= {key: one[key] for key in one if key.startswith("solve_")}
    if "solve_us" not in found:
        raise PartFailedError("bench/core/planner.rs printed no solve_us")
    return found


SLUGS = {
    "numba": "numba",
    "numpy, sums": "numpy",
    "numpy, windows": "numpy_windows",
    "Go": "go",
    "river": "river",
    "Python": "python",
}
"""What a peer is called in keys."""


def peers() -> Results:
    """Race the core against its peers; the figures are those of the largest size that ran."""
    found: Results = {}
    for one in _objects(_run([sys.executable, "-m", "bench.peers", "--json"])):
        found |= raced(one)
    return found


def raced(one: Found) -> Results:
    """Return the results of one line of `bench.peers`: a peer at a size."""
    size, name = int(one["campaigns"] or 0), SLUGS[str(one["name"])]
    peer_s = [float(one[key] or 0) for key in ("ingest_s", "decide_s")]
    core_s = [float(one[key] or 0) for key in ("core_ingest_s", "core_decide_s")]
    times = sum(peer_s) / sum(core_s)
    found: Results = {
        f"{name}_{size}_ingest_ns": peer_s[0] / size / 4 * 1e9,
        f"{name}_{size}_decide_ns": peer_s[1] / size * 1e9,
        f"{name}_{size}_step_ms": sum(peer_s) * 1000,
        f"{name}_{size}_core_step_ms": sum(core_s) * 1000,
        f"{name}_{size}_ran": one["ran_campaigns"],
    }
    if name == "numba":  # the core's own, beside the first of its peers
        found[f"core_{size}_ingest_ns"] = core_s[0] / size / 4 * 1e9
        found[f"core_{size}_decide_ns"] = core_s[1] / size * 1e9
    if name != "numpy_windows":
        found |= {f"vs_{name}": times, f"vs_{name}_campaigns": size}
    return found


def boundary() -> Results:
    """Time the border between Python and Rust."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "found.json"
        _run(
            [
                *(sys.executable, "-m", "pytest", "bench/boundary", "-q", "--benchmark-only"),
                *("-o", "python_files=bench_*.py", "-o", "python_functions=bench_*"),
                *("-p", "no:cacheprovider", f"--benchmark-json={path}"),
                *("--benchmark-max-time=0.4", "--benchmark-min-rounds=3"),
            ]
        )
        benches = json.loads(path.read_text())["benchmarks"]
    found: Results = {}
    for one in benches:
        info = one["extra_info"]
        if "rows" in info:
            each_ns = one["stats"]["min"] / info["rows"] * 1e9
            found[f"border_{info['of']}_{info['rows_a_call']}_ns"] = each_ns
    return found


def fleet() -> Results:
    """Drive frames through JetStream into a worker, and time its start."""
    found: Results = {}
    for one in _objects(_run([sys.executable, "-m", "bench.fleet", "load", "--json"])):
        found |= one
    return found


PARTS: dict[str, Callable[[], Results]] = {
    "sweep": sweep,
    "snapshot": snapshot,
    "rounds": rounds,
    "peers": peers,
    "boundary": boundary,
    "fleet": fleet,
    "criterion": criterion,
}


def _cargo(bench: str, *arguments: str, **environment: str) -> str:
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", bench, "--", *arguments]
    return _run(command, **environment)


def _run(command: Sequence[str], **environment: str) -> str:
    """Run a program to its end, what it says of its progress shown; return its stdout."""
    sys.stderr.write(f"$ {' '.join(command)}\n")
    sys.stderr.flush()
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise PartFailedError(f"`{' '.join(command[:6])}` ended with {done.returncode}")
    return done.stdout


def _objects(output: str) -> Iterator[Results]:
    """Iterate the lines that are JSON objects, with what is flat in them; show the others."""
    for line in output.splitlines():
        if not line.startswith("{"):
            sys.stderr.write(line + "\n")
            continue
        found = json.loads(line)
        yield {key: one for key, one in found.items() if not isinstance(one, list | dict)}


def _free_bytes() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except FileNotFoundError:
        return 0  # not Linux: nobody to ask, so nothing is risked
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
