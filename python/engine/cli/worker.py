"""`engine worker`: one worker of the fleet, until SIGTERM or SIGINT."""

import os
import re
import socket
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from cyclopts import App, Parameter

from engine.clock import SystemClock
from engine.wiring import open_broker, run_service, set_up_logs, stopped_by_signals
from engine.wiring.settings import load
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


async def serve(settings: WorkerSettings) -> None:
    """Run a worker with these settings until a signal stops it."""
    name, clock = settings.name or _own_name(), SystemClock()
    async with open_broker(
        settings.nats, name=name, clock=clock, patience=settings.patience
    ) as broker:
        service = Worker(
            broker=broker, clock=clock, name=name, settings=settings, version=_version()
        )
        async with stopped_by_signals(service):
            await service.run()


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
    return f"{host[:48]}-{os.getpid()}"


def _version() -> str:
    try:
        return version("campaign-engine")
    except PackageNotFoundError:  # run from the source tree
        return "0"
