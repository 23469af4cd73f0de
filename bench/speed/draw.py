"""Draws the results: is it linear, and how does it compare? One SVG a question."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.speed.figures import Results
from bench.speed.sizes import PEERS, by_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw"]

CORE, FLOOR = "#0b6e99", "#222222"
COLOURS = {
    "numba": "#d9730d",
    "numpy": "#6b8f23",
    "numpy_windows": "#a3b86c",
    "go": "#8d5fa8",
    "river": "#8a8a8a",
    "python": "#b0413e",
}
HEARD = {"all": "all heard from", "changed10": "one in ten", "none": "none", "floor": "floor"}
BORDER = {
    "bytes": ("bytes", "-o"),
    "memoryview": ("memoryview", "--s"),
    "numpy": ("numpy array", ":^"),
}

Points = Sequence[tuple[float, float]]


def draw(results: Results, place: Path) -> None:
    """Write the pictures into a folder.

    Raises:
        ImportError: if matplotlib is not installed; nothing else here needs it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    place.mkdir(exist_ok=True)
    pictures: dict[str, tuple[tuple[float, float], Callable[[Figure, Results], None]]] = {
        "linear": ((10, 4), _linear),
        "peers": ((10, 4.4), _peers),
        "rounds": ((7, 3.6), _rounds),
        "border": ((7, 3.6), _border),
    }
    # No dates and no random ids: the same results give the same bytes.
    with mpl.rc_context({"svg.hashsalt": "speed", "font.size": 9, "svg.fonttype": "none"}):
        for name, (size, picture) in pictures.items():
            figure = Figure(figsize=size, layout="constrained", facecolor="white")
            picture(figure, results)
            figure.savefig(place / f"{name}.svg", format="svg", metadata={"Date": None})


def _linear(figure: "Figure", results: Results) -> None:
    ingest, decide = figure.subplots(1, 2)
    for axes, what, title, scale in (
        (ingest, "ingest", "ns a sample, random order", 1),
        (decide, "decide", "ns a decision (four platforms)", 4),
    ):
        rust = {"ingest": "ingest", "decide": "sweep"}[what]
        floor = [(n, ns * scale) for n, ns in by_size(results, "rust", f"1_{rust}_floor_ns")]
        core = [(n, ns * scale) for n, ns in by_size(results, "rust", f"1_{rust}_ns")]
        _line(axes, floor, "floor of memory", FLOOR, ":o")
        _line(axes, core, "core, from Rust", CORE, "-o")
        _line(axes, by_size(results, "core", f"{what}_ns"), "core, from Python", CORE, "--s")
        for slug, colour in COLOURS.items():
            _line(axes, by_size(results, slug, f"{what}_ns"), PEERS[slug], colour, "-^")
        _logarithmic(axes, "campaigns, on four platforms each", title)
    _legend(figure, ingest)


def _peers(figure: "Figure", results: Results) -> None:
    sizes = sorted({size for slug in COLOURS for size, _ in by_size(results, slug, "step_ms")})
    axes = figure.subplots()
    names = ["core, one core", *(PEERS[slug] for slug in COLOURS)]
    width = 0.8 / max(len(sizes), 1)
    for i, size in enumerate(sizes):
        step = {slug: dict(by_size(results, slug, "step_ms")).get(size) for slug in COLOURS}
        own = dict(by_size(results, "numba", "core_step_ms")).get(size)
        heights = [own, *step.values()]
        at = [k - 0.4 + width * (i + 0.5) for k in range(len(names))]
        shown = [(x, h) for x, h in zip(at, heights, strict=True) if h is not None]
        shade = ("#9fc5d8", "#4f97b8", CORE)[min(i, 2)]
        axes.bar([x for x, _ in shown], [h for _, h in shown], width * 0.92, color=shade,
                 label=f"{size:,} campaigns")  # fmt: skip
        for x, h in shown:
            axes.annotate(_short(h), (x, h), (0, 2), textcoords="offset points", ha="center",
                          fontsize=7)  # fmt: skip
    axes.set_xticks(range(len(names)), names)
    axes.set_yscale("log")
    axes.set_ylabel("ms a step: 4 samples, 1 decision a campaign")
    if sizes:
        axes.legend(frameon=False, loc="upper left")
    _plain(axes)


def _rounds(figure: "Figure", results: Results) -> None:
    axes = figure.subplots()
    colours = (CORE, "#d9730d", "#6b8f23", FLOOR)
    for (key, name), colour in zip(HEARD.items(), colours, strict=True):
        points = [(n, ms * 1e6 / n) for n, ms in by_size(results, "round", f"{key}_ms")]
        _line(axes, points, name, colour, ":o" if key == "floor" else "-o")
    _logarithmic(axes, "campaigns, on four platforms each", "ns a campaign and round")
    _legend(figure, axes)


def _border(figure: "Figure", results: Results) -> None:
    axes = figure.subplots()
    for of, taker, colour in (("sweep", "sweep", CORE), ("frame", "book", "#d9730d")):
        for key, (name, style) in BORDER.items():
            points = by_size(results, f"border_{of}_{key}", "ns")
            _line(axes, points, f"{taker}: {name}", colour, style)
    _logarithmic(axes, "rows a call", "ns a row")
    _legend(figure, axes)


def _line(axes: "Axes", points: Points, name: str, colour: str, style: str) -> None:
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], style, color=colour, label=name,
                  markersize=4)  # fmt: skip


def _logarithmic(axes: "Axes", x: str, y: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if not axes.lines:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes)
    _plain(axes)


def _legend(figure: "Figure", axes: "Axes") -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right center", frameon=False)


def _short(ms: float) -> str:
    return f"{ms / 1000:.3g} s" if ms >= 1000 else f"{ms:.3g}"


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
