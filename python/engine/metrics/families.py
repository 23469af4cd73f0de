"""How families of metrics are written down: one line each, names with the unit in them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

__all__ = ["Labelled", "counter", "gauge", "histogram", "info"]

Labelled = Mapping[Any, float]
"""Values by the values of their labels, which are tuples of texts."""


def gauge(
    name: str, text: str, values: float | Labelled, labels: Sequence[str] = ()
) -> GaugeMetricFamily:
    """Return a gauge: one value, or one for each combination of labels."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for found, value in _rows(values):
        family.add_metric(found, value)
    return family


def counter(
    name: str, text: str, values: float | Labelled, labels: Sequence[str] = ()
) -> CounterMetricFamily:
    """Return a counter; its samples are called `name`_total."""
    family = CounterMetricFamily(name, text, labels=labels)
    for found, value in _rows(values):
        family.add_metric(found, value)
    return family


def histogram(
    name: str, text: str, *, bounds: Iterable[float], buckets: Iterable[int], total: float
) -> HistogramMetricFamily:
    """Return a histogram of counts by bucket, the last of them above all bounds."""
    names = [f"{bound:g}" for bound in bounds] + ["+Inf"]
    rising, sum_so_far = [], 0
    for label, count in zip(names, buckets, strict=True):
        sum_so_far += count
        rising.append((label, sum_so_far))
    family = HistogramMetricFamily(name, text)
    family.add_metric([], rising, total)
    return family


def info(name: str, text: str, labels: Mapping[str, str]) -> GaugeMetricFamily:
    """Return a gauge of 1 whose labels are what is told."""
    return gauge(f"{name}_info", text, {tuple(labels.values()): 1.0}, tuple(labels))


def _rows(values: float | Labelled) -> list[tuple[tuple[str, ...], float]]:
    if isinstance(values, Mapping):
        return list(values.items())
    return [((), values)]
