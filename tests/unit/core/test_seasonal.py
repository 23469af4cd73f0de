"""The hourly forecaster, at the border and against a slow counterpart in numpy."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.core.book import CoreError
from engine.core.seasonal import SeasonalForecaster

HORIZONS = (1, 6, 24)


class Recount:
    """One series at one horizon, from its whole history each time: nothing is kept but lists.

    Two regressions, each solved anew by the normal equations of discounted least squares, and the
    carried deviation. Right while no error is clipped and no covariance bounded: on tame series.
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self.logs: list[float] = []
        self.rows: list[tuple[NDArray[np.float64], NDArray[np.float64], float]] = []
        self.said: dict[int, NDArray[np.float64]] = {}
        self.errors: list[NDArray[np.float64]] = []

    def update(self, value: float) -> None:
        self.logs.append(math.log(value))
        index, issued = len(self.logs) - 1, len(self.logs) - 1 - self.horizon
        if issued >= 48:
            self.errors.append(np.abs(np.exp(self.said[index]) - value))
        if issued >= 25:
            self.rows.append((*self.features(issued), self.logs[index]))
        if index >= 25:
            self.said[index + self.horizon] = self.experts(index)

    def usual(self, index: int) -> list[float]:
        return [self.logs[index - 24 * day] for day in range(7) if index >= 24 * day]

    def features(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        logs, ahead = self.logs, index + self.horizon
        same = ahead - 24 * math.ceil(self.horizon / 24)
        base = float(np.mean(self.usual(same)))
        recent = 0.75 ** np.arange(24)[: index + 1]
        levels = [
            logs[index],
            logs[index - 1],
            logs[same],
            float(np.mean(logs[: index + 1][-24:])),
            float(np.mean(logs[: index + 1][-168:])),
            float(np.median(self.usual(same))),
            float(np.mean(self.usual(index - 24))),
            logs[ahead - 168] if ahead >= 168 else logs[same],
            float(np.average(logs[index::-1][:24], weights=recent)),
        ]
        deviations = np.array([1.0, *(level - base for level in levels)])
        return deviations, np.array([1.0, *levels, base])

    def experts(self, index: int) -> NDArray[np.float64]:
        deviations, levels = self.features(index)
        base = levels[-1]
        hours = range(index, 47, -1)[:12]
        above = [self.logs[hour] - np.mean(self.usual(hour - 24)) for hour in hours]
        carried = np.average(above, weights=0.8 ** np.arange(len(above))) if above else 0.0
        first = np.zeros(11)
        first[1] = 1.0
        by_deviation = self.solve([(f, y - g[-1]) for f, g, y in self.rows], np.zeros(10))
        by_level = self.solve([(g, y) for _, g, y in self.rows], first)
        return np.array([base + by_deviation @ deviations, by_level @ levels, base + 0.6 * carried])

    @staticmethod
    def solve(
        rows: list[tuple[NDArray[np.float64], float]], start: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        kept = 0.998 ** np.arange(len(rows) - 1, -1, -1)
        first = 0.998 ** len(rows)
        matrix, right = first * np.eye(len(start)), first * start
        for weight, (features, actual) in zip(kept, rows, strict=True):
            matrix = matrix + weight * np.outer(features, features)
            right = right + weight * actual * features
        return np.asarray(np.linalg.solve(matrix, right))

    def forecast(self) -> float:
        experts = self.said[len(self.logs) - 1 + self.horizon]
        weights = np.ones(3)
        if self.errors:
            kept = 0.995 ** np.arange(len(self.errors) - 1, -1, -1)
            weights = (np.average(self.errors, axis=0, weights=kept) + 1e-12) ** -8.0
        return float(np.exp(np.average(experts, weights=weights)))


def tame(hours: int, seed: int) -> list[float]:
    """Return values with a daily rhythm and noise that no regression's guards would touch."""
    random = np.random.default_rng(seed)
    rhythm = 1.0 + 0.15 * np.sin(2 * np.pi * np.arange(hours) / 24)
    return [float(value) for value in rhythm * (1 + 0.1 * random.uniform(-1, 1, hours))]


@pytest.mark.parametrize("horizon", HORIZONS)
def test_forecasts_equal_a_recount_from_the_whole_history_at_every_hour(horizon: int) -> None:
    forecaster, recount = SeasonalForecaster(series=1, horizons=[horizon]), Recount(horizon)
    for hour, value in enumerate(tame(260, horizon)):
        forecaster.update(hour, [value])
        recount.update(value)
        found = forecaster.forecast(0, horizon)
        assert found is not None
        if hour >= 25:
            assert found.value == pytest.approx(recount.forecast(), rel=1e-7), hour


def test_before_the_first_hour_nothing_is_forecast_and_in_the_first_day_the_newest() -> None:
    forecaster = SeasonalForecaster()
    assert forecaster.forecast(0, 24) is None
    assert forecaster.newest_hour is None
    forecaster.update(470_000, [0.5, 4.0])
    expected = forecaster.forecast(1, 24)
    assert expected is not None
    assert expected.value == pytest.approx(4.0)
    assert (expected.low, expected.high) == (0.0, math.inf)
    assert forecaster.newest_hour == 470_000


def test_a_restored_forecaster_goes_on_as_the_one_it_was() -> None:
    values = tame(300, 7)
    forecaster = SeasonalForecaster(series=1, horizons=[1, 24])
    for hour in range(200):
        forecaster.update(hour, [values[hour]])
    restored = SeasonalForecaster.restore(forecaster.snapshot())
    assert (restored.series, restored.horizons) == (1, [1, 24])
    for hour in range(200, 300):
        assert forecaster.update(hour, [values[hour]]) == restored.update(hour, [values[hour]])
        assert forecaster.snapshot() == restored.snapshot()


def test_an_hour_is_accepted_once_then_restated_then_late() -> None:
    forecaster = SeasonalForecaster(series=1)
    assert [forecaster.update(hour, [1.0]) for hour in (0, 1, 1, 0, 5)] == [
        "accepted",
        "accepted",
        "replaced",
        "replaced",
        "accepted",
    ]
    for hour in range(6, 300):
        forecaster.update(hour, [1.0])
    assert forecaster.update(100, [1.0]) == "late"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"series": 9}, "series must be 1 to 8, was 9"),
        ({"horizons": [0]}, "horizon must be 1 to 168 hours, each once, was 0"),
        ({"least": -1.0}, "least must be 1e-15 to 1e15, was -1"),
    ],
)
def test_a_refusal_says_what_was_wanted_and_what_was_found(
    broken: dict[str, object], message: str
) -> None:
    with pytest.raises(CoreError, match=message):
        SeasonalForecaster(**broken)  # type: ignore[arg-type]  # that is the point


def test_refused_values_and_damaged_snapshots_change_nothing() -> None:
    forecaster = SeasonalForecaster()
    forecaster.update(1, [1.0, 1.0])
    before = forecaster.snapshot()
    for values in ([1.0], [1.0, math.nan], [math.inf, 1.0]):
        with pytest.raises(CoreError):
            forecaster.update(2, values)
    with pytest.raises(CoreError, match="snapshot"):
        SeasonalForecaster.restore(before[:-1])
    with pytest.raises(CoreError, match="one of those given, was 7"):
        forecaster.forecast(0, 7)
    assert forecaster.snapshot() == before
