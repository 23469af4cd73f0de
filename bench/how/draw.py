"""Draws the pictures, from a run: small SVG files, the same bytes for the same run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.how.run import PLATFORMS, Floats, Run, held_cvr
from engine.market.auction import auction
from engine.market.landscape import Truth

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PICTURES", "draw"]

COLOURS = ("#0b6e99", "#d9730d", "#6b8f23", "#8d5fa8", "#8a8a8a")  # told apart in grey as well
GREY = "#555555"
SKETCH = 8  # one point for so many rounds is enough for a line


def draw(run: Run, folder: Path) -> list[Path]:
    """Write all pictures.

    Raises:
        ImportError: matplotlib is not installed; nothing else here needs it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # No dates and no random ids: the same run gives the same bytes.
    style: Any = {
        "svg.hashsalt": "how",
        "font.size": 9,
        "svg.fonttype": "none",
        "path.simplify": True,
    }
    written = []
    for name, picture in PICTURES.items():
        with mpl.rc_context(style):
            figure = Figure(figsize=(7.2, 3.0), layout="constrained", facecolor="white")
            axes: Any = figure.subplots()
            picture(axes, run)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=8, loc=(0.65, 0.62) if name == "price" else "best")
            written.append(folder / f"{name}.svg")
            figure.savefig(written[-1], format="svg", metadata={"Date": None})
    return written


def _response(axes: "Axes", run: Run) -> None:
    """Draw clicks an hour against the bid: what the book expects, and what is true."""
    place, days = 0, run.hours >= 24
    bids = np.geomspace(run.bids[days, place].min() * 0.6, run.bids[days, place].max() * 1.5, 60)
    truths = [truth for truth, on in zip(run.truth, days, strict=True) if on][::40]
    curves = np.array([_sells(truth, place, bids)[0] for truth in truths])
    axes.fill_between(
        bids, curves.min(0), curves.max(0), color=COLOURS[0], alpha=0.15, linewidth=0,
        label="true answer, from the quietest hour to the busiest",
    )  # fmt: skip
    axes.plot(bids, curves.mean(0), color=COLOURS[0], label="true answer, mean")
    rates = [one[place] for one in run.clicks_an_hour]
    expected = np.array([np.nan if one is None else one.value for one in rates])
    some = np.flatnonzero(days)[::24]
    axes.plot(
        run.bids[some, place], expected[some], ".", color=COLOURS[1], markersize=4,
        label="expected by the book, at the bid in force",
    )  # fmt: skip
    axes.set_xscale("log")
    _plain_log(axes)
    axes.set_xlabel(f"bid on {PLATFORMS[place]}")
    axes.set_ylabel("clicks an hour")


