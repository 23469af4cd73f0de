"""Hourly forecasts of a platform's series: CPC, CPM, CVR or traffic, with their 95 % intervals.

One `SeasonalForecaster` serves the series of one platform together, as each tells about the others:

>>> forecaster = SeasonalForecaster(series=1, horizons=[1, 24])
>>> for hour in range(240):
...     _ = forecaster.update(480_000 + hour, [0.40 if hour % 24 < 8 else 0.80])
>>> next_hour = forecaster.forecast(0, 1)
>>> round(next_hour.value, 2)
0.4
>>> next_hour.low <= next_hour.value <= next_hour.high
True

An hour is `epoch seconds // 3600`: the forecaster knows neither clock nor calendar, only that days
have 24 hours. Where people's habits follow a local time with daylight saving, number the hours by
that.
"""

from engine._core import Expected, SeasonalForecaster

__all__ = ["Expected", "SeasonalForecaster"]
