"""Draws value kept against operations allowed: `python -m bench.gateway --out bench/gateway`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.gateway.day import NOBODY, UNLIMITED, Outcome, Policy, run

ALLOWED = (0.5, 1.5, 3.0, 6.0, 12.0, 24.0)
"""Operations a campaign and day; 1.5 are 15,000 for 10,000 campaigns."""
ORDERS = (
    ("by worth", {}),
    ("first come, evenly", {"by_worth": False}),
    ("first come, at once", {"by_worth": False, "evenly": False}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0."""
    words = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    words.add_argument("--campaigns", type=int, default=300)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--out", type=Path, metavar="DIR", help="write results.json and value.svg")
    asked = words.parse_args(arguments)
    count, seed = asked.campaigns, asked.seed
    nobody, everything = (run(one, campaigns=count, seed=seed) for one in (NOBODY, UNLIMITED))
    curves: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in ORDERS}
    outcomes: dict[str, Outcome] = {"nobody": nobody, "everything": everything}
    for name, fields in ORDERS:
        for allowed in ALLOWED:
            policy = Policy(name, int(allowed * count), **fields)
            found = outcomes[f"{name} {allowed:g}"] = run(policy, campaigns=count, seed=seed)
            gained = found.profit_micros - nobody.profit_micros
            kept = gained / (everything.profit_micros - nobody.profit_micros)
            curves[name].append((allowed, kept))
            line = f"{name:20} {allowed:5g} a day: {kept:7.1%} kept, {found.operations:,} sent"
            sys.stdout.write(line + "\n")
    if asked.out is not None:
        results = {"campaigns": count, "seed": seed, "kept": curves, "outcomes": outcomes}
        content = msgspec.json.format(msgspec.json.encode(results), indent=1)
        (asked.out / "results.json").write_bytes(content + b"\n")
        _draw(curves, asked.out / "value.svg")
    return 0


def _draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "gateway"
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    for (name, points), style in zip(curves.items(), ("-o", "--s", ":^"), strict=True):
        axes.plot([x for x, _ in points], [100 * y for _, y in points], style, label=name)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.axvline(1.5, color="grey", linewidth=0.8, linestyle=":")
    axes.annotate("15,000 for 10,000 campaigns", (1.55, 92), fontsize=8)
    axes.set_xscale("log")
    axes.set_xticks(ALLOWED, [f"{x:g}" for x in ALLOWED])
    axes.minorticks_off()
    axes.set_xlabel("operations allowed, a campaign and day")
    axes.set_ylabel("value kept, % of changing everything at once")
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    sys.exit(main())
