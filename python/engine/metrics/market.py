"""The simulated market's page: what was sold, and what waits to be sent."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import Metric

from engine.metrics.families import counter, gauge

__all__ = ["market_families"]


def market_families(figures: Mapping[str, int]) -> Iterable[Metric]:
    """Return the families of this moment."""
    yield gauge("engine_market_series", "Campaigns on platforms it sells to.", figures["series"])
    yield counter(
        "engine_market_impressions", "Impressions sold since it opened.", figures["impressions"]
    )
    yield counter("engine_market_clicks", "Clicks sold since it opened.", figures["clicks"])
    yield gauge(
        "engine_market_held_frames", "Frames that wait for the broker.", figures["held_frames"]
    )
    yield gauge(
        "engine_market_stands_still",
        "1 while it sells nothing, because too many frames wait.",
        figures["stands_still"],
    )
