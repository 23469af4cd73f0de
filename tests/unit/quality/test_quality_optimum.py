"""The hindsight optimum against every assignment of slots there is."""

from itertools import product

import numpy as np
import pytest

from bench.quality.auction import EXPOSURE
from bench.quality.days import CampaignDay
from bench.quality.optimum import Frontier, frontier_of, optimum


def a_day(seed: int, n: int = 6) -> CampaignDay:
    random = np.random.default_rng(seed)
    value = random.uniform(0.0, 0.3, n)
    return CampaignDay(
        market="m",
        campaign=0,
        target=10.0,
        budget=3.0,
        p=value,
        sigma=value * 0.1,
        others=-np.sort(-random.uniform(0.1, 3.0, (n, 3)), axis=1),
        true_value=value,
        bounds=np.array([0, n]),
    )


def every_assignment(day: CampaignDay) -> list[tuple[float, float]]:
    """(cost, value) of all ways to take no slot or one of three on every opportunity."""
    options = [
        [(0.0, 0.0)] + [(own[k] * EXPOSURE[k], value * EXPOSURE[k]) for k in range(3)]
        for own, value in zip(day.others.tolist(), day.true_value.tolist(), strict=True)
    ]
    return [(sum(c for c, _ in one), sum(v for _, v in one)) for one in product(*options)]


@pytest.mark.parametrize("seed", range(6))
def test_no_assignment_lies_above_the_frontier_and_each_vertex_is_one(seed: int) -> None:
    day = a_day(seed)
    ways = np.array(every_assignment(day))
    frontier = frontier_of([day])
    cost = np.concatenate([[0.0], frontier.cost])
    value = np.concatenate([[0.0], frontier.value])
    assert (ways[:, 1] <= np.interp(ways[:, 0], cost, value) + 1e-9).all()
    for at, worth in zip(frontier.cost, frontier.value, strict=True):
        assert np.isclose(ways, [at, worth], atol=1e-9).all(axis=1).any()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("target", [4.0, 8.0, 16.0, 1e6])
def test_at_a_vertex_the_optimum_of_both_goals_is_the_best_assignment(
    seed: int, target: float
) -> None:
    day = a_day(seed)
    ways = np.array(every_assignment(day))
    frontier = frontier_of([day])
    steps = np.diff(frontier.value, prepend=0.0).max()
    for budget in frontier.cost:
        soft, hard = optimum(frontier, float(budget) + 1e-9, target)
        cost, value = ways[ways[:, 0] <= budget + 1e-9].T
        ratio = cost / np.maximum(value, 1e-12)
        best_soft = (value * np.minimum(1, target / np.maximum(ratio, 1e-12)) ** 2).max()
        best_hard = value[ratio <= target].max()
        # Between vertices of a constraint that binds, one more part of an opportunity may fit.
        assert best_soft - steps <= soft <= best_soft + 1e-9
        assert best_hard - steps <= hard <= best_hard + 1e-9
        if target > 1e5:  # the budget alone: exact
            assert soft == hard == pytest.approx(best_hard)


def test_two_platforms_are_one_knapsack() -> None:
    days = [a_day(1, 3), a_day(2, 3)]
    joint = frontier_of(days)
    whole = a_day(1, 3)
    together = CampaignDay(
        market="both",
        campaign=0,
        target=whole.target,
        budget=whole.budget,
        p=np.concatenate([day.p for day in days]),
        sigma=np.concatenate([day.sigma for day in days]),
        others=np.concatenate([day.others for day in days]),
        true_value=np.concatenate([day.true_value for day in days]),
        bounds=np.array([0, 6]),
    )
    np.testing.assert_allclose(joint.cost, frontier_of([together]).cost)


def test_the_cheapest_way_to_a_value_is_the_first_vertex_that_reaches_it() -> None:
    frontier = Frontier(value=np.array([1.0, 3.0]), cost=np.array([2.0, 10.0]))
    assert frontier.cheapest(0.0) == 0
    assert frontier.cheapest(1.0) == 2
    assert frontier.cheapest(1.5) == 10
    assert frontier.cheapest(9.0) == 10
