"""`engine worker`: one worker of the fleet, until SIGTERM or SIGINT."""

import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import structlog
from cyclopts import App, Parameter

from engine.clock import Clock, SystemClock
from engine.messaging.permissions import Role
from engine.wiring import open_broker, run_service, set_up_logs, stopped_by_signals
from engine.wiring.settings import load
from engine.worker.health import serve_health
from engine.worker.service import Worker
from engine.worker.settings import WorkerSettings

__all__ = ["app", "command", "serve"]

app = App(name="worker", help="Run one worker of the fleet until SIGTERM or SIGINT.")

# Flags are taken as text: a wrong one is then refused in the same words as a wrong variable.
Flag = Annotated[str | None, Parameter(show_default=False)]


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
    flags = {key: value for key, value in locals().items() if key != "config"}
    file = config or os.environ.get("ENGINE_CONFIG")

    async def start() -> None:
        settings = load(WorkerSettings, file=file, flags=flags)
        set_up_logs(settings.log_level)
        await serve(settings)

    return run_service(start, name="engine worker")


async def serve(settings: WorkerSettings, *, clock: Clock | None = None) -> None:
    """Run a worker with these settings until a signal stops it; by another clock if handed in."""
    name, clock = settings.name or _own_name(), clock or SystemClock()
    async with open_broker(
        settings.nats,
        name=name,
        clock=clock,
        patience=settings.patience,
        identity=settings,
        role=Role.WORKER,
        writes=True,
    ) as broker:
        service = Worker(
            broker=broker, clock=clock, name=name, settings=settings, version=_version()
        )
        page, health = _metrics(settings.metrics_port, service), _health(settings.health, service)
        async with stopped_by_signals(service), health, page:
            await service.run()


@asynccontextmanager
async def _metrics(port: str | None, worker: Worker) -> AsyncIterator[None]:
    if port is None:
        yield
        return
    # Imported when wanted: with prometheus-client a start takes a tenth longer.
    from engine.cli.metrics_page import served_metrics
    from engine.metrics.worker import worker_families
    from engine.worker.tally import ROUND_BOUNDS_MS

    page = served_metrics(
        port, service="worker", collect=lambda: worker_families(worker, bounds_ms=ROUND_BOUNDS_MS)
    )
    async with page:
        yield


@asynccontextmanager
async def _health(address: str | None, worker: Worker) -> AsyncIterator[None]:
    if address is None:
        yield
        return
    async with serve_health(address, worker=worker) as at:
        structlog.get_logger(__name__).info("health_served", address=at)
        yield


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
    return f"{host[:48]}-{os.getpid()}"


def _version() -> str:
    try:
        return version("campaign-engine")
    except PackageNotFoundError:  # run from the source tree
        return "0"
