"""The gate: what it lets through, whatever is wanted and in force."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.decision import Binding
from engine.gateway.columns import BUDGET, SERVING, STEER, Columns
from engine.gateway.desire import DesireSettings, Why, desires
from engine.gateway.gate import Gate, HeldBack, Picked, pick, settle
from engine.gateway.worth import Curve, Curves, move_worth

NOW = 1_700_000_000.0
HALF = 43_200.0

entities = st.fixed_dictionaries(
    {
        "whole": st.just(10e6),
        "bid": st.sampled_from([0.0, 100_000.0, 510_000.0, 800_000.0, 5_000_000.0]),
        "cap": st.sampled_from([1e6, 1e9, 1e12]),
        "spent": st.sampled_from([0.0, 9.9e5, 1.05e6, 2e6]),
        "cvr": st.sampled_from([float("nan"), 0.02, 0.1]),
        "cpc": st.just(300_000.0),
        "roi": st.sampled_from([-100_000.0, 200_000.0]),
        "confidence": st.floats(0, 1),
        "bound_by": st.sampled_from([int(b) for b in Binding]),
        "idle_since": st.just(NOW - 10_000),
        "is_linked": st.booleans(),
        "may_run": st.booleans(),
        "value": st.sampled_from([float("nan"), 20_000_000.0]),
        "is_known": st.booleans(),
        "serving": st.sampled_from([0.0, 1.0]),
        "steered_by": st.sampled_from([-1, 0, 1, 2]),
        "steer": st.sampled_from([float("nan"), 500_000.0, 5_000_000.0]),
        "budget": st.sampled_from([float("nan"), 50_000_000.0]),
        "rate": st.sampled_from([float("nan"), 100.0, 5_000.0]),
        "is_learning": st.booleans(),
        "is_ours": st.booleans(),
        "readiness": st.sampled_from([0.2, 1.0]),
        "spend_per_s": st.sampled_from([0.0, 400.0]),
    }
)
floors = st.lists(entities, min_size=1, max_size=30)


def filled(rows: list[dict[str, float]]) -> Columns:
    columns = Columns()
    for fields in rows:
        place = columns.add()
        for name, value in fields.items():
            getattr(columns, name)[place] = value
    return columns


def picked(
    columns: Columns,
    *,
    most: int = 1000,
    most_urgent: int = 1000,
    is_halted: bool = False,
    settings: Gate | None = None,
) -> Picked:
    n = columns.count
    wanted = desires(
        columns,
        now=NOW,
        day_left_s=HALF,
        is_halted=np.full(n, is_halted),
        settings=DesireSettings(),
    )
    return pick(
        columns,
        wanted,
        now=NOW,
        day_left_s=HALF,
        curve=Curve(np.full(n, 0.01), np.full(n, 500_000.0), np.full(n, 0.5)),
        most=most,
        most_urgent=most_urgent,
        short_of=HeldBack.PURSE,
        settings=settings or Gate(),
        hourly=4,
    )


@given(floors, st.integers(0, 40), st.integers(0, 40))
def test_no_more_goes_through_than_may(
    rows: list[dict[str, float]], most: int, most_urgent: int
) -> None:
    found = picked(filled(rows), most=most, most_urgent=most_urgent)
    assert len(found.place) <= max(most, min(most_urgent, int(found.is_emergency.sum())))


@given(floors)
def test_only_linked_entities_are_moved_and_only_to_what_is_finite(
    rows: list[dict[str, float]],
) -> None:
    columns = filled(rows)
    found = picked(columns)
    assert columns.is_linked[found.place].all()
    assert np.isfinite(found.value).all()
    assert (found.value != found.before).all()
    budgets_and_bids = found.move != SERVING
    bid_like = budgets_and_bids & (columns.steered_by[found.place] != 2)
    assert (found.value[bid_like] % 10_000 == 0).all()
    assert (found.value[budgets_and_bids] > 0).all()


@given(floors)
def test_stops_go_first_and_the_rest_by_worth(rows: list[dict[str, float]]) -> None:
    found = picked(filled(rows))
    is_stop = (found.move == SERVING) & (found.value == 0.0) & (found.why >= Why.STOP)
    order = list(zip(~found.is_emergency, ~is_stop, -found.worth, strict=True))
    assert order == sorted(order)


@given(floors)
def test_a_halt_stops_everything_that_is_linked_and_may_serve(
    rows: list[dict[str, float]],
) -> None:
    columns = filled(rows)
    found = picked(columns, is_halted=True)
    n = columns.count
    on = columns.is_linked[:n] & (columns.serving[:n] == 1.0)
    stopped = set(found.place[(found.move == SERVING) & (found.value == 0.0)].tolist())
    assert stopped == set(np.flatnonzero(on).tolist())
    assert not (found.move == STEER).any()


@given(floors)
def test_what_is_applied_is_not_wanted_again(rows: list[dict[str, float]]) -> None:
    columns = filled(rows)
    settings = Gate(hold_s=0.0, budget_hold_s=0.0, largest_rise=1e9, largest_fall=1.0,
                            largest_target_step=1e9, largest_budget_rise=1e9)  # fmt: skip
    first = picked(columns, settings=settings)
    for place, move, value in zip(first.place, first.move, first.value, strict=True):
        settle(columns, int(place), int(move), value=float(value), result="applied", now=NOW)
    again = picked(columns, settings=settings)
    moved = set(zip(first.place.tolist(), first.move.tolist(), strict=True))
    repeated = moved & set(zip(again.place.tolist(), again.move.tolist(), strict=True))
    assert repeated == set()


@given(floors)
def test_a_change_that_was_refused_waits_longer_each_time(rows: list[dict[str, float]]) -> None:
    columns = filled(rows)
    for place in range(columns.count):
        waits = []
        for _ in range(4):
            settle(columns, place, BUDGET, value=1.0, result="rejected", now=NOW)
            waits.append(float(columns.not_before[place, BUDGET]) - NOW)
        assert waits == [3600.0, 7200.0, 14_400.0, 28_800.0]
    assert not (picked(columns).move == BUDGET).any()


def one(**fields: float) -> Columns:
    usual = {
        "bid": 800_000.0, "cap": 1e12, "cvr": 0.05, "cpc": 300_000.0, "roi": 100_000.0,
        "confidence": 0.9, "is_linked": True, "may_run": True, "is_known": True, "serving": 1.0,
        "steered_by": 0, "steer": 500_000.0, "readiness": 1.0, "value": 20_000_000.0,
    }  # fmt: skip
    return filled([usual | fields])


def reasons(columns: Columns, **settings: float) -> dict[str, int]:
    return picked(columns, settings=Gate(**settings)).held


def test_each_reason_to_hold_back_is_counted_by_its_name() -> None:
    assert picked(one()).value.tolist() == [800_000.0]
    assert reasons(one(bid=510_000.0)) == {"dead-band": 1}
    assert reasons(one(is_learning=True)) == {"learning": 1}
    assert reasons(one(readiness=0.4)) == {"not-ready": 1}
    assert reasons(one(is_known=False)) == {"not-inspected": 1}
    assert reasons(one(steered_by=1, cvr=float("nan"), steer=9e6)) == {"no-forecast": 1}
    assert reasons(one(serving=0.0)) == {"stopped-by-others": 2}
    assert picked(one(), most=0).held == {"purse": 1}
    held = one()
    held.moved_at[0, STEER] = NOW - 60
    assert reasons(held) == {"hold-time": 1}


def test_an_entity_that_is_not_ready_may_be_bid_down_and_not_up() -> None:
    assert picked(one(readiness=0.1, bid=300_000.0)).value.tolist() == [300_000.0]
    assert picked(one(readiness=0.1)).value.tolist() == []
    # A higher target ROAS is less: 20.00 x 0.05 / 0.80 = 1.25.
    assert picked(one(readiness=0.1, steered_by=2, steer=1.1)).value.tolist() == [1.25]


def test_a_bid_moves_threefold_at_most_at_once_and_a_target_by_a_fifth() -> None:
    assert picked(one(bid=5_000_000.0)).value.tolist() == [1_500_000.0]
    assert picked(one(bid=20_000.0)).value.tolist() == [120_000.0]
    assert picked(one(steered_by=1, steer=10_000_000.0)).value.tolist() == [12_000_000.0]
    down = picked(one(steered_by=1, steer=40_000_000.0)).value.tolist()
    assert down == [33_330_000.0]


def test_budget_changes_of_an_entity_are_counted_by_the_hour() -> None:
    columns = one(budget=50_000_000.0, rate=5_000.0, bid=500_000.0, day_cap=1e12)
    assert BUDGET in picked(columns).move.tolist()
    for i in range(4):
        settle(columns, 0, BUDGET, value=50_000_000.0, result="applied", now=NOW - 3500.0 + i)
    columns.moved_at[0, BUDGET] = NOW - 4000.0
    assert picked(columns).held["hourly-limit"] == 1
    columns.hour[0, columns.hour[0].argmax()] = NOW - 3700.0
    assert BUDGET in picked(columns).move.tolist()


def test_spend_that_runs_past_its_cap_is_shifted_down_and_then_stopped() -> None:
    # A budget of 10.00: 0.20 beyond the cap are tolerated, 1.00 is a runaway.
    usual = {"whole": 10e6, "cap": 2e6, "spend_per_s": 400.0}  # 0.72 before a report tells
    near = picked(one(spent=1.84e6, **usual))
    assert near.value.tolist() == [400_000.0]
    assert picked(one(spent=1.0e6, **usual)).value.tolist() == [800_000.0]
    reached = picked(one(spent=2.3e6, **usual))
    assert (reached.move.tolist(), reached.value.tolist()) == ([SERVING], [0.0])
    assert not reached.is_emergency[0]
    beyond = picked(one(spent=3.1e6, **usual))
    assert beyond.is_emergency[0]
    assert Why.WORDS[int(beyond.why[0])] == "runaway"


bids = st.floats(1e4, 1e7)


@given(have=bids, want=bids, clicks=st.floats(1e-6, 1.0), at=bids, paid=st.floats(0.05, 0.8))
def test_what_a_change_is_worth_is_the_integral_that_it_says(
    have: float, want: float, clicks: float, at: float, paid: float
) -> None:
    curve = Curve(np.array([clicks]), np.array([at]), np.array([paid]))
    found = float(move_worth(np.array([have]), np.array([want]), curve, np.ones(1))[0])
    elasticity = paid / (1 - paid)
    edges = np.linspace(have, want, 20_001)
    sold = clicks * (edges / at) ** elasticity
    middle = (edges[1:] + edges[:-1]) / 2
    wanted = 3600.0 * float(((want - middle) * np.diff(sold)).sum())
    assert found >= 0
    scale = 3600.0 * max(float(sold.max()) * want, 1.0)
    assert abs(found - wanted) <= 1e-3 * max(wanted, found) + 1e-7 * scale


def test_curves_draw_towards_the_ad_accounts_mean_and_forget() -> None:
    curves = Curves(2)
    curves.saw(np.array([1000.0, 0.0]), np.array([4e8, 0.0]), np.array([8e5, 8e5]), 3600.0)
    found = curves.curve(np.zeros(2))
    assert found.clicks[0] > found.clicks[1] > 0
    assert found.bid.tolist() == [8e5, 8e5]
    assert abs(found.paid[0] - 0.5) < 0.01
    curves.saw(np.zeros(2), np.zeros(2), np.array([8e5, 8e5]), 100 * 86_400.0)
    assert curves.curve(np.zeros(2)).clicks[0] < 1e-4
