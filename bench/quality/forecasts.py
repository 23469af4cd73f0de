"""Track F: forecasts of hourly CPC and CPM, walking forward over real series of ad exchanges.

r_F is the geometric mean, over exchanges, CPC and CPM, and 1, 6 and 24 hours ahead, of the mean
absolute error relative to that of a straight line through the last 24 hours.
"""

import csv
import gzip
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np

from bench.quality.days import DataError
from bench.quality.seen import Floats, Forecaster

HORIZONS = (1, 6, 24)
METRICS = ("cpc", "cpm")
WARM = 192  # hours that are not scored: eight days to learn the week
OLS_HOURS = 24
BLOCK = 48  # hours resampled together by the bootstrap
RLS_FORGET, RLS_CLIP, RLS_START = 0.998, 0.6, 10.0


class Series(msgspec.Struct, frozen=True, eq=False):
    """One exchange: hours counted from its first, and its values (n, 2): CPC, CPM."""

    name: str
    hours: np.ndarray[tuple[int], np.dtype[np.int64]]
    values: Floats


class Errors(msgspec.Struct, frozen=True, eq=False):
    """Absolute errors of a forecaster on an exchange: (n, metric, horizon); NaN: not scored."""

    by_row: Floats
    by_clock: Floats


class LastDayLine:
    """Least squares through the last 24 values, extended: the forecast that all are measured by."""

    def __init__(self) -> None:
        self._last: list[tuple[float, float]] = []

    def update(self, hour: int, cpc: float, cpm: float) -> None:
        self._last = [*self._last, (cpc, cpm)][-OLS_HOURS:]

    def forecast(self, metric: int, horizon: int) -> float:
        if len(self._last) < OLS_HOURS:
            return float("nan")
        y = np.array([pair[metric] for pair in self._last])
        x = np.arange(OLS_HOURS) - (OLS_HOURS - 1) / 2
        return float(y.mean() + (x @ y) / (x @ x) * (x[-1] + horizon))


class SeasonalRls:
    """The prototype's recursive least squares in logs on lags, the same hour and two means."""

    def __init__(self) -> None:
        self._logs: tuple[list[float], list[float]] = ([], [])
        first = np.eye(6)[1]
        self._filters = {
            (k, h): [first.copy(), np.eye(6) * RLS_START] for k in (0, 1) for h in HORIZONS
        }
        self._waiting: dict[tuple[int, int, int], Floats] = {}

    def update(self, hour: int, cpc: float, cpm: float) -> None:
        for k, value in enumerate((cpc, cpm)):
            y = self._logs[k]
            y.append(float(np.log(max(value, 1e-3))))
            for h in HORIZONS:
                old = self._waiting.pop((k, h, len(y) - 1 - h), None)
                if old is not None:
                    self._learn(k, h, old, y[-1])
                if len(y) > OLS_HOURS + 1:
                    self._waiting[k, h, len(y) - 1] = self._features(y, h)

    def forecast(self, metric: int, horizon: int) -> float:
        now = self._waiting.get((metric, horizon, len(self._logs[metric]) - 1))
        return (
            float("nan") if now is None else float(np.exp(now @ self._filters[metric, horizon][0]))
        )

    def _learn(self, k: int, h: int, features: Floats, y: float) -> None:
        w, p = self._filters[k, h]
        error = float(np.clip(y - w @ features, -RLS_CLIP, RLS_CLIP))
        gain = p @ features / (RLS_FORGET + features @ p @ features)
        p = (p - np.outer(gain, features @ p)) / RLS_FORGET
        self._filters[k, h] = [w + gain * error, (p + p.T) / 2]

    @staticmethod
    def _features(y: Sequence[float], h: int) -> Floats:
        i = len(y) - 1
        same = i + h - 24
        day, week = y[max(0, i - 23) :], y[max(0, i - 167) :]
        means = sum(day) / len(day), sum(week) / len(week)
        return np.array([1.0, y[i], y[i - 1], y[min(same, i)], *means])


