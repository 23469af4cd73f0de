"""Measures everything: `python -m bench.speed`, or parts of it: `python -m bench.speed peers`.

Writes `bench/results.json`, and of that `bench/speed.md` with its pictures; a part leaves the
figures of others as they were, each with the time at which it was measured.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.speed.draw import draw
from bench.speed.figures import Results, load, merged, save, unmeasured
from bench.speed.page import render
from bench.speed.parts import PARTS, ROOT, PartFailedError


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0, or 1 where a part failed: its figures are null then, with the reason."""
    words = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    words.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    words.add_argument("--draw", action="store_true", help="measure nothing, write page and plots")
    words.add_argument("--out", type=Path, default=ROOT / "bench", metavar="DIR")
    asked = words.parse_args(arguments)
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        words.error(f"a part must be one of {', '.join(PARTS)}, was {unknown[0]}")
    asked.out.mkdir(exist_ok=True)
    path, failed = asked.out / "results.json", False
    for part in () if asked.draw else asked.parts or PARTS:
        began = time.monotonic()
        _say(f"== {part}")
        try:
            found = PARTS[part]()
        except (PartFailedError, KeyError, OSError) as error:
            why = f"{type(error).__name__}: {error}"
            _say(f"{part}: {why}")
            found, failed = unmeasured(part, why), True
        took_s = time.monotonic() - began
        _say(f"== {part}: {took_s:.0f} s")
        save(merged(load(path), found | _about(part)), path)
    results = merged(load(path), {})
    save(results, path)
    draw(results, asked.out / "speed")
    (asked.out / "speed.md").write_text(render(results), encoding="utf-8")
    _say(f"{path}, speed.md and its pictures are written")
    return int(failed)


def _about(part: str) -> Results:
    """Return when and where a part was measured."""
    now = datetime.now(UTC)
    return {
        "date": f"{now:%Y-%m-%d}",
        "machine": f"{_processor()}, {os.cpu_count()} cores, {platform.system()}",
        "python": platform.python_version(),
        "rustc": _version("rustc", "--version"),
        "go": _version("go", "version"),
        f"measured_{part}": f"{now:%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.1f}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
