"""The planner under known prices: one shadow price decides on all platforms."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from engine.core.book import CoreError
from engine.core.planner import History, PastCampaign, Plan, Planner

ROUNDS = 8
MILLION = 1_000_000


def past_campaign(identity: int = 1, seed: int = 1, count: int = 400) -> PastCampaign:
    noise = np.random.default_rng(seed)
    least = 0.05 * noise.lognormal(0, 0.5, count)
    return PastCampaign(
        identity=identity,
        worths=(0.005 * noise.gamma(4, 0.25, count)).astype(np.float32),
        prices=np.stack([least * 1.7, least * 1.3, least], 1),
        bounds=np.linspace(0, count, ROUNDS + 1).astype(np.uint32),
    )


def history(days: int = 3) -> History:
    past = History(rounds=ROUNDS)
    for day in range(days):
        past.add_day([past_campaign(identity, 10 * day + identity) for identity in (1, 2)])
    return past


def planner(past: History | None = None, platforms: int = 1, **terms: Any) -> Planner:  # noqa: ANN401
    terms = {"budget_micros": 5 * MILLION, "target_micros": 20 * MILLION} | terms
    return Planner(
        past, platforms=[(1, 400.0)] * platforms, rounds=None if past else ROUNDS, **terms
    )


WORTHS = np.linspace(0.0, 0.03, 60)


def observe(one: Planner, number: int, plan: Plan, cost_micros: int = 10_000) -> None:
    for platform, bids in enumerate(plan.bids):
        prices = np.full(len(bids), 0.06)
        won = bids > prices
        one.observe(
            number,
            platform,
            prices=prices,
            worths=WORTHS,
            bids=bids,
            paid=prices,
            won=won,
            exposed=won,
            cost_micros=cost_micros,
        )


def test_one_shadow_price_decides_on_all_platforms() -> None:
    plan = planner(history(), platforms=3).decide(0, [WORTHS] * 3)
    assert plan.shadow_price > 0
    assert all((np.diff(bids) >= 0).all() for bids in plan.bids)
    assert (plan.bids[0] == plan.bids[2]).all()
    assert plan.bids[0][0] == 0


def test_more_budget_never_lowers_the_shadow_price() -> None:
    budgets = [MILLION // 4, MILLION, 3 * MILLION, 9 * MILLION, 1000 * MILLION]
    terms = [{"budget_micros": budget, "target_micros": 8 * MILLION} for budget in budgets]
    plans = [planner(history(), **one).decide(0, [WORTHS]) for one in terms]
    prices = [plan.shadow_price for plan in plans]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]
    assert (plans[0].bound, plans[-1].bound) == ("budget", "target-cpa")


def test_classes_of_worth_decide_as_their_opportunities_one_by_one() -> None:
    each = planner(history()).decide(0, [np.repeat([0.004, 0.01], 30)])
    classes = planner(history()).decide(0, [[0.004, 0.01]], counts=[[30, 30]])
    assert classes.shadow_price == pytest.approx(each.shadow_price, rel=1e-12)
    assert classes.bids[0].tolist() == pytest.approx([each.bids[0][0], each.bids[0][-1]])


def test_without_history_a_campaign_starts_at_eight_tenths_of_its_target() -> None:
    plan = planner().decide(0, [WORTHS])
    assert plan.shadow_price == pytest.approx(16.0)
    assert plan.bound == "no-landscape"
    assert plan.bids[0] == pytest.approx(16.0 * WORTHS)


def test_without_history_prices_seen_once_are_a_landscape() -> None:
    one = planner()
    observe(one, 0, one.decide(0, [WORTHS]))
    plan = one.decide(1, [WORTHS])
    assert plan.bound in ("budget", "target-cpa")
    assert plan.round_spend_micros[0] > 0


def test_without_prices_the_shadow_price_falls_when_spend_runs_ahead() -> None:
    one = planner()
    for number in range(4):
        one.decide(number, [WORTHS])
        one.restate(0, opportunities=60, conversions=0.01, spend_micros=(number + 1) * MILLION)
    plan = one.decide(4, [WORTHS])
    assert plan.bound == "no-landscape"
    assert plan.shadow_price < 15.9


def test_a_spent_budget_bids_nothing() -> None:
    one = planner(history())
    observe(one, 0, one.decide(0, [WORTHS]), cost_micros=5 * MILLION)
    plan = one.decide(1, [WORTHS])
    assert plan.bound == "spent"
    assert not plan.bids[0].any()
    assert plan.round_spend_micros == (0,)
    assert plan.day_spend_micros == (5 * MILLION,)


def test_the_front_of_spend_and_conversions_rises_and_is_concave() -> None:
    plan = planner(history()).decide(0, [WORTHS])
    spend, conversions = np.diff(plan.spend), np.diff(plan.conversions)
    assert (spend >= 0).all()
    assert (conversions >= 0).all()
    bought = conversions > 1e-9
    marginal = spend[bought] / conversions[bought]
    # each step of the shadow price buys at that price; drifting prices blur it by two steps of .05
    assert (marginal <= plan.shadow_prices[1:][bought] * 1.11).all()
    assert (marginal >= plan.shadow_prices[:-1][bought] / 1.11).all()


def test_threads_take_turns_at_one_planner() -> None:
    past = history()
    plans: list[Plan] = []
    planners = [planner(past) for _ in range(4)]
    threads = [Thread(target=lambda p=p: plans.append(p.decide(0, [WORTHS]))) for p in planners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({plan.shadow_price for plan in plans}) == 1


def test_a_day_more_is_learned_and_survives_a_restart() -> None:
    past = history(2)
    past.add_day([past_campaign(1, 77), past_campaign(2, 78)])
    assert past.days == 3
    assert sum(past.profile) == pytest.approx(1.0)
    again = History.restore(past.snapshot())
    assert again.snapshot() == past.snapshot()
    first, second = (planner(one).decide(0, [WORTHS]) for one in (past, again))
    assert first.shadow_price == second.shadow_price


@pytest.mark.parametrize("at", [0, 9, 30, -9, -1])
def test_a_damaged_snapshot_is_refused(at: int) -> None:
    snapshot = bytearray(history(1).snapshot())
    snapshot[at] ^= 1
    with pytest.raises(CoreError, match="snapshot: "):
        History.restore(bytes(snapshot))
    with pytest.raises(CoreError, match="snapshot: "):
        Planner.restore(None, bytes(snapshot))


DAY = PastCampaign(
    identity=1,
    worths=np.full(8, 0.01, np.float32),
    prices=np.full((8, 3), 0.1),
    bounds=np.arange(ROUNDS + 1, dtype=np.uint32),
)


def with_day(**changes: NDArray[Any]) -> Callable[[], object]:
    return lambda: History(rounds=ROUNDS).add_day([replace(DAY, **changes)])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: planner(budget_micros=0), "budget_micros must be 1 to 1e15 micros, was 0"),
        (lambda: planner(target_micros=-5), "target_micros must be 1 to 1e15 micros, was -5"),
        (lambda: planner(goal="best"), "goal must be one of hard, soft, budget, was best"),
        (lambda: planner(pacing=(2.0, 1.8, 2.0)), "pacing low must be 0 to 1, was 2"),
        (lambda: planner(platforms=0), "platforms must be 1 to 64, was 0"),
        (lambda: planner().decide(0, [[np.nan]]), "worths must be 0 to 1e6, was NaN"),
        (lambda: planner().decide(0, [[-0.1]]), "worths must be 0 to 1e6, was -0.1"),
        (lambda: planner().decide(0, [[np.inf]]), "worths must be 0 to 1e6, was inf"),
        (lambda: planner().decide(0, [[0.1]], [[np.nan]]), "sigmas must be 0 to 1e12, was NaN"),
        (lambda: planner().decide(0, [[0.1]], [[0.1, 0.1]]), "sigmas must be rows of 1 bytes"),
        (lambda: planner().decide(ROUNDS, [[0.1]]), "round must be one of the day, not yet"),
        (lambda: planner().decide(0, []), "platforms must be rows of 1 bytes in all, was 0"),
        (with_day(worths=np.full(8, -1, np.float32)), "worths must be 0 to 1e6, was -1"),
        (with_day(prices=np.zeros((8, 3))), "prices must be 1e-9 to 1e9, was 0"),
        (with_day(bounds=np.arange(ROUNDS, dtype=np.uint32)), "bounds must be"),
        (with_day(bounds=np.zeros(ROUNDS + 1, np.uint32)), "bounds must be rising"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_value(
    call: Callable[[], object], said: str
) -> None:
    with pytest.raises(CoreError) as refused:
        call()
    assert said in str(refused.value)


def test_a_refused_call_changes_nothing() -> None:
    one = planner(history(), platforms=2)
    before = one.snapshot()
    with pytest.raises(CoreError):
        one.decide(0, [WORTHS, [np.nan]])
    with pytest.raises(CoreError):
        one.observe(
            0,
            0,
            prices=[0.1],
            worths=[0.1],
            bids=[-1.0],
            paid=[0.1],
            won=[True],
            exposed=[True],
            cost_micros=1,
        )
    assert one.snapshot() == before
    one.decide(0, [WORTHS, WORTHS])
    with pytest.raises(CoreError, match="not yet decided"):
        one.decide(0, [WORTHS, WORTHS])
