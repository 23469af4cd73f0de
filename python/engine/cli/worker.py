"""`engine worker`: one worker of the fleet, until SIGTERM or SIGINT."""

import asyncio
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING

from cyclopts import App

from engine.cli.serving import Flag, own_name, serve_with, served_health, served_metrics
from engine.cli.versions import engine_version
from engine.clock import Clock, SystemClock
from engine.messaging.background import beside
from engine.messaging.permissions import Role
from engine.wiring import open_broker, stopped_by_signals
from engine.worker.service import Worker
from engine.worker.settings import WorkerSettings
from engine.worker.tally import ROUND_BOUNDS_MS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["app", "command", "serve"]

app = App(name="worker", help="Run one worker of the fleet until SIGTERM or SIGINT.")


@app.default
def command(
    *,
    config: Flag = None,
    name: Flag = None,
    nats: Flag = None,
    interval: Flag = None,
    window: Flag = None,
    snapshot_every: Flag = None,
    keep_every: Flag = None,
    grace: Flag = None,
    patience: Flag = None,
    health: Flag = None,
    metrics_port: Flag = None,
    log_level: Flag = None,
) -> int:
    """Take partitions, run their rounds, give them back on SIGTERM or SIGINT.

    Each setting may also be in the file under its own name, or in the environment as ENGINE_NAME
    and so on. Flags go before variables, variables before the file.

    Exit codes: 0 stopped as asked, 1 could not go on, 2 a setting makes no sense.

    Parameters
    ----------
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
    name
        This worker's name in the fleet; host and process id where not given.
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    interval
        Seconds between the rounds of a partition; 2 where not given.
    window
        Samples kept for each campaign and platform; 64 where not given.
    snapshot_every
        Seconds between snapshots of a partition; 30 where not given.
    keep_every
        Seconds between records of the whole ledger; 3600 where not given.
    grace
        Seconds a stop may take; 5 where not given.
    patience
        Seconds to wait for a broker that is not there at the start; 30 where not given.
    health
        HOST:PORT where /live, /ready and /status answer over HTTP; nowhere where not given. :PORT
        is this machine only.
    metrics_port
        PORT or HOST:PORT where /metrics answers Prometheus; nowhere where not given. PORT is this
        machine only.
    log_level
        debug, info, warning or error; info where not given.
    """
    return serve_with(WorkerSettings, serve, locals(), name="engine worker")


async def serve(settings: WorkerSettings, *, clock: Clock | None = None) -> None:
    """Run a worker with these settings until a signal stops it; by another clock if handed in."""
    name, clock = settings.name or own_name(), clock or SystemClock()
    async with (
        beside(_import_rounds(), name="import"),
        open_broker(
            settings.nats,
            name=name,
            clock=clock,
            patience=settings.patience,
            identity=settings,
            role=Role.WORKER,
            writes=True,
        ) as broker,
    ):
        service = Worker(
            broker=broker, clock=clock, name=name, settings=settings, version=engine_version()
        )

        def families() -> "Iterable[Metric]":
            from engine.metrics.worker import worker_families  # as served_metrics imports its own

            return worker_families(service, bounds_ms=ROUND_BOUNDS_MS)

        page = served_metrics(settings.metrics_port, service="worker", collect=families)
        async with stopped_by_signals(service), served_health(settings.health, service), page:
            await service.run()


async def _import_rounds() -> None:
    """Import what rounds need: a worker connects meanwhile, and hears who else is there."""
    await asyncio.to_thread(import_module, "engine.worker.partition")
