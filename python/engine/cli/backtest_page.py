"""The report of a backtest: what happened, what the engine makes of it, and how far to trust it."""

from collections.abc import Iterator

from engine.backtest.results import CampaignResult, Results
from engine.cli.backtest_figures import Drawn, Runs, percent
from engine.cli.output import utc
from engine.domain.money import MICROS
from engine.reports.html import (
    Tile,
    figures,
    heading,
    note,
    page,
    paragraph,
    table,
    tiles,
)

__all__ = ["backtest_page"]

MOST_ROWS = 200

OBSERVE = (
    "Observed: the log's spend, clicks and conversions as they happened. The engine read them "
    "round by round and its forecasts and bids are shown beside them, but no bid of the engine was "
    "ever in force: what these bids would have brought, this part cannot say."
)
SIMULATE = (
    "Simulated: a response model fitted from the log answers the engine's own bids. Regret, waste, "
    "front and hindsight optimum are inside that model, not in the world: a log shows outcomes "
    "only at the bids that were in force, and those were not moved at random."
)


def backtest_page(results: Results, runs: Runs, *, log: str, charted: list[int]) -> str:
    """Return the report as HTML; `charted` are the indices of the campaigns that get charts.

    Raises ImportError where matplotlib is not installed.
    """
    return page(f"Backtest of {log}", _parts(results, runs, log, charted))


def _parts(results: Results, runs: Runs, log: str, charted: list[int]) -> Iterator[str]:
    inputs = results.inputs
    yield heading(f"Backtest of {log}", 1)
    span = f"{utc(inputs.begins_at)} to {utc(inputs.ends_at)}"
    yield paragraph(
        f"{span}; {inputs.rows:,} rows, {inputs.rounds:,} rounds of {inputs.interval_s:g} s, "
        f"seed {inputs.seed}" + (f"; set: {', '.join(inputs.changes)}" if inputs.changes else ""),
        is_faint=True,
    )
    if inputs.ignored:
        yield note(f"{inputs.ignored:,} rows are of campaigns or platforms not in the file.")
    yield from _summary(results)
    for index in charted:
        yield from _campaign(index, results, runs)


def _summary(results: Results) -> Iterator[str]:
    if results.observed:
        yield heading("As it happened")
        yield note(OBSERVE)
        yield table(_HEADER, [_row(one) for one in results.observed[:MOST_ROWS]])
    if results.simulated:
        yield heading("With the engine's bids, in the model")
        yield note(SIMULATE)
        header = (*_HEADER, "regret", "waste", "log's regret", "model from data")
        yield table(header, [_simulated_row(one) for one in results.simulated[:MOST_ROWS]])
    more = max(len(results.observed), len(results.simulated)) - MOST_ROWS
    if more > 0:
        yield paragraph(f"… and {more:,} more, in results.json.", is_faint=True)


_HEADER = (
    *("campaign", "budget", "spend", "clicks", "conversions", "CPA"),
    *("CPC error/naive", "in interval", "CVR error/naive", "in interval"),
)


def _row(one: CampaignResult) -> tuple[str, ...]:
    totals = one.totals
    return (
        one.campaign,
        f"{_money(one.budget_micros)} {one.currency}",
        _money(totals.spend_micros),
        f"{totals.clicks:,}",
        f"{totals.conversions:,.1f}",
        _money(totals.cpa_micros),
        _number(one.cpc.relative),
        percent(one.cpc.covered),
        _number(one.cvr.relative),
        percent(one.cvr.covered),
    )


def _simulated_row(one: CampaignResult) -> tuple[str, ...]:
    model = one.model
    if model is None or model.engine is None:
        return (*_row(one), "-", "-", "-", "-")
    return (
        *_row(one),
        percent(model.engine.regret),
        percent(model.engine.waste),
        percent(model.log.regret),
        percent(model.evidence),
    )


def _campaign(index: int, results: Results, runs: Runs) -> Iterator[str]:
    observed = results.observed[index] if results.observed else None
    simulated = results.simulated[index] if results.simulated else None
    one = simulated or observed
    assert one is not None
    drawn = Drawn(index, results, runs)
    yield heading(f"{one.campaign}", 2)
    yield tiles(_tiles(observed, simulated))
    found = [drawn.spend()]
    found += drawn.decisions(runs.observed, "observed")
    found += drawn.decisions(runs.simulated, "simulated")
    outcome = runs.observed or runs.simulated
    assert outcome is not None
    found += drawn.forecasts(outcome, observed or one)
    if simulated is not None and simulated.model is not None:
        found += drawn.model(simulated.model)
    elif one.model is not None:
        found += drawn.model(one.model)
    yield figures(found)


def _tiles(observed: CampaignResult | None, simulated: CampaignResult | None) -> Iterator[Tile]:
    one = observed or simulated
    assert one is not None
    yield Tile(f"{_money(one.budget_micros)} {one.currency}", "budget")
    if observed is not None:
        totals = observed.totals
        yield Tile(_money(totals.spend_micros), "spent in the log")
        yield Tile(f"{totals.conversions:,.1f}", "conversions in the log")
    if simulated is not None:
        yield Tile(_money(simulated.totals.spend_micros), "spent by the engine, in the model")
        yield Tile(f"{simulated.totals.conversions:,.1f}", "conversions, in the model")
        if simulated.model is not None and simulated.model.engine is not None:
            yield Tile(percent(simulated.model.engine.regret), "regret, in the model")


def _money(micros: float | None) -> str:
    return "-" if micros is None else f"{micros / MICROS:,.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
