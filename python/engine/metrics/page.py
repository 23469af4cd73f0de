"""The page that Prometheus reads: GET /metrics, and nothing else."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from engine.endpoint import Said, serve_endpoint

__all__ = ["Collect", "registry_of", "serve_metrics"]

Collect = Callable[[], Iterable[Metric]]
"""Gives the families of this moment."""


class _Collected(Collector):
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        return ()  # registering must not collect: the service has not begun


def registry_of(*parts: Collect) -> CollectorRegistry:
    """Return a registry that asks each part anew whenever it is read."""
    registry = CollectorRegistry(auto_describe=False)
    for part in parts:
        registry.register(_Collected(part))
    return registry


def serve_metrics(address: str, *, registry: CollectorRegistry) -> AbstractAsyncContextManager[str]:
    """Answer at PORT or HOST:PORT beside the body; yields the address. Raises ConfigError."""

    def answer(path: str, headers: Mapping[str, str]) -> Said:
        if path != "/metrics":
            return Said("404 Not Found", "text/plain", b"/metrics is answered\n")
        encode, kind = choose_encoder(headers.get("accept", ""))
        return Said("200 OK", kind, encode(registry))

    return serve_endpoint(address, setting="metrics_port", answer=answer)
