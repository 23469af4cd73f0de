"""Charts as SVG that lives inside a page: they take the page's colours, light or dark.

matplotlib (the extra `plots`) draws in stand-in colours, which then become the page's variables;
text stays text. Equal data give equal bytes.
"""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Band", "Line", "Mark", "chart"]

Floats = NDArray[np.float64]

# Stand-ins: colours that nobody would choose, and the variable of the page that each becomes.
_SERIES = ["#010a01", "#020a02", "#030a03", "#040a04", "#050a05", "#060a06"]
_INK, _FAINT, _GRID = "#0a0a01", "#0a0a02", "#0a0a03"
_VARIABLES = {
    **{colour: f"var(--series-{i})" for i, colour in enumerate(_SERIES, start=1)},
    _INK: "var(--ink)",
    _FAINT: "var(--faint)",
    _GRID: "var(--grid)",
}
_COLOUR = re.compile("|".join(_VARIABLES))
_SIZE = re.compile(r'<svg [^>]*viewBox="([^"]+)"[^>]*>', re.DOTALL)
_FONT = re.compile(r"font-family: [^;\"]*; ")


class Line(NamedTuple):
    """A named line. `series` is its colour, counted from 0; faint where None."""

    name: str
    x: Floats
    y: Floats
    series: int | None = 0
    style: Literal["solid", "dashed", "steps", "dots"] = "solid"


class Band(NamedTuple):
    """The room between two lines, NaN where there is none."""

    name: str
    x: Floats
    low: Floats
    high: Floats
    series: int = 0


class Mark(NamedTuple):
    """A named point."""

    name: str
    x: float
    y: float
    series: int = 0


def chart(
    name: str,
    *,
    lines: Sequence[Line] = (),
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
    x_is_time: bool = True,
    x_label: str = "",
    y_label: str = "",
    zero_line: bool = False,
    y_range: tuple[float, float] | None = None,
) -> str:
    """Return a chart as an `<svg>` element; times are epoch seconds, shown in UTC.

    `name` must differ between the charts of one page: the ids inside the SVG come from it.

    Raises ImportError where matplotlib is not installed.
    """
    figure, axes = _figure(name, x_is_time=x_is_time)
    for band in bands:
        axes.fill_between(
            _x(band.x, x_is_time),
            band.low,
            band.high,
            color=_colour(band.series),
            alpha=0.18,
            linewidth=0,
            label=band.name or None,
        )
    for line in lines:
        _draw(axes, line, x_is_time=x_is_time)
    for mark in marks:
        axes.plot(
            [mark.x],
            [mark.y],
            marker="o",
            markersize=8,
            linestyle="none",
            color=_colour(mark.series),
            label=mark.name,
        )
    if zero_line:
        axes.axhline(0, color=_FAINT, linewidth=0.8)
    if y_range is not None:
        axes.set_ylim(*y_range)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    handles, labels = axes.get_legend_handles_labels()
    if len(handles) > 1 or bands:
        figure.legend(
            handles, labels, loc="outside upper left", ncols=4, frameon=False, labelcolor=_INK
        )
    return _svg(figure, name)


def _figure(name: str, *, x_is_time: bool) -> "tuple[Figure, Axes]":
    try:
        import matplotlib as mpl
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
        from matplotlib.figure import Figure
    except ImportError as error:
        reason = "matplotlib is needed for plots: pip install 'campaign-engine[plots]'"
        raise ImportError(reason) from ImportError(f"{reason} ({error})")
    settings: dict[Any, object] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 11,
        "axes.edgecolor": _GRID,
        "axes.labelcolor": _FAINT,
        "xtick.color": _FAINT,
        "ytick.color": _FAINT,
        "text.color": _INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _GRID,
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "path.simplify": True,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(7.2, 3.1), layout="constrained")
        axes = figure.add_subplot()
    if x_is_time:
        ticks = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(ticks)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(ticks))  # type: ignore[no-untyped-call]
    figure.patch.set_alpha(0)
    axes.patch.set_alpha(0)
    return figure, axes


def _draw(axes: "Axes", line: Line, *, x_is_time: bool) -> None:
    colour = _FAINT if line.series is None else _colour(line.series)
    looks: dict[str, object] = {"color": colour, "label": line.name or None}
    x = _x(line.x, x_is_time)
    if line.style == "dots":
        axes.plot(x, line.y, marker=".", markersize=4, linestyle="none", alpha=0.7, **looks)  # type: ignore[arg-type]
    elif line.style == "steps":
        axes.plot(x, line.y, drawstyle="steps-post", **looks)  # type: ignore[arg-type]
    else:
        axes.plot(x, line.y, linestyle="--" if line.style == "dashed" else "-", **looks)  # type: ignore[arg-type]


def _x(values: Floats, is_time: bool) -> NDArray[Any]:
    return (values * 1000).astype("datetime64[ms]") if is_time else values


def _colour(series: int) -> str:
    return _SERIES[series % len(_SERIES)]


def _svg(figure: "Figure", name: str) -> str:
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = _SIZE.sub(r'<svg viewBox="\1" role="img" aria-hidden="true">', text, count=1)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = _FONT.sub("", text)
    text = _COLOUR.sub(lambda found: _VARIABLES[found[0]], text)
    # Ids count through a figure and would meet those of the next: they get the chart's name.
    text = re.sub(r'((?:\bid|href)="#?|url\(#)', rf"\g<1>{name}-", text)
    return text.strip()
