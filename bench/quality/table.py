"""The results as people read them in a terminal."""

from collections.abc import Mapping
from typing import Any

HEAD = (
    f"{'':<18}{'Q':>6}  {'95 %':<12}{'A soft':>7}{'A hard':>7}{'B soft':>7}{'B hard':>7}"
    f"{'C soft':>7}{'C hard':>7}{'r_F':>6}{'viol.':>7}{'waste':>7}{'pace':>6}{'early':>6}{'µs':>8}"
)


def table_of(results: Mapping[str, Any]) -> str:
    """The table of policies, the differences from the first, the forecasters and the notes."""
    lines = ["Shares of the hindsight optimum (1 is all of it); violations on feasible campaigns"]
    lines += [HEAD, *(_row(name, one) for name, one in results["policies"].items())]
    for name, one in results.get("shipped", {}).items():
        lines.append(
            f"{name:<18}{'':>20}{_cell(one['s_soft'])}{_cell(one['s_hard'])}{'':>34}"
            f"{_cell(one['violations'])}{_cell(one['waste'])}{_cell(one['pace'], 6)}  shipped"
        )
    first = results["policy"]
    others = [name for name in results["policies"] if name != first]
    if others:
        lines += ["", f"{first} less another, with paired 95 % intervals"]
        lines += [_behind(name, results["policies"][name]) for name in others]
    if results["forecasters"]:
        lines += ["", "Error of hourly CPC and CPM forecasts relative to a line through 24 h (r_F)"]
        lines += [_forecaster(name, one) for name, one in results["forecasters"].items()]
    lines += ["", *(f"note: {note}" for note in results["notes"])]
    cases = results["cases"]
    lines.append(
        f"{cases['A']['all']} campaign-days ({cases['A']['feasible']} feasible) in A and C, "
        f"{cases['B']['all']} ({cases['B']['feasible']}) in B, {len(results['seeds'])} seeds, "
        f"{results['seconds']:.0f} s on {results['processes']} processes"
    )
    return "\n".join(lines)


def _row(name: str, one: Mapping[str, Any]) -> str:
    tracks = one["tracks"]
    shares = "".join(
        _cell(tracks.get(track, {}).get(goal, {}).get(f"s_{goal}"))
        for track in "ABC"
        for goal in ("soft", "hard")
    )
    interval = one["q_interval"]
    span = f"{interval[0]:.1f}-{interval[1]:.1f}" if interval else ""
    q = "-" if one["Q"] is None else f"{one['Q']:.1f}"
    micro = one["decision_microseconds"]
    return (
        f"{name:<18}{q:>6}  {span:<12}{shares}{_cell(one['r_f'], 6)}{_cell(one['violations'])}"
        f"{_cell(one['waste'])}{_cell(one['pace'], 6)}{_cell(one['early'], 6)}"
        f"{'-' if micro is None else f'{micro:.0f}':>8}"
    )


def _behind(name: str, one: Mapping[str, Any]) -> str:
    parts = [_lead("Q", one["q_behind"], 1)]
    for track, goals in one["tracks"].items():
        parts += [_lead(f"{track} {goal}", goals[goal]["behind"], 3) for goal in ("soft", "hard")]
    return f"{name:<18}" + "  ".join(parts)


def _lead(what: str, lead: Mapping[str, Any], digits: int) -> str:
    if lead["by"] is None or lead["interval"] is None:
        return f"{what} -"
    low, high = lead["interval"]
    return f"{what} {lead['by']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def _forecaster(name: str, one: Mapping[str, Any]) -> str:
    horizons = "  ".join(f"{h} h {_cell(value).strip()}" for h, value in one["by_horizon"].items())
    low, high = one["interval"]
    return (
        f"{name:<18}{one['r_f']:.3f} ({low:.3f} to {high:.3f})  {horizons}  "
        f"by the clock {one['r_f_by_clock']:.3f}"
    )


def _cell(value: float | None, width: int = 7) -> str:
    return f"{'-' if value is None else f'{value:.3f}':>{width}}"
