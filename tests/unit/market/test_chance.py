"""Random numbers by address: independent, of the right shape, the same each time."""

import math

import numpy as np
import pytest

from engine.market import chance
from engine.market.chance import Keys

KEYS: Keys = np.arange(1, 20_001, dtype=np.uint64) * np.uint64(2654435761)


def test_a_number_depends_on_its_address_and_on_nothing_beside_it() -> None:
    all_of_them = chance.uniform(7, KEYS, 3, 1)
    backwards = chance.uniform(7, KEYS[::-1], 3, 1)[::-1]
    alone = chance.uniform(7, KEYS[500:501], 3, 1)
    assert np.array_equal(all_of_them, backwards)
    assert alone[0] == all_of_them[500]


@pytest.mark.parametrize("address", [(8, 3, 1), (7, 4, 1), (7, 3, 2)], ids=str)
def test_another_seed_step_or_purpose_gives_unrelated_numbers(address: tuple[int, ...]) -> None:
    seed, step, purpose = address
    one, other = chance.uniform(7, KEYS, 3, 1), chance.uniform(seed, KEYS, step, purpose)
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    numbers = chance.uniform(7, KEYS, 1, 1)
    counts, _ = np.histogram(numbers, bins=20, range=(0.0, 1.0))
    # Chi-squared with 19 degrees of freedom: 43.8 is passed once in a thousand.
    assert ((counts - 1000.0) ** 2 / 1000.0).sum() < 43.8
    assert 0.0 < numbers.min() < numbers.max() < 1.0


def test_the_normal_quantile_undoes_the_normal_distribution() -> None:
    x = np.linspace(-6.0, 6.0, 1001)
    share = np.array([0.5 * math.erfc(-one / math.sqrt(2.0)) for one in x])
    assert np.abs(chance.normal_quantile(share) - x).max() < 1e-6
    assert np.abs(chance.normal_cdf(x) - share).max() < 1e-7


@pytest.mark.parametrize("mean", [0.02, 0.7, 5.0, 15.9, 16.1, 900.0])
def test_poisson_counts_have_their_mean_and_variance(mean: float) -> None:
    counts = chance.poisson(np.full(KEYS.shape, mean), chance.uniform(7, KEYS, 2, 9))
    error = math.sqrt(mean / len(KEYS))
    assert abs(counts.mean() - mean) < 5.0 * error
    assert counts.var() == pytest.approx(mean, rel=0.1)
    assert counts.min() >= 0


@pytest.mark.parametrize(
    ("trials", "share"), [(1, 0.5), (3, 0.02), (40, 0.97), (1000, 0.002), (5000, 0.4)]
)
def test_binomial_counts_have_their_mean_and_variance(trials: int, share: float) -> None:
    chances = chance.uniform(7, KEYS, 2, 9)
    counts = chance.binomial(np.full(KEYS.shape, trials), np.full(KEYS.shape, share), chances)
    variance = trials * share * (1.0 - share)
    assert abs(counts.mean() - trials * share) < 5.0 * math.sqrt(variance / len(KEYS))
    assert counts.var() == pytest.approx(variance, rel=0.1)
    assert counts.min() >= 0
    assert counts.max() <= trials


def test_counts_without_a_chance_are_none_and_certain_ones_are_all() -> None:
    n = np.array([0, 5, 5, 100_000])
    share = np.array([0.5, 0.0, 1.0, 1.0])
    luck = np.array([0.9, 0.999999, 0.5, 0.01])
    assert chance.binomial(n, share, luck).tolist() == [0, 0, 5, 100_000]
    assert chance.poisson(np.zeros(1), np.array([0.999999])).tolist() == [0]