def _price(axes: "Axes", run: Run) -> None:
    """What the last conversion bought costs, on each platform."""
    last = slice(len(run.hours) // 2, None)
    for place, (name, colour) in enumerate(zip(PLATFORMS, COLOURS, strict=False)):
        truths = run.truth[last][::40]
        bids = np.geomspace(0.05, 4.0, 160)
        each = [_sells(truth, place, bids) for truth in truths]
        clicks = np.mean([clicks for clicks, _ in each], axis=0)
        cvr = float(np.mean([truth.cvr[place] for truth in truths]))
        axes.plot(clicks * cvr, bids / cvr, color=colour, label=name)
        stood = float(np.median(run.bids[last, place]))
        won = float(np.interp(stood, bids, clicks))
        axes.plot(won * cvr, stood / cvr, "o", color=colour, markersize=6)
    price = float(np.median(run.multiplier[last])) * run.value
    axes.axhline(price, color=GREY, linestyle=":", label="price of money times value")
    axes.set_ylim(0, 2.2 * run.value)
    axes.set_xlim(0)
    axes.set_xlabel("conversions an hour (true)")
    axes.set_ylabel("cost of the last one")


def _pacing(axes: "Axes", run: Run) -> None:
    """Spend against the plan, and the price of money beside it."""
    days = run.hours[::SKETCH] / 24
    axes.plot(days, run.settled[::SKETCH], color=COLOURS[0], label="spend, as reported")
    axes.plot([0, days[-1]], [0, run.budget], color=GREY, linestyle=":", label="the budget, evenly")
    traffic = np.cumsum([float(_traffic(truth)) for truth in run.truth])
    axes.plot(
        days, (traffic / traffic[-1] * run.budget)[::SKETCH], color=COLOURS[2], linestyle="--",
        label="the budget, as traffic goes",
    )  # fmt: skip
    right = axes.twinx()
    right.plot(
        days, run.multiplier[::SKETCH], color=COLOURS[1], linewidth=0.8, label="price of money"
    )
    right.set_ylim(0, 3)
    right.set_ylabel("price of money", color=COLOURS[1])
    right.spines[["top"]].set_visible(False)
    axes.set_xlabel("day of the flight")
    axes.set_ylabel("money")


def _forecast(axes: "Axes", run: Run) -> None:
    """The CPC that was forecast of each report, and the one that came."""
    place = 0
    day = np.flatnonzero((run.hours >= 60) & (run.hours < 65.5))
    when = run.hours[day]
    rates = [run.cpc[i][place] for i in day]
    low = np.array([np.nan if one is None else one.low for one in rates]) / 1e6
    high = np.array([np.nan if one is None or one.high is None else one.high for one in rates])
    high = high / 1e6
    value = np.array([np.nan if one is None else one.value for one in rates]) / 1e6
    clicks = run.clicks[day, place]
    came = np.where(clicks > 0, run.spend[day, place] / np.maximum(clicks, 1), np.nan)
    known = ~np.isnan(came) & ~np.isnan(high)
    inside = ((came >= low) & (came <= high))[known].mean()
    axes.fill_between(
        when, low, high, color=COLOURS[0], alpha=0.18, linewidth=0, step="post",
        label="95 % interval for a usual report",
    )  # fmt: skip
    axes.plot(when, value, color=COLOURS[0], linewidth=1, label="forecast")
    axes.plot(
        when, came, ".", color=COLOURS[1], markersize=3,
        label=f"came; {inside:.0%} of {known.sum()} inside",
    )  # fmt: skip
    axes.set_ylim(0, float(np.nanmax(came)) * 1.5)
    axes.set_xlabel("hour of the flight")
    axes.set_ylabel(f"CPC on {PLATFORMS[place]}")


def _cvr(axes: "Axes", _: Run) -> None:
    """What is held of a CVR after so many clicks, against conversions over clicks."""
    counts = np.unique(np.geomspace(1, 3_000, 40).round().astype(int))
    for conversions, colour in zip((0, 1, 5), COLOURS, strict=False):
        clicks = [int(one) for one in counts if one >= max(conversions, 1)]
        held = np.array([held_cvr(one, conversions) for one in clicks])
        many = "conversion" if conversions == 1 else "conversions"
        axes.plot(clicks, held[:, 0], color=colour, label=f"held, {conversions} {many}")
        if conversions:
            bare = [conversions / one for one in clicks]
            axes.plot(clicks, bare, color=colour, linestyle=":", label="conversions / clicks")
        if conversions == 1:
            axes.fill_between(
                clicks, held[:, 1], held[:, 2], color=colour, alpha=0.15, linewidth=0,
                label="95 % of the rate, 1 conversion",
            )  # fmt: skip
    axes.set_xscale("log")
    _plain_log(axes)
    axes.set_ylim(0, 0.2)
    axes.set_xlabel("clicks")
    axes.set_ylabel("CVR")


def _ledger(axes: "Axes", run: Run) -> None:
    """Settled and reserved against the budget."""
    last = run.hours >= run.hours[-1] - 6
    axes.stackplot(
        run.hours[last], run.settled[last], run.reserved[last],
        labels=["settled", "reserved"], colors=[COLOURS[0], COLOURS[1]],
        alpha=0.75, linewidth=0,
    )  # fmt: skip
    axes.axhline(run.budget, color=GREY, linestyle=":", label="budget")
    axes.set_ylim(float(run.settled[last].min()) * 0.98, run.budget * 1.01)
    axes.set_xlabel("hour of the flight")
    axes.set_ylabel("money")


PICTURES: dict[str, Callable[["Axes", Run], None]] = {
    "forecast": _forecast,
    "cvr": _cvr,
    "response": _response,
    "price": _price,
    "pacing": _pacing,
    "ledger": _ledger,
}


def _sells(truth: Truth, place: int, bids: Floats) -> tuple[Floats, Floats]:
    """Return clicks and spend an hour of a platform at bids, were nothing capped."""
    clicks, spend = [], []
    for bid in bids:
        odds = auction(truth, np.full(len(PLATFORMS), bid * 1e6))
        won = truth.opportunities_a_day / 24 * odds.share * truth.ctr
        clicks.append(float(won[place]))
        spend.append(float((won * odds.cpc_micros)[place] / 1e6))
    return np.array(clicks), np.array(spend)


def _traffic(truth: Truth) -> float:
    return float(np.sum(truth.opportunities_a_day * truth.ctr))


def _plain_log(axes: "Axes") -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    low, high = axes.get_xlim()
    places = [k * 10.0**e for e in range(-3, 5) for k in (1, 2, 5)]
    axes.set_xticks([place for place in places if low <= place <= high])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
