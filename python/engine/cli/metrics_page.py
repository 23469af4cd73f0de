"""The metrics page of a service, with the part that all of them have."""

import platform
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import structlog
from prometheus_client.core import Metric

from engine.cli.versions import core_profile, core_version, engine_version
from engine.metrics.page import registry_of, serve_metrics
from engine.metrics.process import process_families

__all__ = ["served_metrics"]


@asynccontextmanager
async def served_metrics(
    address: str | None, *, service: str, collect: Callable[[], Iterable[Metric]] = tuple
) -> AsyncIterator[str | None]:
    """Answer Prometheus at `address` while the body runs; yields where, None where nowhere.

    Raises ConfigError where the address cannot be listened on.
    """
    if address is None:
        yield None
        return
    build = process_families(
        service=service,
        version=engine_version(),
        core=core_version(),
        profile=core_profile(),
        python=platform.python_version(),
    )
    async with serve_metrics(address, registry=registry_of(build, collect)) as at:
        structlog.get_logger(__name__).info("metrics_served", service=service, address=at)
        yield at
