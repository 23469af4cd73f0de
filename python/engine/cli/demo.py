"""`engine demo`: a whole fleet on this machine, from an empty directory to an audited result."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from engine.cli.arguments import Whole
from engine.cli.demo_run import Demo
from engine.cli.demo_settings import DemoSettings, check_demo
from engine.cli.demo_summary import summary_panel
from engine.cli.sandbox import platforms_of
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.wiring import set_up_logs

__all__ = ["command"]


def command(
    *,
    duration: float | None = None,
    campaigns: Whole = 200,
    workers: Whole = 2,
    seed: Whole = 7,
    interval: float = 2.0,
    step: float = 1.0,
    day_seconds: float = 60.0,
    cluster: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
    store: Path | None = None,
    keep: Annotated[bool, Parameter(negative="")] = False,
    snapshot: Path | None = None,
    dashboard: bool = True,
    dashboard_port: Whole = 8787,
    platforms: str | None = None,
    report: Path | None = None,
) -> int:
    """Watch a fleet of workers bid in a simulated market, on a nats-server of its own.

    Starts nats-server, the workers and the market as processes, publishes campaigns, shows what
    happens, stops everything, and counts again what the broker has stored. Kill a worker while it
    runs (`kill -9`): the others take over its partitions.

    Parameters
    ----------
    duration: float
        Seconds to run; until Ctrl-C where not given.
    campaigns: int
        How many campaigns.
    workers: int
        How many worker processes.
    seed: int
        Which campaigns, and which market.
    interval: float
        Seconds between two rounds of a partition.
    step: float
        Seconds between two reports of a platform.
    day_seconds: float
        How long a day of the market's traffic takes.
    cluster: bool
        Run three nats-servers with three copies of everything; kill one, and the rest goes on.
    json: bool
        Print the result as one JSON object, the last line of stdout.
    store: Path
        Directory for the broker's data and the logs; a temporary one where not given.
    keep: bool
        Keep the temporary directory.
    snapshot: Path
        Write the last picture of the screen to this SVG file.
    dashboard: bool
        Serve the dashboard too, where its port is free.
    dashboard_port: int
        The port of the dashboard, on this machine only.
    platforms: str
        google,meta,tiktok or some of them: through local servers that answer as these platforms
        do, the market behind them, a gateway in front.
    report: Path
        Write spend against plan, and returns against the naive rule's, to this HTML file.
    """
    settings = DemoSettings(
        duration=duration,
        campaigns=campaigns,
        workers=workers,
        seed=seed,
        interval=interval,
        step=step,
        day_seconds=day_seconds,
        servers=3 if cluster else 1,
        snapshot=snapshot,
        dashboard_port=dashboard_port if dashboard else None,
        platforms=() if platforms is None else platforms_of(platforms),
        report=report,
    )
    check_demo(settings)
    with _directory(store, keep=keep) as directory:
        directory.joinpath("logs").mkdir(parents=True, exist_ok=True)
        with directory.joinpath("logs", "demo.log").open("a") as log:
            set_up_logs("info", stream=log)  # the terminal is the view's
            demo = Demo(settings=settings, directory=directory, clock=SystemClock())
            summary = asyncio.run(demo.run())
    if json:
        found = msgspec.to_builtins(summary)
        if settings.platforms:
            found["platforms"] = demo.platforms
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        Console().print(summary_panel(summary, demo.platforms))
    return 0 if summary.is_sound else 1


@contextmanager
def _directory(store: Path | None, *, keep: bool) -> Iterator[Path]:
    """Give a directory for the run; one of our own goes away unless something went wrong."""
    if store is not None:
        try:
            store.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            wanted = f"--store {store}: a directory to write in"
            raise ConfigError(f"{wanted}, found {error.strerror}") from None
        yield store
        return
    directory = Path(tempfile.mkdtemp(prefix="engine-demo-"))
    try:
        yield directory
    except Exception:
        keep = True
        raise
    finally:
        if keep:
            sys.stderr.write(f"kept in {directory}\n")
        else:
            shutil.rmtree(directory, ignore_errors=True)
