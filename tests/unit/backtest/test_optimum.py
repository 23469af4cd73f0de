"""The hindsight optimum is exact: nothing that can be tried by hand is better."""

import itertools

import numpy as np
import pytest

from engine.backtest.optimum import Answers, best, cheapest, front, gains

GAIN = np.array([10.0, 4.0, 1.0])
SPEND = np.array([100.0, 30.0, 40.0])
G = np.array([0.5, 0.6, 0.5])
ANSWERS = Answers(GAIN, SPEND, G, np.array([3.0, 2.0, 4.0]))


def every_split(budget: float, steps: int = 60) -> float:
    """Return the most that any split on a fine grid brings."""
    most = 0.0
    shares = np.linspace(0, 1, steps + 1)
    for one, other in itertools.product(shares, shares):
        spends = np.array([one, other, 1 - one - other]) * budget
        if spends[2] < 0:
            continue
        times = np.minimum(spends / SPEND, ANSWERS.most)
        most = max(most, float((GAIN * times**G).sum()))
    return most


@pytest.mark.parametrize("budget", [20.0, 80.0, 200.0, 400.0])
def test_no_split_by_hand_is_better_and_the_best_of_them_is_near(budget: float) -> None:
    found = best(ANSWERS, budget_micros=budget, most_cost_micros=None)
    by_hand = every_split(budget)
    assert found.spend_micros <= budget * (1 + 1e-9)
    assert found.gain >= by_hand * (1 - 1e-9)
    assert found.gain == pytest.approx(by_hand, rel=0.002)


def test_a_cost_for_each_gain_binds_before_the_budget_does() -> None:
    found = best(ANSWERS, budget_micros=1e9, most_cost_micros=9.0)
    assert found.spend_micros / found.gain == pytest.approx(9.0)


def test_money_beyond_what_the_model_believes_brings_nothing() -> None:
    found = best(ANSWERS, budget_micros=1e9, most_cost_micros=None)
    assert found.spend_micros == pytest.approx(float((SPEND * ANSWERS.most).sum()))


def test_the_front_rises_ever_more_slowly() -> None:
    points = front(ANSWERS)
    spend = np.array([point.spend_micros for point in points])
    gain = np.array([point.gain for point in points])
    slopes = np.diff(gain) / np.diff(spend)
    assert (np.diff(spend) > 0).all()
    assert (np.diff(slopes) < 1e-9).all()


def test_the_cheapest_way_to_a_gain_is_on_the_front() -> None:
    found = best(ANSWERS, budget_micros=120.0, most_cost_micros=None)
    assert cheapest(ANSWERS, found.gain) == pytest.approx(found.spend_micros, rel=1e-6)
    assert cheapest(ANSWERS, 1e6) is None
    assert cheapest(ANSWERS, 0.0) == 0.0


def test_the_gains_of_stretches_add_up_to_the_optimum() -> None:
    found = best(ANSWERS, budget_micros=120.0, most_cost_micros=None)
    assert gains(ANSWERS, found.price).sum() == pytest.approx(found.gain)


def test_stretches_in_which_nothing_happened_change_nothing() -> None:
    nothing = np.zeros(2)
    more = Answers(
        np.concatenate([GAIN, nothing]),
        np.concatenate([SPEND, [0.0, 50.0]]),
        np.concatenate([G, [0.5, 0.5]]),
        np.concatenate([ANSWERS.most, [2.0, 2.0]]),
    )
    wanted = best(ANSWERS, budget_micros=90.0, most_cost_micros=None)
    found = best(more, budget_micros=90.0, most_cost_micros=None)
    assert found.gain == pytest.approx(wanted.gain)
    assert (
        best(
            Answers(nothing, nothing, nothing + 0.5, nothing + 2),
            budget_micros=9,
            most_cost_micros=None,
        ).gain
        == 0.0
    )
