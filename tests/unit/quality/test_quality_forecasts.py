"""Track F: walking forward, without a look ahead."""

from pathlib import Path

import numpy as np
import pytest

from bench.quality.days import DataError
from bench.quality.forecasts import (
    HORIZONS,
    WARM,
    LastDayLine,
    SeasonalRls,
    Series,
    read_series,
    relative_error,
    resampled_errors,
    walk,
)
from support.auction_days import write_hours


class Recorder:
    """Forecasts the newest value and keeps what it was told when."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float, float]] = []
        self.asked_at: list[int] = []

    def update(self, hour: int, cpc: float, cpm: float) -> None:
        self.told.append((hour, cpc, cpm))

    def forecast(self, metric: int, horizon: int) -> float:
        self.asked_at.append(self.told[-1][0])
        return self.told[-1][1 + metric]


def series_of(hours: int) -> Series:
    values = np.arange(hours, dtype=float)[:, None] * [1.0, 10.0] + 5
    return Series(name="x", hours=np.arange(hours), values=values)


def test_errors_are_those_of_the_value_so_many_rows_later() -> None:
    errors = walk(series_of(260), Recorder())
    for a, horizon in enumerate(HORIZONS):
        scored = errors.by_row[WARM : 260 - horizon, :, a]
        np.testing.assert_allclose(scored, np.tile([horizon, 10.0 * horizon], (len(scored), 1)))
        assert np.isnan(errors.by_row[260 - horizon :, :, a]).all()
    assert np.isnan(errors.by_row[:WARM]).all()


def test_by_the_clock_an_hour_that_is_missing_is_not_scored() -> None:
    whole = series_of(260)
    keep = whole.hours != 230
    gap = Series(name="x", hours=whole.hours[keep], values=whole.values[keep])
    errors = walk(gap, Recorder())
    row = {hour: i for i, hour in enumerate(gap.hours.tolist())}
    assert np.isnan(errors.by_clock[row[229], :, 0]).all()
    assert errors.by_row[row[229], 0, 0] == 2
    assert errors.by_clock[row[228], 0, 0] == 1


def test_nothing_is_asked_about_an_hour_already_told() -> None:
    recorder = Recorder()
    walk(series_of(230), recorder)
    assert min(recorder.asked_at) == WARM
    assert len(recorder.told) == 230


@pytest.mark.parametrize("make", [LastDayLine, SeasonalRls])
def test_what_comes_later_changes_no_earlier_forecast(make: type[LastDayLine]) -> None:
    series = series_of(280)
    other = Series(name="x", hours=series.hours, values=series.values.copy())
    other.values[250:] *= 3
    one, two = walk(series, make()), walk(other, make())
    np.testing.assert_array_equal(one.by_row[: 250 - 24], two.by_row[: 250 - 24])


def test_a_straight_line_is_extended_exactly() -> None:
    errors = walk(series_of(260), LastDayLine())
    assert np.nanmax(errors.by_row) < 1e-9


def test_recursive_least_squares_learns_a_season_that_a_line_cannot(tmp_path: Path) -> None:
    write_hours(tmp_path, hours=700)
    (series,) = read_series(tmp_path / "small_cpc_cpm.csv.gz")
    rls, line = walk(series, SeasonalRls()).by_row, walk(series, LastDayLine()).by_row
    assert relative_error([rls], [line]) < 0.5
    assert relative_error([line], [line]) == pytest.approx(1)
    draws = resampled_errors({"line": [line], "rls": [rls]}, "line", draws=50, seed=1)
    np.testing.assert_allclose(draws["line"], 1)
    assert draws["rls"].min() < relative_error([rls], [line]) < draws["rls"].max()


def test_a_file_of_another_form_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x_cpc_cpm.csv.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(DataError, match="x_cpc_cpm"):
        read_series(path)
    write_hours(tmp_path, hours=100)
    with pytest.raises(DataError, match="100 hours"):
        read_series(tmp_path / "small_cpc_cpm.csv.gz")
