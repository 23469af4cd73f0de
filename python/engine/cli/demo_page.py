"""The demo's report: spend against plan, and what was won against the naive rule's, on one page."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

from engine.cli.demo_text import money, percent, ratio
from engine.domain.money import MICROS
from engine.errors import ConfigError
from engine.market.naive import Played
from engine.reports.html import Figure, Tile, figures, heading, page, paragraph, tiles
from engine.reports.plots import Line, chart
from engine.reports.summary import Summary

__all__ = ["Moment", "check_plots", "demo_page"]


class Moment(NamedTuple):
    """What all campaigns together had spent, planned and won by a time."""

    at: float  # epoch seconds
    spend_micros: int
    plan_micros: int
    value_micros: int


def check_plots(flag: str) -> None:
    """Raise ConfigError where charts cannot be drawn: better before a run than after it."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            f"{flag}: matplotlib is wanted, found none: pip install 'campaign-engine[plots]'"
        )


def demo_page(summary: Summary, history: Sequence[Moment], naive: Played) -> str:
    """Return the page. `history` has a moment at least, `naive` a round."""
    began = history[0].at
    times = np.array([moment.at - began for moment in history])
    spend, plan, value = (
        np.array([getattr(moment, field) for moment in history]) / MICROS
        for field in ("spend_micros", "plan_micros", "value_micros")
    )
    naive_times = np.array(naive.at) - began
    naive_spend = np.array(naive.spend_micros) / MICROS
    naive_value = np.array(naive.value_micros) / MICROS
    spent = chart(
        "spend",
        lines=[
            Line("plan", times, plan, None, "dashed"),
            Line("engine", times, spend, 0),
            Line("naive rule", naive_times, naive_spend, 1),
        ],
        x_is_time=False,
        x_label="seconds",
        y_label="USD",
    )
    returned = chart(
        "returns",
        lines=[
            Line("engine", times, value - spend, 0),
            Line("naive rule", naive_times, naive_value - naive_spend, 1),
        ],
        x_is_time=False,
        x_label="seconds",
        y_label="USD",
        zero_line=True,
    )
    return page(
        "engine demo",
        [
            heading("engine demo", 1),
            paragraph(
                f"{summary.campaigns:,} campaigns, {summary.workers} workers, "
                f"{summary.duration_s:.0f} s, seed {summary.seed}. Counted again from what the "
                "broker has stored."
            ),
            tiles(_tiles(summary)),
            figures(
                [
                    Figure("Spend against plan", "All campaigns together.", spent),
                    Figure("Value less spend", "Conversions that had come in by then.", returned),
                ]
            ),
            paragraph(
                "The naive rule gives all money to the platform with the highest CVR/CPC so far, "
                "at a bid that never changes, after 30 clicks on each. It played a copy of the "
                "market, with the same seed and so the same luck, knew at once what it had spent, "
                "and passed no budget. Both markets are simulated.",
                is_faint=True,
            ),
        ],
    )


def _tiles(summary: Summary) -> list[Tile]:
    found = [
        Tile(percent(summary.spend_plan_ratio), "of the plan spent"),
        Tile(ratio(summary.roas), "ROAS"),
        Tile(_less(summary.value_micros, summary.spend_micros), "value less spend"),
        Tile(f"{summary.overspent_campaigns}", "campaigns overspent"),
    ]
    if summary.naive is not None:
        naive = summary.naive
        found.append(Tile(ratio(naive.roas), "ROAS of the naive rule"))
        kept = _less(naive.value_micros, naive.spend_micros)
        found.append(Tile(kept, "value less spend, naive rule"))
    return found


def _less(value: int | None, spend: int | None) -> str:
    return money(None if value is None or spend is None else value - spend)
