"""What a backtest says, as data: one JSON object, documented in docs/backtest.md.

Money in micros of each campaign's currency, times in epoch seconds, ratios as fractions; None is
"not known". "observed" is the log as it happened, with what the engine forecast beside it;
"simulated" is the fitted model answering the engine's bids, and everything about optimum, front,
regret and waste is inside that model.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.backtest.log import Rows
from engine.backtest.optimum import Answers, Point, best, cheapest, front, gains
from engine.backtest.responses import Responses
from engine.backtest.run import Outcome, Predicted
from engine.backtest.scores import Forecasts, previous, score
from engine.domain.campaign import Definition, Strategy
from engine.domain.decision import Action, Binding

__all__ = [
    "CampaignResult",
    "Inputs",
    "Model",
    "PlatformResult",
    "Results",
    "Stance",
    "Totals",
    "campaign_results",
]

PATH = 240  # points

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Inputs(msgspec.Struct, frozen=True):
    """What was run: enough to run it again."""

    rows: int
    ignored: int  # rows of campaigns or platforms that the file does not have
    begins_at: float
    ends_at: float
    interval_s: float
    cadence_s: float
    rounds: int
    window: int
    seed: int
    modes: tuple[str, ...]
    has_bids: bool
    changes: tuple[str, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """What some stretches came to."""

    impressions: int
    clicks: int
    conversions: float
    spend_micros: int
    cpc_micros: float | None
    cvr: float | None
    cpa_micros: float | None
    value_micros: float | None  # conversions x conversion value


class PlatformResult(msgspec.Struct, frozen=True):
    """One platform of a campaign."""

    platform: str
    totals: Totals
    mean_bid_micros: float | None  # the engine's, over stretches in which it bid
    log_bid_micros: float | None  # the log's, likewise
    roi_micros: float | None  # per click: cvr x value - cpc, as it came
    cpc: Forecasts
    cvr: Forecasts


class Stance(msgspec.Struct, frozen=True):
    """Where somebody stands within the model: expected conversions, so that luck counts nothing."""

    spend_micros: float
    conversions: float
    regret: float | None  # share of the optimum's conversions that is missing
    waste: float | None  # share of the spend beyond the cheapest that brings the same conversions


class Model(msgspec.Struct, frozen=True):
    """What a log suggests about other bids, and the best that hindsight could do in it.

    `path` has expected conversions so far, of the optimum, of the log and of the engine.
    """

    evidence: float  # 0 to 1: how much of the exponents is the log's, not the prior's
    exponents: dict[str, tuple[float, float]]  # by platform: of clicks and of cost, on the bid
    optimum_spend_micros: float
    optimum_conversions: float
    front: list[tuple[float, float]]  # spend in micros, conversions
    path: list[tuple[float, float, float, float | None]]  # at, conversions so far: see below
    log: Stance
    engine: Stance | None  # None where nothing was simulated


class CampaignResult(msgspec.Struct, frozen=True):
    """One campaign."""

    campaign: str
    currency: str
    budget_micros: int
    totals: Totals
    settled_micros: int
    reserved_micros: int
    is_over_budget: bool
    actions: dict[str, int]  # rounds
    bindings: dict[str, int]  # rounds
    cpc: Forecasts
    cvr: Forecasts
    platforms: tuple[PlatformResult, ...]
    model: Model | None = None


class Results(msgspec.Struct, frozen=True):
    """A whole backtest."""

    inputs: Inputs
    observed: tuple[CampaignResult, ...] = ()
    simulated: tuple[CampaignResult, ...] = ()
    v: int = 1


def campaign_results(
    rows: Rows,
    outcome: Outcome,
    responses: Responses | None,
    *,
    expected: Floats | None = None,
) -> tuple[CampaignResult, ...]:
    """Return each campaign's results of a run; `expected` conversions are a simulation's."""
    found = []
    naive = _Naive(rows, outcome)
    order = np.argsort(rows.owner[rows.series], kind="stable")
    ends = np.searchsorted(rows.owner[rows.series][order], np.arange(len(rows.definitions) + 1))
    for i, definition in enumerate(rows.definitions):
        mine = order[ends[i] : ends[i + 1]]
        found.append(_campaign(i, definition, mine, rows, outcome, naive, responses, expected))
    return tuple(found)


class _Naive:
    """What came, by row, and what the stretch before had."""

    def __init__(self, rows: Rows, outcome: Outcome) -> None:
        clicks = outcome.counts.clicks.astype(np.float64)
        nothing = np.full(len(clicks), np.nan)
        self.cpc = np.divide(
            outcome.counts.spend_micros, clicks, out=nothing.copy(), where=clicks > 0
        )
        self.cvr = np.divide(
            outcome.counts.milliconversions / 1000.0, clicks, out=nothing.copy(), where=clicks > 0
        )
        self.last_cpc = previous(self.cpc, rows.series)
        self.last_cvr = previous(self.cvr, rows.series)
        self.clicks = clicks

    def scores(self, outcome: Outcome, mine: Ints) -> tuple[Forecasts, Forecasts]:
        return (
            self._score(outcome.cpc, self.cpc, self.last_cpc, mine),
            self._score(outcome.cvr, self.cvr, self.last_cvr, mine),
        )

    def _score(self, found: Predicted, actual: Floats, naive: Floats, mine: Ints) -> Forecasts:
        scored = score(
            actual=actual[mine],
            forecast=found.value[mine],
            low=found.low[mine],
            high=found.high[mine],
            naive=naive[mine],
            weight=self.clicks[mine],
        )
        return Forecasts(
            scored.compared,
            _rounded(scored.mae),
            _rounded(scored.naive_mae),
            _rounded(scored.relative),
            _rounded(scored.covered),
        )


def _campaign(
    index: int,
    definition: Definition,
    mine: Ints,
    rows: Rows,
    outcome: Outcome,
    naive: _Naive,
    responses: Responses | None,
    expected: Floats | None,
) -> CampaignResult:
    cpc, cvr = naive.scores(outcome, mine)
    totals = _totals(outcome, mine, definition)
    settled = int(outcome.settled_micros[index])
    return CampaignResult(
        campaign=definition.id,
        currency=definition.currency,
        budget_micros=definition.budget_micros,
        totals=totals,
        settled_micros=settled,
        reserved_micros=int(outcome.reserved_micros[index]),
        is_over_budget=settled > definition.budget_micros,
        actions=_named(outcome.actions[index], [one.name for one in Action]),
        bindings=_named(outcome.bindings[index], [one.name for one in Binding]),
        cpc=cpc,
        cvr=cvr,
        platforms=tuple(
            _platform(series, mine[rows.series[mine] == series], definition, rows, outcome, naive)
            for series in np.flatnonzero(rows.owner == index).tolist()
        ),
        model=None
        if responses is None
        else _model(index, definition, mine, rows, outcome, responses, expected),
    )


def _platform(
    series: int,
    mine: Ints,
    definition: Definition,
    rows: Rows,
    outcome: Outcome,
    naive: _Naive,
) -> PlatformResult:
    cpc, cvr = naive.scores(outcome, mine)
    totals = _totals(outcome, mine, definition)
    value = definition.conversion_value_micros
    is_known = value is not None and totals.cpc_micros is not None and totals.cvr is not None
    return PlatformResult(
        platform=rows.names[series][1],
        totals=totals,
        mean_bid_micros=_mean(outcome.bid_micros[mine]),
        log_bid_micros=None if rows.bid_micros is None else _mean(rows.bid_micros[mine]),
        roi_micros=_rounded(totals.cvr * value - totals.cpc_micros)  # type: ignore[operator]
        if is_known
        else None,
        cpc=cpc,
        cvr=cvr,
    )


def _model(
    index: int,
    definition: Definition,
    mine: Ints,
    rows: Rows,
    outcome: Outcome,
    responses: Responses,
    expected: Floats | None,
) -> Model:
    flight = definition.flight
    at = rows.at_ms[mine] / 1000.0
    mine = mine[(at > flight.starts_at) & (at <= flight.ends_at)]
    answers = _answers(definition, mine, rows, responses)
    optimum = best(
        answers, budget_micros=definition.budget_micros, most_cost_micros=_most_cost(definition)
    )
    fitted = [responses.fitted[series] for series in np.flatnonzero(rows.owner == index)]
    platforms = list(definition.platforms)
    log = Point(float(answers.spend_micros.sum()), float(answers.gain.sum()))
    engine = None
    if expected is not None:
        spent = float(outcome.counts.spend_micros[mine].sum())
        engine = _stance(
            answers, Point(spent, float(expected[mine].sum())), optimum, definition.budget_micros
        )
    return Model(
        evidence=round(float(np.mean([one.evidence for one in fitted])), 4),
        exponents={
            platform: (round(one.clicks_exponent, 4), round(one.cost_exponent, 4))
            for platform, one in zip(platforms, fitted, strict=True)
        },
        optimum_spend_micros=round(optimum.spend_micros, 2),
        optimum_conversions=round(optimum.gain, 6),
        front=[(round(one.spend_micros, 2), round(one.gain, 6)) for one in front(answers)],
        path=_path(
            rows.at_ms[mine] / 1000.0,
            gains(answers, optimum.price),
            answers.gain,
            None if expected is None else expected[mine],
        ),
        log=_stance(answers, log, optimum, definition.budget_micros),
        engine=engine,
    )


def _answers(definition: Definition, mine: Ints, rows: Rows, responses: Responses) -> Answers:
    """Return what stretches bring at other spends, no bid beyond the campaign's own bounds."""
    most_bid = _most_bids(definition)[rows.series[mine] - _first_series(definition, rows)]
    ratio = np.minimum(responses.most_ratio[mine], most_bid / responses.bid_micros[mine])
    power = responses.clicks_exponent[mine] + responses.cost_exponent[mine]
    return Answers(
        gain=responses.cvr[mine] * responses.clicks[mine],
        spend_micros=responses.spend_micros[mine],
        concavity=responses.concavity[mine],
        most=np.maximum(ratio, 0.0) ** power,
    )


