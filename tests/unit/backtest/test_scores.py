"""Forecasts are scored against the naive one, by clicks, and by how often intervals held."""

import numpy as np
import pytest

from engine.backtest.scores import Forecasts, previous, score


def test_a_forecast_as_wrong_as_the_naive_one_scores_one() -> None:
    actual = np.array([1.0, 2.0, 4.0])
    naive = np.array([0.0, 1.0, 2.0])
    found = score(
        actual=actual, forecast=naive, low=naive - 1, high=naive + 1.5, naive=naive,
        weight=np.ones(3),
    )  # fmt: skip
    assert found.relative == 1.0
    assert found.covered == pytest.approx(2 / 3)


def test_stretches_weigh_as_their_clicks_and_those_without_are_left_out() -> None:
    actual = np.array([1.0, 1.0, np.nan])
    forecast = np.array([2.0, 5.0, 0.0])
    found = score(
        actual=actual, forecast=forecast, low=forecast, high=forecast, naive=forecast,
        weight=np.array([3.0, 1.0, 9.0]),
    )  # fmt: skip
    assert found.compared == 2
    assert found.mae == pytest.approx((3 * 1 + 1 * 4) / 4)


def test_nothing_to_compare_is_none_and_not_nought() -> None:
    none = np.full(2, np.nan)
    found = score(actual=none, forecast=none, low=none, high=none, naive=none, weight=np.ones(2))
    assert found == Forecasts(0, None, None, None, None)


def test_the_naive_forecast_is_the_series_own_and_never_the_stretch_itself() -> None:
    actual = np.array([1.0, 5.0, 2.0, np.nan, 3.0])
    series = np.array([0, 1, 0, 1, 1])
    assert np.array_equal(previous(actual, series), [np.nan, np.nan, 1.0, 5.0, 5.0], equal_nan=True)
    assert previous(np.zeros(0), np.zeros(0, np.int64)).tolist() == []
