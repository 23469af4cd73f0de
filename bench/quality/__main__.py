"""Runs the benchmark: `python -m bench.quality DIR PREFIX --history DIR --json`."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.quality.closed_results import lines_of, track_d
from bench.quality.days import DataError, read_folder
from bench.quality.draw import draw
from bench.quality.entrants import BASE_FORECASTER, ENTRANTS, FORECASTERS
from bench.quality.forecasts import Errors, read_series, walk
from bench.quality.results import results_of
from bench.quality.shipped import shipped_scores
from bench.quality.table import table_of
from bench.quality.tracks import Plan, cases_of, judge

SHIPPED = Path(__file__).parent / "data"
SERIES = "*cpc_cpm.csv.gz"
WRONG_USE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns 0, or 2 where the folder or the words of the command make no sense."""
    asked = parser().parse_args(arguments)
    try:
        results = run(asked)
    except (DataError, ModuleNotFoundError) as error:
        sys.stderr.write(f"bench.quality: {error}\n")
        return WRONG_USE
    if asked.out is not None:
        _write(results, asked.out)
    text = table_of(results)
    if results["closed_loop"] is not None:
        text = "\n".join([text, "", *lines_of(results["closed_loop"])])
    (sys.stderr if asked.json else sys.stdout).write(text + "\n")
    if asked.json:
        sys.stdout.write(msgspec.json.encode(results).decode() + "\n")
    return 0


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(
        prog="python -m bench.quality",
        description="Measures the engine's decisions against baselines and the hindsight optimum.",
    )
    words.add_argument("folder", type=Path, metavar="DIR", help="days, and an_campaigns.csv")
    words.add_argument("prefix", metavar="PREFIX", help="judge the days PREFIX*.npz")
    words.add_argument("--history", type=Path, metavar="DIR", help="past days; without: cold")
    words.add_argument("--json", action="store_true", help="one JSON object as the last line")
    words.add_argument("--seeds", type=_seeds, default=(0, 1, 2), metavar="N", help="3")
    words.add_argument("--processes", type=_positive, default=min(2, os.cpu_count() or 1))
    words.add_argument(
        "--policies", type=_policies, default=tuple(ENTRANTS), metavar="A,B", help="the first leads"
    )
    words.add_argument(
        "--expected", type=float, metavar="N", help="opportunities a day; else the days' scale"
    )
    words.add_argument("--without-d", action="store_true", help="leave the closed loop out")
    words.add_argument("--out", type=Path, metavar="DIR", help="write results.json and .svg here")
    return words


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Runs all tracks.

    Raises:
        DataError: if a folder does not hold what is wanted.
    """
    began = time.monotonic()
    folder = read_folder(asked.folder, asked.prefix, asked.history)
    notes = list(folder.notes)
    plan = Plan(
        folder=asked.folder,
        prefix=asked.prefix,
        history=asked.history,
        policies=asked.policies,
        seeds=asked.seeds,
        expected=asked.expected,
    )
    cases = list(cases_of(folder))
    sys.stderr.write(
        f"{len(cases)} cases, {len(asked.policies)} policies, {len(asked.seeds)} seeds "
        f"on {asked.processes} processes\n"
    )
    judged = judge(plan, cases, asked.processes)
    errors, series = _forecast_errors(asked.folder, asked.policies, notes)
    closed = None if asked.without_d else track_d(processes=asked.processes)
    about = {
        "closed_loop": closed,
        "shipped": shipped_scores(asked.folder, set(folder.days)),
        "data": {
            "folder": asked.folder.name,
            "markets": sorted(folder.days),
            "past": sorted(folder.past),
            "series": series,
        },
        "seeds": list(asked.seeds),
        "processes": asked.processes,
        "seconds": round(time.monotonic() - began, 1),
    }
    return results_of(judged, asked.policies, errors, about=about, notes=notes)


def _forecast_errors(
    folder: Path, policies: Sequence[str], notes: list[str]
) -> tuple[dict[str, list[Errors]], str | None]:
    """Track F on the folder's hourly series, or on the one shipped here."""
    files = sorted(folder.glob(SERIES))
    if not files:
        files = sorted(SHIPPED.glob(SERIES))
        if files:
            notes.append(f"no {SERIES} in {folder}: track F is run on the one shipped here")
    if not files:
        return {}, None
    series = read_series(files[0])
    wanted = {ENTRANTS[name].forecaster for name in policies} | {BASE_FORECASTER}
    return {
        name: [walk(one, make()) for one in series]
        for name, make in FORECASTERS.items()
        if name in wanted
    }, files[0].name


def _write(results: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = msgspec.json.format(msgspec.json.encode(results), indent=1)
    (folder / "results.json").write_bytes(plain + b"\n")
    try:
        draw(results, folder / "results.svg")
    except ImportError as error:
        sys.stderr.write(f"not drawn: {error}\n")


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1 is wanted, was {number}")
    return number


def _seeds(word: str) -> tuple[int, ...]:
    return tuple(range(_positive(word)))


def _policies(word: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(word.split(",")))
    unknown = [name for name in names if name not in ENTRANTS]
    if unknown:
        known = ", ".join(ENTRANTS)
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {known}")
    return names


if __name__ == "__main__":
    sys.exit(main())
