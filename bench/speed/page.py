"""Renders results as a page that GitHub shows: every figure beside its goal and its floor."""

from collections.abc import Iterator

from bench.speed.figures import FIGURES, Figure, Results
from bench.speed.sizes import PEERS, by_size

__all__ = ["render"]

_HEAD = """\
<!-- Written by `python -m bench.speed`; `make bench` measures anew. -->
# Speed

Ratios count: what stands beside a figure was measured in the same run, in turn with it. Absolute
values are this machine's, on this day. What the peers are and what is asked of them is written
[beside them](peers/README.md); all numbers are in [results.json](results.json).
"""

_PICTURES = """\
## Is it linear?

![Nanoseconds a sample and a decision, by number of campaigns](speed/linear.svg)

Level lines are linear work. They rise where the windows (1.1 kB each) leave the caches and then
what huge pages cover; the floor, two random lines a sample or a stream over the headers, rises with
them.

## Against its peers

![Milliseconds of a step, by peer](speed/peers.svg)

One step: a sample for every campaign on each of four platforms, then a decision for every campaign.
"""


def render(results: Results) -> str:
    """Return the page."""
    parts = [
        _HEAD,
        _about(results),
        "\n".join(_figures(results)),
        _PICTURES,
        "\n".join(_peers(results)),
        "## Rounds\n\n![A round, by number of campaigns](speed/rounds.svg)\n",
        "## The border\n\n![Nanoseconds a row, by rows a call](speed/border.svg)\n",
    ]
    return "\n".join(parts)


def _about(results: Results) -> str:
    keys = ("machine", "python", "rustc", "go")
    told = [str(results[key]) for key in keys if results.get(key) is not None]
    if results.get("python") is not None:
        told[told.index(str(results["python"]))] = f"Python {results['python']}"
    parts = [
        f"{key.removeprefix('measured_')} {found}"
        for key, found in results.items()
        if key.startswith("measured_")
    ]
    return f"{'; '.join(told) or 'Nothing measured yet'}. Measured: {'; '.join(parts) or 'no'}.\n"


def _figures(results: Results) -> Iterator[str]:
    yield "| key | what | found | beside it | to reach | |"
    yield "|---|---|---|---|---|---|"
    for figure in FIGURES:
        found, reached = results.get(figure.key), figure.reached(results)
        value = _why(results, figure) if found is None else f"**{number(found)}** {figure.unit}"
        sign = "≥" if figure.is_least else "≤"
        cells = [
            f"`{figure.key}`",
            figure.what,
            value.strip(),
            _beside(results, figure),
            f"{sign} {number(figure.goal)} {figure.unit}".strip(),
            "" if reached is None else "yes" if reached else "no",
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _why(results: Results, figure: Figure) -> str:
    why = results.get(f"{figure.key}_why")
    return "not measured yet" if why is None else f"not measured: {why}"


def _beside(results: Results, figure: Figure) -> str:
    found = [
        f"{number(results[key])} {what}"
        for key, what in figure.beside
        if results.get(key) is not None
    ]
    size = results.get(f"{figure.key}_campaigns")
    if size is not None:
        found.append(f"{number(size)} campaigns")
    return ", ".join(found)


def _peers(results: Results) -> Iterator[str]:
    yield "| campaigns x 4 | peer | ns a sample | ns a decision | ms a step | core | times |"
    yield "|---|---|---|---|---|---|---|"
    for slug, name in PEERS.items():
        for size, step_ms in by_size(results, slug, "step_ms"):
            core_ms = float(results[f"{slug}_{size}_core_step_ms"] or 0)
            ingest, decide = (results[f"{slug}_{size}_{key}_ns"] for key in ("ingest", "decide"))
            ran = results[f"{slug}_{size}_ran"]
            scaled = "" if ran == size else f" (scaled from {number(ran)})"
            yield (
                f"| {number(size)} | {name}{scaled} | {number(ingest)} | {number(decide)}"
                f" | {number(step_ms)} | {number(core_ms)} ms | {number(step_ms / core_ms)} |"
            )
    yield ""


def number(found: float | str | None) -> str:
    """Return a number as people read it: three digits that count, thousands apart."""
    if not isinstance(found, int | float):
        return str(found)
    if found == 0 or abs(found) >= 100:
        return f"{found:,.0f}"
    return f"{found:.3g}"