def _first_series(definition: Definition, rows: Rows) -> int:
    return rows.names.index((definition.id, next(iter(definition.platforms))))


def _most_bids(definition: Definition) -> Floats:
    usual = definition.guardrails.max_bid_micros
    bounds = definition.platforms.values()
    return np.array([min(one.max_bid_micros or usual, usual) for one in bounds], np.float64)


def _most_cost(definition: Definition) -> float | None:
    """Return what a conversion may cost on average: the target, or what it brings."""
    if definition.strategy is Strategy.MAXIMISE_REACH:
        return None
    brings = definition.conversion_value_micros
    costs = [definition.target_cpa_micros, brings and brings / (definition.target_roas or 1.0)]
    return min((float(cost) for cost in costs if cost), default=None)


def _path(
    at: Floats, optimum: Floats, log: Floats, engine: Floats | None
) -> list[tuple[float, float, float, float | None]]:
    """Return sums so far, at no more than PATH times."""
    summed = [np.cumsum(column) for column in (optimum, log)]
    ours = None if engine is None else np.cumsum(engine)
    ends = np.flatnonzero(np.append(np.diff(at) > 0, True)) if len(at) else np.zeros(0, np.int64)
    step = max(1, -(-len(ends) // PATH))
    shown = ends[::-step][::-1]
    return [
        (
            float(at[row]),
            round(float(summed[0][row]), 6),
            round(float(summed[1][row]), 6),
            None if ours is None else round(float(ours[row]), 6),
        )
        for row in shown.tolist()
    ]


def _stance(answers: Answers, point: Point, optimum: Point, budget_micros: int) -> Stance:
    least = cheapest(answers, point.gain)
    waste = None
    if least is not None and point.spend_micros > 0:
        waste = max(0.0, 1 - least / point.spend_micros)
    return Stance(
        spend_micros=round(point.spend_micros, 2),
        conversions=round(point.gain, 6),
        # Who spent beyond the budget is no measure of those who may not.
        regret=_rounded(1 - point.gain / optimum.gain)
        if optimum.gain > 0 and point.spend_micros <= budget_micros
        else None,
        waste=_rounded(waste),
    )


def _totals(outcome: Outcome, mine: Ints, definition: Definition) -> Totals:
    counts = outcome.counts
    clicks, spend = int(counts.clicks[mine].sum()), int(counts.spend_micros[mine].sum())
    conversions = int(counts.milliconversions[mine].sum()) / 1000
    value = definition.conversion_value_micros
    return Totals(
        impressions=int(counts.impressions[mine].sum()),
        clicks=clicks,
        conversions=conversions,
        spend_micros=spend,
        cpc_micros=round(spend / clicks, 3) if clicks else None,
        cvr=round(conversions / clicks, 9) if clicks else None,
        cpa_micros=round(spend / conversions, 3) if conversions else None,
        value_micros=None if value is None else round(conversions * value, 3),
    )


def _named(counts: Ints, names: Sequence[str]) -> dict[str, int]:
    """Return counts by name, those of nothing left out."""
    return {
        (names[code] if code < len(names) else str(code)).lower().replace("_", "-"): int(count)
        for code, count in enumerate(counts.tolist())
        if count
    }


def _mean(bids: Ints) -> float | None:
    return round(float(bids[bids > 0].mean()), 2) if (bids > 0).any() else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 9)