def read_series(path: Path) -> list[Series]:
    """Reads `timestamp,exchange,metric,value` rows; hours without both CPC and CPM are left out.

    Raises:
        DataError: if the file is not of that form.
    """
    found: dict[str, dict[str, dict[datetime, float]]] = {}
    try:
        with gzip.open(path, "rt", newline="") as lines:
            for row in csv.DictReader(lines):
                metrics = found.setdefault(row["exchange"], {})
                at = datetime.fromisoformat(row["timestamp"])
                metrics.setdefault(row["metric"], {})[at] = float(row["value"])
    except (OSError, EOFError, KeyError, ValueError) as error:
        raise DataError(f"{path}: timestamp,exchange,metric,value wanted, {error!r}") from error
    series = []
    for name, metrics in sorted(found.items()):
        both = sorted(metrics.get("cpc", {}).keys() & metrics.get("cpm", {}).keys())
        if len(both) <= WARM + max(HORIZONS):
            raise DataError(f"{path}: exchange {name} has {len(both)} hours of both CPC and CPM")
        hours = [round((at - both[0]).total_seconds() / 3600) for at in both]
        values = [[metrics[metric][at] for metric in METRICS] for at in both]
        series.append(Series(name=name, hours=np.array(hours), values=np.array(values)))
    if not series:
        raise DataError(f"{path} holds no series")
    return series


def walk(series: Series, forecaster: Forecaster) -> Errors:
    """Tells the forecaster hour after hour and asks it about later ones; scores what came.

    By row the target is the value h rows later, as the benchmark's reference scores; by clock it is
    the value h hours later, where that hour was reported.
    """
    n = len(series.hours)
    forecasts = np.full((n, len(METRICS), len(HORIZONS)), np.nan)
    for i, (hour, (cpc, cpm)) in enumerate(
        zip(series.hours.tolist(), series.values.tolist(), strict=True)
    ):
        forecaster.update(hour, cpc, cpm)
        if i >= WARM:
            forecasts[i] = [[forecaster.forecast(k, h) for h in HORIZONS] for k in (0, 1)]
    row_of = {hour: i for i, hour in enumerate(series.hours.tolist())}
    by_row, by_clock = np.full_like(forecasts, np.nan), np.full_like(forecasts, np.nan)
    for a, h in enumerate(HORIZONS):
        by_row[:-h, :, a] = np.abs(forecasts[:-h, :, a] - series.values[h:])
        here = [i for i, hour in enumerate(series.hours.tolist()) if hour + h in row_of]
        there = [row_of[int(series.hours[i]) + h] for i in here]
        by_clock[here, :, a] = np.abs(forecasts[here, :, a] - series.values[there])
    return Errors(by_row=by_row, by_clock=by_clock)


def relative_error(errors: Sequence[Floats], base: Sequence[Floats]) -> float:
    """r_F: the geometric mean over exchanges, metrics and horizons of the ratios of mean errors."""
    ratios = [
        np.nanmean(own, axis=0) / np.nanmean(other, axis=0)
        for own, other in zip(errors, base, strict=True)
    ]
    return float(np.exp(np.log(np.array(ratios)).mean()))


def resampled_errors(
    errors: Mapping[str, Sequence[Floats]], base: str, *, draws: int, seed: int
) -> dict[str, Floats]:
    """r_F of every forecaster on the same resampled blocks of two days."""
    random = np.random.default_rng(seed)
    logs: dict[str, list[Floats]] = {name: [] for name in errors}
    for exchange in range(len(errors[base])):
        n = len(errors[base][exchange])
        starts = np.arange(WARM, n, BLOCK)
        picks = random.integers(0, len(starts), (draws, len(starts)))
        weights = np.array([np.bincount(pick, minlength=len(starts)) for pick in picks])
        means = {}
        for name, all_errors in errors.items():
            own = all_errors[exchange]
            sums = np.add.reduceat(np.nan_to_num(own), starts, axis=0)
            counts = np.add.reduceat((~np.isnan(own)).astype(float), starts, axis=0)
            with np.errstate(invalid="ignore"):  # a draw may hold no scored hour: NaN, left out
                means[name] = np.tensordot(weights, sums, 1) / np.tensordot(weights, counts, 1)
        for name, mean in means.items():
            logs[name].append(np.log(mean / means[base]).mean(axis=(1, 2)))
    return {name: np.exp(np.mean(parts, axis=0)) for name, parts in logs.items()}
