"""`python -m fuzz`: fuzz everything that reads what others wrote, and print one JSON line.

With `--core` the Rust core's fuzzer runs beside it, for as long. The exit code is 0 where every
property held, 1 where one did not; inputs that fail are written below `--failures`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fuzz.loop import Found, fuzz
from fuzz.targets import TARGETS

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Fuzz as told; return the exit code."""
    given = _parser().parse_args(arguments)
    began = time.monotonic()
    names = given.target or list(TARGETS)
    core = _core(given) if given.core else None
    found = {name: _told(name, given.seconds / len(names), given) for name in names}
    line: dict[str, Any] = {
        "cases": {name: one.cases for name, one in found.items()},
        "kept": {name: one.kept for name, one in found.items()},
        "slowest_ms": {name: round(one.slowest_ms) for name, one in found.items()},
        "failures": [
            {
                "target": failure.target,
                "what": failure.what,
                "file": str(failure.save(given.failures)),
            }
            for one in found.values()
            for failure in one.failures
        ],
    }
    if core is not None:
        _add(line, json.loads(core.communicate()[0]))
    line["total"] = sum(line["cases"].values())
    line["seed"] = given.seed
    line["seconds"] = round(time.monotonic() - began, 1)
    sys.stdout.write(json.dumps(line) + "\n")
    return 1 if line["failures"] else 0


def _told(name: str, seconds: float, given: argparse.Namespace) -> Found:
    found = fuzz(TARGETS[name], seconds=seconds, cases=given.cases, seed=given.seed)
    words = f"{found.cases} cases, {found.kept} kept, {len(found.failures)} failures"
    sys.stderr.write(f"fuzz {name}: {words}\n")
    return found


def _core(given: argparse.Namespace) -> subprocess.Popen[bytes]:
    flags = ["--seconds", str(given.seconds), "--seed", str(given.seed)]
    if given.cases is not None:
        flags += ["--cases", str(given.cases)]
    return subprocess.Popen(
        [given.core, *flags, "--failures", given.failures], stdout=subprocess.PIPE
    )


def _add(line: dict[str, Any], core: dict[str, Any]) -> None:
    """Put what the core's fuzzer said beside what was found here."""
    for name in ("cases", "kept", "slowest_ms"):
        line[name] |= core[name]
    line["failures"] += core["failures"]
    line |= {"places": core["places"], "guided": core["guided"]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for all targets together")
    parser.add_argument("--cases", type=int, help="at most so many for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--core", type=Path, help="the core's fuzzer, run beside this one")
    parser.add_argument("--failures", type=Path, default=Path("target/fuzz-failures"))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
