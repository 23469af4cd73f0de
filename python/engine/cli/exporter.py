"""`engine exporter`: the figures of the whole fleet, for Prometheus."""

from engine.cli.serving import PATIENCE_S, Flag, ServiceSettings, serve_with, served_metrics
from engine.clock import SystemClock
from engine.messaging.inspection import stream_facts
from engine.messaging.permissions import STREAMS_READ, Role
from engine.metrics.exporter import Exporter
from engine.wiring import open_broker, stopped_by_signals
from engine.worker.settings import MetricsPort

__all__ = ["ExporterSettings", "command"]


class ExporterSettings(ServiceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the broker is, and where the page is."""

    metrics_port: MetricsPort = "9464"


def command(
    *,
    config: Flag = None,
    nats: Flag = None,
    metrics_port: Flag = None,
    log_level: Flag = None,
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
    return serve_with(ExporterSettings, _serve, locals(), name="engine exporter")


async def _serve(settings: ExporterSettings) -> None:
    clock = SystemClock()
    async with open_broker(
        settings.nats,
        name="exporter",
        clock=clock,
        provision=False,
        patience=PATIENCE_S,
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
