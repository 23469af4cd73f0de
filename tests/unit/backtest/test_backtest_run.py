"""The backtest runs the live Book, in the worker's order, and nothing else."""

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.backtest.log import Log, Rows, cadence_ms, rows_of
from engine.backtest.responses import fit
from engine.backtest.results import campaign_results
from engine.backtest.run import Counts, Observed, Outcome, Simulated, World, run
from engine.core.book import Book
from engine.core.frames import encode_frame, producer_key
from engine.core.rows import SAMPLE_ROW
from engine.domain.campaign import Campaign, Definition, Flight
from engine.domain.lifecycle import State
from support.definitions import START, definition, report
from support.logs import HOUR, HOUR_MS, hourly

Ints = NDArray[np.int64]

HOURS = 72
MINE = definition(
    flight=Flight(START, START + HOURS * HOUR), budget_micros=2_000_000_000, timezone="UTC"
)


def rows(definitions: Sequence[Definition] = (MINE,), **shape: float) -> Rows:
    return rows_of(hourly([one.id for one in definitions], hours=HOURS, **shape), definitions)


def observed(mine: Rows) -> Outcome:
    return run(mine, Observed(mine), interval_ms=HOUR_MS, cadence_ms=HOUR_MS)


def simulated(mine: Rows, seed: int = 0) -> tuple[Outcome, Simulated]:
    world = Simulated(mine, fit(mine), seed=seed)
    return run(mine, world, interval_ms=HOUR_MS, cadence_ms=HOUR_MS), world


def test_the_decisions_are_those_of_a_book_fed_by_hand() -> None:
    mine = rows()
    found = run(
        mine,
        Observed(mine),
        interval_ms=HOUR_MS,
        cadence_ms=HOUR_MS,
        traced=frozenset({0}),
    ).trace
    book = Book(tick_ms=1000, interval_ms=HOUR_MS)
    book.put([Campaign(definition=MINE, state=State.ACTIVE, changed_at=0.0)])
    wanted = []
    for hour in range(HOURS + 1):
        at_ms = round(START * 1000) + hour * HOUR_MS
        for row in np.flatnonzero(mine.at_ms == at_ms).tolist():
            fields = report(
                *mine.names[mine.series[row]],
                at=at_ms / 1_000_000,  # ticks of a second
                clicks=int(mine.clicks[row]),
                spend_micros=int(mine.spend_micros[row]),
                conversions=int(mine.milliconversions[row]) / 1000,
                impressions=int(mine.impressions[row]),
            )
            book.ingest(frame_of(fields, sequence=row + 1))
        series = book.decide(at_ms).series
        order = np.argsort([mine.keys.tolist().index(key) for key in series["series"].tolist()])
        wanted.append(series["bid_micros"][order].tolist())
    assert found.bid_micros.tolist() == wanted


def frame_of(fields: dict[str, int], *, sequence: int) -> bytes:
    row = np.zeros(1, SAMPLE_ROW)
    for name, value in fields.items():
        row[name] = value
    return encode_frame(
        0, row, producer=producer_key("hand"), sequence=sequence, unit_micros=100, tick_ms=1000
    )


def test_a_round_has_seen_the_stretch_that_ends_with_it_and_nothing_later() -> None:
    mine = rows()
    seen: list[tuple[int, int]] = []

    class Watching(Observed):
        def answer(self, rows: slice, bid_micros: Ints, cap_micros: Ints) -> Counts:
            seen.append((int(mine.at_ms[rows.start]), int(bid_micros.max())))
            return super().answer(rows, bid_micros, cap_micros)

    world: World = Watching(mine)
    run(mine, world, interval_ms=HOUR_MS, cadence_ms=HOUR_MS)
    assert [at for at, _ in seen] == sorted(set(mine.at_ms.tolist()))
    assert seen[0][1] > 0  # the round before the first report has bid: its stretch is bought by it


def test_the_same_inputs_give_the_same_bytes() -> None:
    mine = rows()

    def encoded(seed: int) -> bytes:
        outcome, world = simulated(mine, seed)
        expected = world.expected_conversions
        return msgspec.json.encode(campaign_results(mine, outcome, fit(mine), expected=expected))

    assert encoded(3) == encoded(3)
    assert encoded(3) != encoded(4)


def test_observed_totals_are_the_logs_own() -> None:
    mine = rows()
    found = campaign_results(mine, observed(mine), None)[0]
    assert found.totals.clicks == mine.clicks.sum()
    assert found.totals.spend_micros == mine.spend_micros.sum() == found.settled_micros
    assert found.model is None


