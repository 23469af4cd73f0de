"""Decisions a second over the faults, as an SVG that needs nothing to be drawn."""

from collections import Counter
from collections.abc import Sequence
from html import escape

from drill.history import History
from drill.nemesis import Fault

__all__ = ["picture"]

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1200, 360, 60, 40, 40
COLOURS = {
    "worker": "#c0392b",
    "broker": "#2c6fbb",
    "black hole": "#555555",
    "clock": "#8e44ad",
    "other": "#d68910",
}


def picture(history: History, faults: Sequence[Fault], *, title: str) -> str:
    """Return an SVG: a curve of decisions a second, a bar for each fault from begin to end."""
    if not history.decided_at:
        return f'<svg xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title></svg>\n'
    begin = min(history.decided_at)
    seconds = max(max(history.decided_at) - begin, 1.0)
    width = max(seconds / 600, 0.25)  # of a bucket
    rates: Counter[int] = Counter()
    for at, decided in zip(history.decided_at, history.decided, strict=True):
        rates[int((at - begin) / width)] += decided
    most = max(rates.values()) / width

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - 20) * (at - begin) / seconds

    def y(rate: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * rate / most

    points = " ".join(
        f"{x(begin + (i + 0.5) * width):.1f},{y(rates[i] / width):.1f}"
        for i in range(int(seconds / width))
    )
    bars = "\n".join(
        f'<rect x="{x(fault.at):.1f}" y="{TOP}" height="{HEIGHT - TOP - BOTTOM}" opacity="0.3" '
        f'width="{max(1.5, x(fault.over_at) - x(fault.at)):.1f}" fill="{_colour(fault.kind)}">'
        f"<title>{escape(fault.kind)} {escape(fault.target)}</title></rect>"
        for fault in faults
    )
    marks = "\n".join(
        f'<text x="{x(begin + part):.0f}" y="{HEIGHT - 20}" text-anchor="middle">'
        f"{part:.0f} s</text>"
        for part in (seconds * i / 6 for i in range(7))
    )
    keys = "  ".join(f'<tspan fill="{colour}">■</tspan> {name}' for name, colour in COLOURS.items())
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" \
font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="{LEFT}" y="18" font-size="14">{escape(title)}: decisions a second</text>
<text x="{LEFT}" y="34">{keys}</text>
{bars}
<polyline points="{points}" fill="none" stroke="#1b7f4b" stroke-width="1.2"/>
<text x="4" y="{y(most) + 4:.0f}">{most:,.0f}</text>
<text x="4" y="{y(0):.0f}">0</text>
{marks}
</svg>
"""


def _colour(kind: str) -> str:
    words = kind.replace("_", " ")
    return next((COLOURS[name] for name in COLOURS if words.startswith(name)), COLOURS["other"])
