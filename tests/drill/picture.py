"""Decisions a second over the faults, as an SVG that needs nothing to be drawn."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from math import ceil

from drill.faults import Fault
from drill.history import History

__all__ = ["picture"]

WIDTH, ROW, LEFT, RIGHT, TOP, MARGIN = 1200, 150, 70, 20, 50, 30
ROW_S = 300.0  # a long run is drawn in rows of so many seconds
POINTS = 600  # a row
COLOURS = {
    "worker": "#c0392b",
    "rolling": "#e67e80",
    "broker": "#2c6fbb",
    "kill in outage": "#1c3f6e",
    "black hole": "#444444",
    "deaf link": "#7f8c8d",
    "slow link": "#b0a99f",
    "clock": "#8e44ad",
    "full stream": "#d68910",
    "no snapshots": "#a0785a",
}


def picture(history: History, faults: Sequence[Fault], *, title: str) -> str:
    """Return an SVG: a curve of decisions a second, a bar for each fault from begin to end."""
    if not history.decided_at:
        return f'<svg xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title></svg>\n'
    begin = min(history.decided_at)
    seconds = max(max(history.decided_at) - begin, 1.0)
    rows = ceil(seconds / ROW_S)
    row_s = seconds / rows
    bucket_s = max(row_s / POINTS, 0.25)
    rates: Counter[int] = Counter()
    for at, decided in zip(history.decided_at, history.decided, strict=True):
        rates[int((at - begin) / bucket_s)] += decided
    most = max(rates.values()) / bucket_s
    drawn = "\n".join(
        _row(row, begin + row * row_s, row_s, begin, rates, bucket_s, most, faults)
        for row in range(rows)
    )
    height = TOP + rows * (ROW + MARGIN)
    keys = "  ".join(f'<tspan fill="{colour}">■</tspan> {name}' for name, colour in COLOURS.items())
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" \
font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="18" font-size="14">{escape(title)}: decisions a second</text>
<text x="{LEFT}" y="36">{keys}</text>
{drawn}
</svg>
"""


def _row(
    number: int,
    since: float,
    seconds: float,
    begin: float,
    rates: Counter[int],
    bucket_s: float,
    most: float,
    faults: Sequence[Fault],
) -> str:
    """Return one row: its bars, its curve and its axes."""
    top = TOP + number * (ROW + MARGIN)
    bottom, until = top + ROW, since + seconds

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (min(max(at, since), until) - since) / seconds

    def y(rate: float) -> float:
        return bottom - (ROW - 10) * rate / most

    first, last = (int((at - begin) / bucket_s) for at in (since, until))
    points = " ".join(
        f"{x(begin + (i + 0.5) * bucket_s):.1f},{y(rates[i] / bucket_s):.1f}"
        for i in range(first, last)
    )
    bars = "\n".join(
        f'<rect x="{x(fault.at):.1f}" y="{top}" height="{ROW}" opacity="0.35" '
        f'width="{max(1.5, x(fault.over_at) - x(fault.at)):.1f}" fill="{_colour(fault.kind)}">'
        f"<title>{escape(fault.kind)} {escape(fault.target)}</title></rect>"
        for fault in faults
        if fault.at < until and fault.over_at > since
    )
    marks = "\n".join(
        f'<text x="{x(at):.0f}" y="{bottom + 14}" text-anchor="middle">{at - begin:.0f} s</text>'
        for at in (since + seconds * i / 6 for i in range(7))
    )
    return f"""\
{bars}
<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}" stroke="#888888"/>
<polyline points="{points}" fill="none" stroke="#1b7f4b" stroke-width="1.2"/>
<text x="{LEFT - 6}" y="{y(most) + 4:.0f}" text-anchor="end">{most:,.0f}</text>
<text x="{LEFT - 6}" y="{bottom + 4}" text-anchor="end">0</text>
{marks}"""


def _colour(kind: str) -> str:
    words = kind.replace("_", " ")
    return next(colour for name, colour in COLOURS.items() if words.startswith(name))
