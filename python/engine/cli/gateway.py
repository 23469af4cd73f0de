"""`engine gateway`: decisions to ad platforms, and their reports back, until SIGTERM or SIGINT."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.cli.serving import Flag, own_name, serve_with, served_health, served_metrics
from engine.cli.versions import engine_version
from engine.clock import Clock, SystemClock
from engine.gateway.service import Gateway
from engine.gateway.settings import AccountSettings, GatewaySettings, accounts_of, go_live
from engine.messaging.permissions import Role
from engine.platforms.credentials import read_credentials
from engine.platforms.port import Platform
from engine.platforms.registry import make_platform
from engine.wiring import open_broker, stopped_by_signals
from engine.wiring.settings import read_file

__all__ = ["command", "maker", "serve"]

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
    given = {key: value for key, value in locals().items() if key != "live"}

    async def work(settings: GatewaySettings) -> None:
        await serve(settings, live=list(live))

    return serve_with(GatewaySettings, work, given, name="engine gateway")


async def serve(
    settings: GatewaySettings,
    *,
    live: list[str],
    clock: Clock | None = None,
    make: Make | None = None,
) -> None:
    """Run a gateway until a signal stops it; with other adapters or another clock if handed in."""
    clock = clock or SystemClock()
    name = settings.name or own_name("gateway")
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
            version=engine_version(),
        )
        page = served_metrics(settings.metrics_port, service="gateway")
        async with stopped_by_signals(service), served_health(settings.health, service), page:
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
