"""`engine gateway`: decisions to ad platforms, and their reports back, until SIGTERM or SIGINT."""

import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import Parameter

from engine.cli.metrics_page import served_metrics
from engine.clock import Clock, SystemClock
from engine.gateway.service import Gateway
from engine.gateway.settings import AccountSettings, GatewaySettings, accounts_of, go_live
from engine.messaging.permissions import Role
from engine.platforms.credentials import read_credentials
from engine.platforms.port import Platform
from engine.platforms.registry import make_platform
from engine.wiring import load, open_broker, run_service, set_up_logs, stopped_by_signals
from engine.wiring.settings import read_file
from engine.worker.health import serve_health

__all__ = ["command", "maker", "serve"]

# Flags are taken as text: a wrong one is then refused in the same words as a wrong variable.
Flag = Annotated[str | None, Parameter(show_default=False)]
Make = Callable[[AccountSettings], Platform]


def command(
    *,
    accounts: Flag = None,
    live: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    config: Flag = None,
    name: Flag = None,
    nats: Flag = None,
    interval: Flag = None,
    grace: Flag = None,
    patience: Flag = None,
    health: Flag = None,
    metrics_port: Flag = None,
    log_level: Flag = None,
) -> int:
    """Change what is worth it on ad platforms, and report what they sold, until stopped.

    Ad accounts are in a file (docs/gateway.md). Each begins in dry run: what would be changed is
    checked and kept in the journal (`engine changes`), and nothing is changed before the ad account
    is live, there or by --live.

    Exit codes: 0 stopped as asked, 1 could not go on, 2 a setting makes no sense.

    Parameters
    ----------
    accounts
        File of ad accounts; gateway.yaml where not given.
    live
        An ad account (1234567890 or google/1234567890) that is to be changed for real. May be given
        more than once.
    config
        File of settings: YAML, TOML or JSON (also ENGINE_CONFIG).
    name
        This gateway's name; host and process id where not given.
    nats
        URL of the broker; nats://127.0.0.1:4222 where not given.
    interval
        Seconds between two looks at what is to be changed; 2 where not given.
    grace
        Seconds a stop may take; 15 where not given.
    patience
        Seconds to wait for a broker that is not there at the start; 30 where not given.
    health
        HOST:PORT where /live, /ready and /status answer over HTTP; nowhere where not given.
    metrics_port
        PORT or HOST:PORT where /metrics tells Prometheus of this process; nowhere where not given.
        What it does on platforms is on the page of engine exporter.
    log_level
        debug, info, warning or error; info where not given.
    """
    flags = {key: value for key, value in locals().items() if key not in ("config", "live")}
    file = config or os.environ.get("ENGINE_CONFIG")

    async def start() -> None:
        settings = load(GatewaySettings, file=file, flags=flags)
        set_up_logs(settings.log_level)
        await serve(settings, live=list(live))

    return run_service(start, name="engine gateway")


async def serve(
    settings: GatewaySettings,
    *,
    live: list[str],
    clock: Clock | None = None,
    make: Make | None = None,
) -> None:
    """Run a gateway until a signal stops it; with other adapters or another clock if handed in."""
    clock = clock or SystemClock()
    name = settings.name or _own_name()
    content = read_file(Path(settings.accounts))
    accounts = go_live(accounts_of(content, file=settings.accounts), live)
    async with open_broker(
        settings.nats,
        name=name,
        clock=clock,
        patience=settings.patience,
        identity=settings,
        role=Role.GATEWAY,
        writes=True,
    ) as broker:
        service = Gateway(
            broker=broker,
            clock=clock,
            name=name,
            accounts=accounts,
            make=make or maker(clock),
            interval=settings.interval,
            grace=settings.grace,
            version=_version(),
        )
        page = served_metrics(settings.metrics_port, service="gateway")
        async with stopped_by_signals(service), _health(settings.health, service), page:
            await service.run()


def maker(clock: Clock) -> Make:
    """Return what makes the adapter of an ad account: one each, so that none waits for another."""

    def make(one: AccountSettings) -> Platform:
        credentials = read_credentials(
            one.platform,
            file=None if one.credentials is None else Path(one.credentials),
            environ=os.environ,
            ad_account=one.ad_account,
        )
        return make_platform(one.platform, credentials, clock=clock)

    return make


@asynccontextmanager
async def _health(address: str | None, service: Gateway) -> AsyncIterator[None]:
    if address is None:
        yield
        return
    async with serve_health(address, worker=service) as at:
        structlog.get_logger(__name__).info("health_served", address=at)
        yield


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
    return f"{host[:40]}-gateway-{os.getpid()}"


def _version() -> str:
    try:
        return version("campaign-engine")
    except PackageNotFoundError:  # run from the source tree
        return "0"
