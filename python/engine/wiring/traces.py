"""Traces by OpenTelemetry, where ENGINE_TRACES_RATIO asks for them; else it is not imported."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
import structlog

from engine.errors import ConfigError
from engine.messaging import traces
from engine.wiring.settings import load

__all__ = ["TracesSettings", "traced"]

_log = structlog.get_logger(__name__)


class TracesSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """ENGINE_TRACES_…: the same for every service."""

    traces_ratio: Annotated[
        float,
        msgspec.Meta(
            title="Share of all traces that is sent; 0: off",
            ge=0,
            le=1,
            description="a share of all traces from 0 to 1 such as 0.001",
        ),
    ] = 0.0
    traces_endpoint: Annotated[
        str,
        msgspec.Meta(
            title="Where traces go: a collector's OTLP over HTTP",
            pattern=r"^https?://[^\s]+$",
            description="a URL of OTLP over HTTP such as http://127.0.0.1:4318/v1/traces",
        ),
    ] = "http://127.0.0.1:4318/v1/traces"


@asynccontextmanager
async def traced(service: str, *, name: str) -> AsyncIterator[None]:
    """Send a share of traces while the context lasts, as `service` (engine-worker, …).

    Raises:
        ConfigError: a setting makes no sense, or OpenTelemetry is not installed.
    """
    settings = load(TracesSettings)
    if settings.traces_ratio == 0 or traces.active() is not None:
        yield
        return
    try:
        from engine.wiring.otel import exporting
    except ImportError as error:
        hint = "pip install 'campaign-engine[otel]'"
        wanted = f"ENGINE_TRACES_RATIO needs the package {error.name}"
        raise ConfigError(f"{wanted}: {hint}") from error
    tracing, end = exporting(
        settings.traces_endpoint, ratio=settings.traces_ratio, service=service, name=name
    )
    traces.install(tracing)
    _log.info("traces_sent", ratio=settings.traces_ratio, to=settings.traces_endpoint)
    try:
        yield
    finally:
        traces.install(None)
        await asyncio.to_thread(end)