def test_a_simulated_platform_stops_at_its_cap_and_the_budget_holds() -> None:
    small = msgspec.structs.replace(MINE, budget_micros=40_000_000)
    mine = rows([small])
    outcome, _ = simulated(mine)
    spent = int(outcome.counts.spend_micros.sum())
    assert 0.8 * small.budget_micros < spent <= small.budget_micros
    assert outcome.settled_micros.tolist() == [spent]


def test_the_model_gives_the_log_back_at_the_logs_own_bids() -> None:
    mine = rows()
    responses = fit(mine)
    shown, clicks, spend = responses.at(slice(None), responses.bid_micros)
    assert np.allclose(clicks, mine.clicks)
    assert np.allclose(spend, mine.spend_micros)
    assert np.allclose(shown, mine.impressions)


def test_a_higher_bid_never_brings_fewer_clicks_nor_cheaper_ones() -> None:
    mine = rows()
    responses = fit(mine)
    some = mine.clicks > 0
    _, clicks, spend = responses.at(slice(None), responses.bid_micros * 0.8)
    _, more, dearer = responses.at(slice(None), responses.bid_micros)
    assert (more[some] > clicks[some]).all()
    assert (dearer[some] / more[some] > spend[some] / clicks[some]).all()


def test_the_exponents_of_a_log_are_found_again() -> None:
    fitted = fit(rows(clicks_exponent=1.6, cost_exponent=0.4)).fitted
    for one in fitted:
        assert one.clicks_exponent == pytest.approx(1.6, abs=0.25)
        assert one.cost_exponent == pytest.approx(0.4, abs=0.1)
        assert one.evidence > 0.85


def test_bids_that_never_moved_leave_the_prior() -> None:
    for one in fit(rows(spread=0.0)).fitted:
        assert one.clicks_exponent == 1.0
        assert one.evidence == pytest.approx(0.0, abs=1e-12)


def test_a_log_without_bids_is_read_by_its_spend() -> None:
    log = msgspec.structs.replace(hourly([MINE.id], hours=HOURS), bid_micros=None)
    mine = rows_of(log, [MINE])
    outcome, world = simulated(mine)
    found = campaign_results(mine, outcome, fit(mine), expected=world.expected_conversions)[0]
    assert not any(one.is_by_bids for one in fit(mine).fitted)
    assert found.model is not None
    assert found.model.engine is not None
    assert found.totals.clicks > 0


def test_rows_of_strangers_are_left_out_and_counted() -> None:
    log = hourly([MINE.id, "somebody-else"], hours=3)
    mine = rows_of(log, [MINE])
    assert (len(mine), mine.ignored) == (6, 6)


def test_regret_is_within_the_model_and_never_below_nothing() -> None:
    mine = rows()
    outcome, world = simulated(mine)
    model = campaign_results(mine, outcome, fit(mine), expected=world.expected_conversions)[0].model
    assert model is not None
    assert model.engine is not None
    assert model.engine.regret is not None
    assert 0 <= model.engine.regret < 0.5
    assert model.path[-1][1] == pytest.approx(model.optimum_conversions)
    assert model.path[-1][3] == pytest.approx(model.engine.conversions)


def test_who_spent_beyond_the_budget_has_no_regret_to_show() -> None:
    small = msgspec.structs.replace(MINE, budget_micros=10_000_000)
    mine = rows([small])
    model = campaign_results(mine, observed(mine), fit(mine))[0].model
    assert model is not None
    assert model.log.spend_micros > 10_000_000
    assert model.log.regret is None


def test_two_currencies_run_side_by_side() -> None:
    yen = definition(
        "summer-teaser",
        flight=MINE.flight,
        budget_micros=200_000_000_000,
        currency="JPY",
        conversion_value_micros=2_000_000_000,
    )
    log = hourly([MINE.id, yen.id], hours=HOURS)
    found = campaign_results(rows_of(log, [MINE, yen]), observed(rows_of(log, [MINE, yen])), None)
    assert all(one.settled_micros == one.totals.spend_micros > 0 for one in found)


def test_a_log_of_one_time_has_no_cadence() -> None:
    log: Log = hourly([MINE.id], hours=1)
    assert cadence_ms(log.at_ms) is None
    assert cadence_ms(hourly([MINE.id], hours=2).at_ms) == HOUR_MS
