"""The charts of a campaign in the report of a backtest."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.backtest.log import Rows
from engine.backtest.results import CampaignResult, Model, Results
from engine.backtest.run import Outcome, Predicted
from engine.backtest.scores import Forecasts
from engine.domain.money import MICROS
from engine.reports.html import Figure
from engine.reports.plan import planned_micros
from engine.reports.plots import Band, Line, Mark, chart

__all__ = ["Drawn", "Runs", "percent"]

Floats = NDArray[np.float64]

POINTS = 320  # of a line: more than a screen has for it


class Runs(NamedTuple):
    """The runs behind some results; None for a mode that was not asked for."""

    rows: Rows
    observed: Outcome | None
    simulated: Outcome | None


class Drawn:
    """The charts of one campaign."""

    def __init__(self, index: int, results: Results, runs: Runs) -> None:
        self._index = index
        self._results = results
        self._rows = rows = runs.rows
        self._runs = runs
        self._definition = rows.definitions[index]
        self._series = np.flatnonzero(rows.owner == index)
        self._mine = np.flatnonzero(rows.owner[rows.series] == index)
        self._at = rows.at_ms[self._mine] / 1000.0

    def spend(self) -> Figure:
        """Return spend against plan."""
        flight = self._definition.flight
        inputs = self._results.inputs
        ends = np.array([inputs.begins_at - inputs.cadence_s, inputs.ends_at])
        shown = np.unique(
            np.concatenate([ends, np.clip([flight.starts_at, flight.ends_at], *ends)])
        )
        plan = np.array([planned_micros(self._definition, at) for at in shown]) / MICROS
        lines = [Line("plan", shown, plan, series=None, style="dashed")]
        for number, (outcome, name) in enumerate(
            ((self._runs.observed, "log"), (self._runs.simulated, "engine, in the model"))
        ):
            if outcome is not None:
                spent = np.cumsum(outcome.counts.spend_micros[self._mine]) / MICROS
                lines.append(_thin(Line(name, self._at, spent, series=number, style="steps")))
        unit = self._definition.currency
        svg = chart(self._name("spend"), lines=lines, y_label=unit)
        return Figure("Spend against plan", "The plan is even over the flight.", svg)

    def decisions(self, outcome: Outcome | None, mode: str) -> list[Figure]:
        """Return bids and ROI per platform."""
        if outcome is None:
            return []
        trace = outcome.trace
        columns = [int(np.flatnonzero(trace.series == series)[0]) for series in self._series]
        at = trace.at_ms / 1000.0
        bids, rois = [], []
        for number, (column, series) in enumerate(zip(columns, self._series, strict=True)):
            platform = self._rows.names[series][1]
            bid = np.where(trace.bid_micros[:, column] > 0, trace.bid_micros[:, column], np.nan)
            bids.append(_thin(Line(platform, at, bid / MICROS, number, "steps")))
            rois.append(_thin(Line(platform, at, trace.roi_micros[:, column] / MICROS, number)))
        if mode == "observed":
            bids += self._log_bids()
        unit = f"{self._definition.currency} a click"
        says = (
            "What the engine would have bid; dots are the log's own bids, where it has them."
            if mode == "observed"
            else "The bids that the model answered."
        )
        found = [
            Figure(
                f"Bids per platform ({mode})",
                says,
                chart(self._name(f"bids-{mode}"), lines=bids, y_label=unit),
            )
        ]
        if any(np.isfinite(line.y).any() for line in rois):
            svg = chart(self._name(f"roi-{mode}"), lines=rois, y_label=unit, zero_line=True)
            says = "Forecast CVR times conversion value, less forecast CPC: above zero it pays."
            found.append(Figure(f"ROI per click per platform ({mode})", says, svg))
        return found

    def _log_bids(self) -> list[Line]:
        bids = self._rows.bid_micros
        if bids is None:
            return []
        found = []
        for number, series in enumerate(self._series):
            mine = self._mine[self._rows.series[self._mine] == series]
            mine = mine[bids[mine] > 0]
            at = self._rows.at_ms[mine] / 1000.0
            found.append(_thin(Line("", at, bids[mine] / MICROS, number, "dots")))
        return found

    def forecasts(self, outcome: Outcome, result: CampaignResult) -> list[Figure]:
        """Return forecast against actual, of the platform with the most clicks."""
        by_clicks = [platform.totals.clicks for platform in result.platforms]
        place = int(np.argmax(by_clicks))
        platform, series = result.platforms[place], self._series[place]
        mine = self._mine[self._rows.series[self._mine] == series]
        clicks = outcome.counts.clicks[mine].astype(np.float64)
        nothing = np.full(len(mine), np.nan)
        cpc = np.divide(
            outcome.counts.spend_micros[mine], clicks, out=nothing.copy(), where=clicks > 0
        )
        cvr = np.divide(
            outcome.counts.milliconversions[mine] / 1000.0,
            clicks,
            out=nothing.copy(),
            where=clicks > 0,
        )
        at = self._rows.at_ms[mine] / 1000.0
        unit = self._definition.currency
        return [
            _forecast(
                f"CPC on {platform.platform}: forecast against actual",
                platform.cpc,
                self._name("cpc"),
                (at, cpc / MICROS),
                Predicted(*(column[mine] / MICROS for column in outcome.cpc)),
                f"{unit} a click",
            ),
            _forecast(
                f"CVR on {platform.platform}: forecast against actual",
                platform.cvr,
                self._name("cvr"),
                (at, cvr),
                Predicted(*(column[mine] for column in outcome.cvr)),
                "conversions a click",
            ),
        ]

    def model(self, model: Model) -> list[Figure]:
        """Return the Pareto front, and regret against the hindsight optimum."""
        if not model.front:
            return []
        spend, gain = np.array(model.front).T
        marks = [
            Mark("log", model.log.spend_micros / MICROS, model.log.conversions, 1),
            Mark("optimum", model.optimum_spend_micros / MICROS, model.optimum_conversions, 2),
        ]
        if model.engine is not None:
            engine = model.engine
            marks.append(Mark("engine", engine.spend_micros / MICROS, engine.conversions, 3))
        found = [
            Figure(
                "Pareto front of spend and conversions (in the model)",
                "Left of the line nothing is possible; the way to it at equal height is waste. "
                f"{model.evidence:.0%} of the model's exponents are the log's, the rest a prior's.",
                chart(
                    self._name("front"),
                    lines=[Line("front", spend / MICROS, gain, 0)],
                    marks=marks,
                    x_is_time=False,
                    x_label=self._definition.currency,
                    y_label="expected conversions",
                ),
            )
        ]
        return [*found, self._regret(model)]

    def _regret(self, model: Model) -> Figure:
        at, optimum, log = (np.array([point[i] for point in model.path]) for i in range(3))
        lines = [Line("hindsight optimum", at, optimum, 2, "dashed")]
        says = "What is missing to the upper line is regret, budget and target CPA the same."
        if model.engine is not None:
            engine = np.array([point[3] for point in model.path], np.float64)
            lines.append(Line("engine", at, engine, 3))
        if model.log.regret is not None:
            lines.append(Line("log", at, log, 1))
        else:
            says += " The log is not shown: it spent more than this budget."
        svg = chart(self._name("regret"), lines=lines, y_label="expected conversions")
        return Figure("Regret against the hindsight optimum (in the model)", says, svg)

    def _name(self, what: str) -> str:
        return f"c{self._index}-{what}"


def _forecast(
    title: str,
    scores: Forecasts,
    name: str,
    actual: tuple[Floats, Floats],
    forecast: Predicted,
    unit: str,
) -> Figure:
    at, came = actual
    step = max(1, -(-len(at) // POINTS))
    shown = came[np.isfinite(came)]
    highest = float(np.quantile(shown, 0.995)) * 1.6 if len(shown) else 1.0
    svg = chart(
        name,
        bands=[Band("95 % interval", at[::step], forecast.low[::step], forecast.high[::step])],
        lines=[
            Line("forecast", at[::step], forecast.value[::step], 0),
            Line("actual", at[::step], came[::step], 1, "dots"),
        ],
        y_label=unit,
        y_range=(0.0, highest or 1.0),
    )
    if not scores.compared:
        return Figure(title, "Nothing to compare: no stretch with clicks and a forecast.", svg)
    relative = "-" if scores.relative is None else f"{scores.relative:.2f}"
    says = (
        f"{percent(scores.covered)} of {scores.compared:,} stretches within the interval; "
        f"mean absolute error {relative} times that of taking the stretch before."
    )
    return Figure(title, says, svg)


def _thin(line: Line) -> Line:
    step = max(1, -(-len(line.x) // POINTS))
    if step == 1:
        return line
    keep = np.unique(np.append(np.arange(0, len(line.x), step), len(line.x) - 1))
    return line._replace(x=line.x[keep], y=line.y[keep])


def percent(share: float | None) -> str:
    """Return a share as people read it; "-" where it is not known."""
    return "-" if share is None else f"{share:.1%}"
