"""`engine exporter`: the figures of the whole fleet, for Prometheus."""

import os
from typing import Annotated

import msgspec
from cyclopts import Parameter

from engine.cli.metrics_page import served_metrics
from engine.clock import SystemClock
from engine.messaging.identity import IdentitySettings
from engine.messaging.inspection import stream_facts
from engine.messaging.permissions import STREAMS_READ, Role
from engine.metrics.exporter import Exporter
from engine.wiring import DEFAULT_NATS, load, open_broker, run_service, set_up_logs
from engine.wiring.process import stopped_by_signals
from engine.worker.settings import MetricsPort

__all__ = ["ExporterSettings", "command"]

_Flag = Annotated[str | None, Parameter(show_default=False)]
_PATIENCE_S = 30.0


class ExporterSettings(IdentitySettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker is, and where the page is."""

    nats: Annotated[
        str, msgspec.Meta(description="a URL such as nats://127.0.0.1:4222", min_length=1)
    ] = DEFAULT_NATS
    metrics_port: MetricsPort = "9464"
    log_level: Annotated[
        str,
        msgspec.Meta(
            description="debug, info, warning or error", pattern="^(debug|info|warning|error)$"
        ),
    ] = "info"


def command(
    *,
    config: _Flag = None,
    nats: _Flag = None,
    metrics_port: _Flag = None,
    log_level: _Flag = None,
) -> int:
    """Serve the fleet's figures to Prometheus until SIGTERM or Ctrl-C. One is enough.

    It reads the streams and hears heartbeats and gateways, as user `dashboard`; it changes
    nothing. Workers and the market have pages of their own (--metrics-port there).

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    metrics_port
        PORT or HOST:PORT where /metrics answers; 9464, this machine only, where not given.
    log_level
        debug, info, warning or error; info where not given.
    """
    file = config or os.environ.get("ENGINE_CONFIG")
    flags = {"nats": nats, "metrics_port": metrics_port, "log_level": log_level}

    async def start() -> None:
        settings = load(ExporterSettings, file=file, flags=flags)
        set_up_logs(settings.log_level)
        await _serve(settings)

    return run_service(start, name="engine exporter")


async def _serve(settings: ExporterSettings) -> None:
    clock = SystemClock()
    async with open_broker(
        settings.nats,
        name="exporter",
        clock=clock,
        provision=False,
        patience=_PATIENCE_S,
        identity=settings,
        role=Role.DASHBOARD,
    ) as broker:
        streams = STREAMS_READ[Role.DASHBOARD]
        service = Exporter(
            broker=broker, clock=clock, look=lambda: stream_facts(broker.link, streams)
        )
        page = served_metrics(settings.metrics_port, service="exporter", collect=service.families)
        async with stopped_by_signals(service), page:
            await service.run()
