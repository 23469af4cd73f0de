"""Draws the results: shares of the optimum with intervals, spend over the day, forecast errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0b6e99", "#d9730d", "#6b8f23", "#8d5fa8", "#8a8a8a")  # told apart in grey as well
BARS = (("A", "soft"), ("A", "hard"), ("B", "soft"), ("B", "hard"), ("C", "soft"), ("C", "hard"))


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Writes one SVG page.

    Raises:
        ImportError: if matplotlib is not installed; nothing else here needs it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # No dates and no random ids: the same results give the same bytes.
    with mpl.rc_context({"svg.hashsalt": "quality", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(11, 8.2), layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=(1.15, 1))
        _shares(parts[0].subplots(), results)
        if results.get("closed_loop"):
            spend, errors, closed = parts[1].subplots(1, 3, width_ratios=(1.1, 1, 1))
            _closed(closed, results["closed_loop"])
        else:
            spend, errors = parts[1].subplots(1, 2, width_ratios=(1.25, 1))
        _spend(spend, results)
        _errors(errors, results)
        figure.suptitle(_title(results), fontsize=11)
        figure.savefig(path, format="svg", metadata={"Date": None})


def _title(results: Mapping[str, Any]) -> str:
    q = "unknown" if results["Q"] is None else f"{results['Q']:.1f}"
    days = ", ".join(results["data"]["markets"])
    return f"Decision quality on {days}: Q of {results['policy']} = {q}"


def _shares(axes: "Axes", results: Mapping[str, Any]) -> None:
    policies = results["policies"]
    width = 0.8 / len(policies)
    bars = [(t, g) for t, g in BARS if t in results["tracks"]]
    for i, (name, one) in enumerate(policies.items()):
        at = [k - 0.4 + width * (i + 0.5) for k in range(len(bars))]
        cells = [one["tracks"][track][goal] for track, goal in bars]
        heights = [cell[f"s_{goal}"] or 0.0 for cell, (_, goal) in zip(cells, bars, strict=True)]
        spans = [
            [max(h - cell["interval"][0], 0) for h, cell in zip(heights, cells, strict=True)],
            [max(cell["interval"][1] - h, 0) for h, cell in zip(heights, cells, strict=True)],
        ]
        axes.bar(at, heights, width * 0.92, color=COLOURS[i % len(COLOURS)], label=name)
        axes.errorbar(at, heights, spans, fmt="none", ecolor="#222222", elinewidth=0.8, capsize=2)
    names = {"A": "A: one platform", "B": "B: three platforms", "C": "C: first price"}
    axes.set_xticks(range(len(bars)), [f"{names[track]}\n{goal} goal" for track, goal in bars])
    axes.axhline(1, color="#222222", linewidth=0.8, linestyle=":")
    axes.set_ylim(0, 1.12)
    axes.set_ylabel("share of the hindsight optimum")
    axes.legend(ncols=len(policies), loc="upper center", frameon=False)
    _plain(axes)


def _spend(axes: "Axes", results: Mapping[str, Any]) -> None:
    traffic = results["traffic_by_round"]
    rounds = range(1, len(traffic) + 1)
    axes.plot(rounds, traffic, color="#222222", linestyle=":", label="traffic")
    for i, (name, one) in enumerate(results["policies"].items()):
        axes.plot(
            rounds, one["spend_by_round"]["hard"], color=COLOURS[i % len(COLOURS)], label=name
        )
    axes.set_xlabel("round of the day")
    axes.set_ylabel("share of the budget spent (A, hard goal)")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)
    _plain(axes)


def _errors(axes: "Axes", results: Mapping[str, Any]) -> None:
    forecasters = results["forecasters"]
    _plain(axes)
    if not forecasters:
        axes.text(0.5, 0.5, "track F was left out", ha="center", transform=axes.transAxes)
        return
    width = 0.8 / len(forecasters)
    for i, (name, one) in enumerate(forecasters.items()):
        parts = [*one["by_horizon"].values(), one["r_f"]]
        at = [k - 0.4 + width * (i + 0.5) for k in range(len(parts))]
        axes.bar(at, parts, width * 0.92, color=COLOURS[i % len(COLOURS)], label=name)
    labels = [f"{h} h ahead" for h in next(iter(forecasters.values()))["by_horizon"]]
    axes.set_xticks(range(len(labels) + 1), [*labels, "all: r_F"])
    axes.set_ylabel("error of CPC and CPM over OLS-24h")
    axes.set_ylim(0, 1.2)
    axes.legend(ncols=len(forecasters), loc="upper center", frameon=False)


def _closed(axes: "Axes", closed: Mapping[str, Any]) -> None:
    """Track D: what each rule won of what hindsight could have, by length of the run."""
    scenarios = closed["scenarios"]
    for i, policy in enumerate(("engine", "naive")):
        at = [k - 0.2 + 0.4 * i for k in range(len(scenarios))]
        won = [one[policy]["won"] for one in scenarios.values()]
        axes.bar(at, won, 0.37, color=COLOURS[i * 3], label=policy)
    axes.set_xticks(range(len(scenarios)), list(scenarios))
    axes.set_xlabel("run / day, seconds")
    axes.set_ylabel("won of the optimum, simulated market (D)")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False)
    _plain(axes)


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
