"""The parts of a run: each starts what it times as a process and returns flat results."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.speed.figures import Results

__all__ = ["PARTS"]

ROOT = Path(__file__).parents[2]
ROUND_SIZES = (10_000, 100_000)
# Of criterion's benches, which are many: enough to see a change of a tenth on a quiet machine.
TRIMMED = ("--warm-up-time", "0.3", "--measurement-time", "1", "--sample-size", "20", "--noplot")
CRITERION = ("forecast", "ingest", "outlook", "planner", "window")
SOLVE = "planner/decide 3 hard 64 classes"


class _FailedError(Exception):
    """What was started did not end well."""


def core() -> Results:
    """Time ingest, sweep and snapshots beside their floors, and rounds at two sizes."""
    found = _last_json(_cargo("ratios"))
    for size in ROUND_SIZES:
        one = _last_json(_cargo("round", ROUND_CAMPAIGNS=str(size)))
        for key in ("none", "changed10", "all"):
            found[f"round_{size}_{key}_ms"] = one[f"round_ms_{key}"]
        found[f"round_{size}_floor_ms"] = one["round_floor_ms"]
    found["round_ms_changed10"] = found[f"round_{ROUND_SIZES[-1]}_changed10_ms"]
    found["round_ms_all"] = found[f"round_{ROUND_SIZES[-1]}_all_ms"]
    found["round_floor_ms"] = found[f"round_{ROUND_SIZES[-1]}_floor_ms"]
    return found


def criterion() -> Results:
    """Run criterion's benches with little time for each, and read what a decision costs."""
    for bench in CRITERION:
        _cargo(bench, *TRIMMED)
    place = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "criterion" / SOLVE
    estimates = json.loads((place / "new" / "estimates.json").read_text())
    return {"solve_us": estimates["median"]["point_estimate"] / 1000}


def peers() -> Results:
    """Race the core against its peers; the figures are those of the largest size that ran."""
    output = _run([sys.executable, "-m", "bench.peers", "--json"])
    found: Results = {}
    for line in output.splitlines():
        one = json.loads(line)
        found |= _timing(one)
    return found


def _timing(one: Mapping[str, object]) -> Results:
    """Return the results of one peer at one size."""
    number = {key: value for key, value in one.items() if isinstance(value, int | float)}
    size, slots = int(number["campaigns"]), int(number["campaigns"]) * 4
    core_s = number["core_ingest_s"] + number["core_decide_s"]
    peer_s = number["ingest_s"] + number["decide_s"]
    name = SLUGS[str(one["name"])]
    found: Results = {
        f"{name}_{size}_ingest_ns": number["ingest_s"] / slots * 1e9,
        f"{name}_{size}_decide_ns": number["decide_s"] / size * 1e9,
        f"{name}_{size}_times": peer_s / core_s,
        f"{name}_{size}_ran": number["ran_campaigns"],
        f"{name}_{size}_core_ms": core_s * 1000,
        f"core_{size}_ingest_ns": number["core_ingest_s"] / slots * 1e9,
        f"core_{size}_decide_ns": number["core_decide_s"] / size * 1e9,
    }
    if name in ("numba", "numpy", "go", "river", "python"):
        found[f"vs_{name}"] = peer_s / core_s
        found[f"vs_{name}_campaigns"] = size
    if size == 1_000_000:
        found["tick_1m_ms"] = core_s * 1000
        if name == "core_two":
            found["tick_1m_ms_two_cores"] = peer_s * 1000
    return found


SLUGS = {
    "core": "core_two",
    "numba": "numba",
    "numpy, sums": "numpy",
    "numpy, windows": "numpy_windows",
    "Go": "go",
    "river": "river",
    "Python": "python",
}


def boundary() -> Results:
    """Time the border between Python and Rust."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "found.json"
        _run(
            [
                *(sys.executable, "-m", "pytest", "bench/boundary", "-q", "--benchmark-only"),
                *("-p", "no:cacheprovider", f"--benchmark-json={path}"),
            ]
        )
        benches = json.loads(path.read_text())["benchmarks"]
    found: Results = {}
    for one in benches:
        rows = one["extra_info"].get("rows")
        if rows is not None:
            found[f"border_{one['extra_info']['kind']}_{rows}_ns"] = (
                one["stats"]["min"] / rows * 1e9
            )
    return found


def fleet() -> Results:
    """Drive frames through JetStream into a worker, and time its start."""
    return _last_json(_run([sys.executable, "-m", "bench.fleet", "load", "--json"]))


PARTS: dict[str, Callable[[], Results]] = {
    "core": core,
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
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        sys.stderr.write(done.stdout)
        raise _FailedError(f"{' '.join(command[:6])} ended with {done.returncode}")
    return done.stdout


def _last_json(output: str) -> Results:
    """Return the object in the last line that is one; show the lines before it."""
    lines = [line for line in output.splitlines() if line.strip()]
    for line in lines:
        if not line.startswith("{"):
            sys.stderr.write(line + "\n")
    objects = [line for line in lines if line.startswith("{")]
    if not objects:
        raise _FailedError(f"one line of JSON was wanted, found {len(lines)} lines without any")
    return {
        key: value
        for key, value in json.loads(objects[-1]).items()
        if value is None or isinstance(value, int | float | str)
    }
